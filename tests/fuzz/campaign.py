"""A fuzzer of every file that padim reads and that anybody may have written.

python -m tests.fuzz.campaign --seconds 600

Small real files are broken in ways that know their format (:mod:`tests.fuzz.mutations`), and read in a process of its
own with a limit on memory and time (:mod:`tests.fuzz.worker`). What is read is either loaded and used, or refused by a
ValueError or FileNotFoundError that names the file; it runs nothing, writes nothing, and reads no other file.
"""

import argparse
import json
import selectors
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz.mutations import MUTATIONS, mutate
from tests.fuzz.seeds import make_seeds
from tests.fuzz.values import CANARY

PATIENCE, GIBIBYTES = 20.0, 3.0
"""Seconds for a file, and memory beyond that of the libraries."""
TEXT = ("list.csv", "list.jsonl", "config.yaml", "hydra.yaml", "metrics.json")


@dataclass
class Report:
    """What was found.

    Attributes:
        outcomes: how often, by kind and outcome.
        findings: by what is the same about them, the first said and its file.
        peak_mb: the most memory of a process.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    findings: dict[str, str] = field(default_factory=dict)
    peak_mb: int = 0


class Worker:
    """A process that reads files; another one where it dies."""

    def __init__(self, folder: Path, seeds: Sequence[Path]) -> None:
        self.folder, self.seeds = folder, seeds
        self.process: subprocess.Popen[str] | None = None

    def read(self, path: Path) -> dict[str, Any]:
        if self.process is None or self.process.poll() is not None:
            self._start()
        return self._ask(path, PATIENCE)

    def _start(self) -> None:
        environment = {"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"}
        with (self.folder / "worker.log").open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-B", "-m", "tests.fuzz.worker", str(GIBIBYTES)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=self.folder,
                env=environment,
            )
        for seed in self.seeds:  # so that all that is imported later is imported now
            said = self._ask(seed, patience=120.0)
            if said["outcome"] != "loaded" or not said["finite"]:
                raise RuntimeError(f"the seed {seed} is not read: {said}")

    def _ask(self, path: Path, patience: float) -> dict[str, Any]:
        assert self.process
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{path}\n")
        self.process.stdin.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            ready = selector.select(patience)
        if line := self.process.stdout.readline() if ready else "":
            return json.loads(line)
        self.stop()
        return {"outcome": "died" if ready else "hung", "where": path.name, "said": "", "harm": [], "peak_mb": 0}

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.communicate()
            self.process = None


def run(folder: Path, seed: int, seconds: float, files: int, kinds: Sequence[str]) -> Report:
    """Break files until either is over, or Ctrl-C; what breaks padim stays in ``folder/findings``."""
    report, random = Report(), Random(seed)
    whole, broken, kept = folder / "whole", folder / "broken", folder / "findings"
    places = make_seeds(whole)
    shutil.copytree(whole, broken)
    kept.mkdir(exist_ok=True)
    worker, end = Worker(folder, [whole / places[kind] for kind in kinds]), time.monotonic() + seconds
    try:
        for number in range(files):
            if time.monotonic() > end:
                break
            kind = random.choice(kinds)
            name, content = mutate(random, kind, (whole / places[kind]).read_bytes())
            if kind in TEXT and random.random() < 0.3:  # text that is broken twice is text still
                again, content = mutate(random, kind, content)
                name = f"{name}+{again}"
            note(report, worker, broken / places[kind], content, kept / f"{number}-{name}-{kind}", folder / CANARY)
    except KeyboardInterrupt:
        print("interrupted; what was found by then:")
    finally:
        worker.stop()
    return report


def note(report: Report, worker: Worker, path: Path, content: bytes, keep: Path, canary: Path) -> None:
    """Have a file read and note what became of it."""
    path.write_bytes(content)
    result = worker.read(path)
    outcome = result["outcome"]
    report.peak_mb = max(report.peak_mb, result["peak_mb"])
    odd = []
    if canary.exists():
        canary.unlink()
        odd.append("it ran: the canary is there")
    odd += [f"harm: {what}" for what in result["harm"]]
    if outcome in ("broken", "died", "hung"):
        odd.append(f"{outcome} {result['said'].split(':')[0]} in {result['where']}")
    elif outcome == "refused" and result["message"] != "named":
        odd.append(f"refused {result['message']} in {result['where']}")
    finite = "" if result.get("finite", True) else ", not finite"
    report.outcomes[f"{path.name} {outcome}{finite}"] += 1
    for what in odd:
        key = f"{path.name} {what}"
        if key not in report.findings:
            keep.write_bytes(content)
            report.findings[key] = f"{result.get('said', '')[:200]!r} ({keep.name})"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.campaign")
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", choices=list(MUTATIONS), action="append", help="of the files; all by default")
    parser.add_argument("--folder", type=Path, help="where what breaks padim stays; a temporary one by default")
    given = parser.parse_args()
    folder = (given.folder or Path(tempfile.mkdtemp(prefix="padim-fuzz-"))).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    report = run(folder, given.seed, given.seconds, 10**9, given.kind or list(MUTATIONS))
    print(f"{sum(report.outcomes.values())} files, peak {report.peak_mb} MiB")
    for outcome, count in sorted(report.outcomes.items()):
        print(f"{count:8}  {outcome}")
    print(f"{len(report.findings)} findings, in {folder / 'findings'}")
    for what, said in sorted(report.findings.items()):
        print(f"  {what}\n      {said}")


if __name__ == "__main__":
    main()
