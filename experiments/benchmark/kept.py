"""Measurements that are kept as they are made, so that a run that is stopped goes on where it was."""

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from experiments.benchmark.timing import others_seconds
from padim.writing import whole

OTHERS = "seconds of other processes, and in all"


class Kept:
    """Measurements by name, in a JSON file.

    Args:
        path: of the file; one that is there is gone on with.
        minutes: after so many nothing new is begun.

    Attributes:
        stopped: whether something was left out for that reason.
    """

    def __init__(self, path: Path, minutes: float = math.inf) -> None:
        self.path, self.minutes, self.start = path, minutes, time.perf_counter()
        self.stopped = False
        self.made: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}

    def __call__(self, name: str, measure: Callable[[], Any]) -> Any:
        """What is kept under the name, else what ``measure`` gives: numbers, strings, lists and dictionaries.

        None where it is not there and the minutes are over.
        """
        if name not in self.made:
            if time.perf_counter() - self.start > 60 * self.minutes:
                self.stopped = True
                return None
            start, others = time.perf_counter(), others_seconds()
            self.made[name] = json.loads(json.dumps(measure()))  # as it will be read
            spent = (others_seconds() - others, time.perf_counter() - start)
            self.made[OTHERS] = [sum(pair) for pair in zip(self.made.get(OTHERS, (0, 0)), spent, strict=True)]
            print(f"{name}: {self.made[name]}", flush=True)
            with whole(self.path) as part:
                part.write_text(json.dumps(self.made, indent=1))
        return self.made[name]

    @property
    def others(self) -> float:
        """Cores that other processes used meanwhile."""
        used, taken = self.made[OTHERS]
        return used / taken

    def finish(self) -> None:
        """Remove the file, so that the next run measures anew.

        Raises:
            SystemExit: it is not finished.
        """
        if self.stopped:
            raise SystemExit(f"{self.minutes:g} minutes are over; the same command goes on from {self.path}")
        self.path.unlink()
