"""What a command does before its work begins."""

import subprocess
import sys

import pytest


@pytest.mark.slow
def test_garbage_is_looked_for_again_after_the_imports() -> None:
    """What they made is exempt until the end, when libraries would report as leaked what is never collected."""
    script = "import gc, padim.commands.train; print(gc.isenabled(), gc.get_freeze_count() > 500_000)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("True True\n", "")
