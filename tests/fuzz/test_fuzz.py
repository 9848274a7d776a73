"""A short run of the fuzzer, the same files each time, and that it sees what it looks for."""

import math
from pathlib import Path
from random import Random

import pytest

from tests.fuzz.campaign import Report, Worker, note, run
from tests.fuzz.mutations import MUTATIONS, mutate

KINDS = list(MUTATIONS)


@pytest.mark.slow
def test_broken_files_are_refused_or_harmless(tmp_path: Path) -> None:
    # As many on a slow machine: the files are counted, the seconds are a bound on what hangs.
    report = run(tmp_path, seed=0, seconds=600, files=250, kinds=KINDS)
    assert report.findings == {}
    assert sum(report.outcomes.values()) == 250
    for kind in KINDS:
        assert report.outcomes[f"{kind} refused"] > 5
    assert report.peak_mb < 3 * 2**10


@pytest.mark.slow
def test_many_more(tmp_path: Path) -> None:
    report = run(tmp_path, seed=1, seconds=math.inf, files=2000, kinds=KINDS)
    assert report.findings == {}
    assert sum(report.outcomes.values()) == 2000


class Careless(Worker):
    """Answers as a reader would that has a bug."""

    def __init__(self, answer: dict) -> None:
        self.answer = answer

    def read(self, path: Path) -> dict:
        return {"harm": [], "peak_mb": 1, "where": "x.py:f", "said": "", "message": "named"} | self.answer


@pytest.mark.parametrize(
    ("answer", "finding"),
    [
        ({"outcome": "broken", "said": "KeyError: 'x'"}, "broken KeyError in x.py:f"),
        ({"outcome": "hung"}, "hung  in x.py:f"),
        ({"outcome": "died"}, "died  in x.py:f"),
        ({"outcome": "refused", "message": "long"}, "refused long in x.py:f"),
        ({"outcome": "loaded", "harm": ["os.system ('x',)"]}, "harm: os.system ('x',)"),
        ({"outcome": "refused"}, "it ran: the canary is there"),
    ],
)
def test_what_is_wrong_is_found(answer: dict, finding: str, tmp_path: Path) -> None:
    report, canary = Report(), tmp_path / "canary"
    if "ran" in finding:
        canary.touch()
    note(report, Careless(answer), tmp_path / "model.ckpt", b"", tmp_path / "kept", canary)
    assert list(report.findings) == [f"model.ckpt {finding}"]
    assert (tmp_path / "kept").exists()


def test_the_same_seed_breaks_the_same_files() -> None:
    content = b"path,split\na/1.png,train\n"
    one, other = ([mutate(Random(seed), "list.csv", content) for seed in range(50)] for _ in range(2))
    assert one == other
    assert len({broken for _, broken in one}) > 30
