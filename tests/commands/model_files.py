"""Commands that read model files and write one: what they write, or what they say instead."""

from collections.abc import Callable
from pathlib import Path

import pytest


def written(monkeypatch: pytest.MonkeyPatch, main: Callable[[], None], output: Path, *arguments: object) -> Path:
    monkeypatch.setattr("sys.argv", ["padim", *map(str, arguments), f"--output={output}"])
    main()
    return output


def refused(monkeypatch: pytest.MonkeyPatch, main: Callable[[], None], output: Path, *arguments: object) -> str:
    """The message; nothing is written."""
    with pytest.raises(SystemExit) as error:
        written(monkeypatch, main, output, *arguments)
    assert not output.exists()
    return str(error.value)
