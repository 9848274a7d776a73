"""The files that predictions go to, one by one: what is written is kept, and a run that was killed goes on from there.

predictions.jsonl   a line an image, see :func:`padim.predict.finding.record_of`; what has been done
predictions.csv     the same as a table, made from it
skipped.csv         images that gave none, and why; they are tried again by the next run
made_with.json      what all of them were made with
"""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from heapq import nlargest
from pathlib import Path
from typing import IO, Any

from padim.predict.images import Broken
from padim.writing import named, whole

COLUMNS = ("path", "score", "p_value", "alarm", "level")
PLACES = ("regions", "boxes", "areas", "peak_x", "peak_y", "width", "height")


class Records:
    """The predictions of one folder.

    Args:
        folder: where the files lie.
        made_with: plain values, on which the predictions depend: those of others are not mixed with these.
        levels: their names, each a column with its share.

    Raises:
        ValueError: the folder holds predictions that were made with something else.
    """

    def __init__(self, folder: Path, made_with: Mapping[str, Any], levels: Sequence[str]) -> None:
        self.lines, self.table, self.skipped = (
            folder / name for name in ("predictions.jsonl", "predictions.csv", "skipped.csv")
        )
        self.levels = levels
        facts = folder / "made_with.json"
        before = json.loads(facts.read_text()) if facts.exists() and any(self) else made_with
        if before != made_with:
            keys = [key for key in {**before, **made_with} if before.get(key) != made_with.get(key)]
            differences = "; ".join(f"{key} was {before.get(key)} and is {made_with.get(key)}" for key in keys)
            raise ValueError(f"{folder} holds other predictions: {differences}; give another output_dir, or the same")
        _replace(facts, [json.dumps(made_with, indent=2) + "\n"])

    def undone(self, paths: Sequence[str]) -> list[str]:
        """Those of these images that are not there yet, or have changed since.

        The files are written anew, without those that have changed and without the half line that a killed run leaves.
        """
        wanted, done = set(paths), set()

        def kept() -> Iterator[str]:
            for line, record in _parsed(self.lines):
                path = record["path"]
                if path not in done and (path not in wanted or is_unchanged(record)):
                    done.add(path)
                    yield line

        _replace(self.lines, kept())
        return [path for path in paths if path not in done]

    def __enter__(self) -> "Records":
        with whole(self.table) as part, _opened(part, "w", -1) as file:
            table = csv.writer(file)
            table.writerow([*COLUMNS, *(f"share {name}" for name in self.levels), *PLACES])
            table.writerows(map(self._row, self))
        with ExitStack() as stack:
            files = ((self.lines, "a"), (self.table, "a"), (self.skipped, "w"))
            self._lines, table_file, skipped_file = (stack.enter_context(_by_lines(*file)) for file in files)
            self._table, self._skipped = csv.writer(table_file), csv.writer(skipped_file)
            self.skip(Broken(*Broken._fields))
            self._open = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def add(self, record: Mapping[str, Any]) -> None:
        with named(self.lines):
            self._lines.write(json.dumps(record) + "\n")
        with named(self.table):
            self._table.writerow(self._row(record))

    def skip(self, broken: Broken) -> None:
        with named(self.skipped):
            self._skipped.writerow(broken)

    def counted(self) -> tuple[int, int]:
        """How many images there are, and how many raise an alarm."""
        alarms = [bool(record["alarm"]) for record in self]
        return len(alarms), sum(alarms)

    def highest(self, count: int) -> dict[str, dict[str, Any]]:
        """So many of the highest scores, as far as the images are still there, by their paths."""
        top = nlargest(count, self, key=lambda record: record["score"])
        return {record["path"]: record for record in top if is_unchanged(record)}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """All there are, in the order in which they were made."""
        return (record for _, record in _parsed(self.lines))

    def _row(self, record: Mapping[str, Any]) -> list[Any]:
        decision = [record["score"], record["p_value"], None if record["alarm"] is None else int(record["alarm"])]
        shares = [record["shares"][name] for name in self.levels]
        peak = record["peak"] or [None, None]
        places = [*_in_columns(record["regions"]), *peak, record["width"], record["height"]]
        return [record["path"], *decision, record["level"], *shares, *places]


def _in_columns(regions: Sequence[Mapping[str, Any]] | None) -> list[Any]:
    """How many, their boxes and their areas; empty where the method has no regions, which is not the same as 0."""
    if regions is None:
        return [None, None, None]
    return [len(regions), *(json.dumps([region[key] for region in regions]) for key in ("box", "area"))]


def is_unchanged(record: Mapping[str, Any]) -> bool:
    """Whether the file of a record is still there and the same, by its size and time."""
    try:
        facts = Path(record["path"]).stat()
    except OSError:
        return False
    return (facts.st_size, facts.st_mtime_ns) == (record["size"], record["mtime_ns"])


def _parsed(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Whole lines, and what they say; a full disk or a power cut may leave others."""
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.endswith("}\n"):
                with suppress(json.JSONDecodeError):
                    yield line, json.loads(line)


def _replace(path: Path, lines: Iterator[str] | list[str]) -> None:
    with whole(path) as part, _opened(part, "w", -1) as file:
        file.writelines(lines)


@contextmanager
def _by_lines(path: Path, mode: str) -> Iterator[IO[str]]:
    """So that what is predicted is on disk. Closing it tries once more what could not be written."""
    with named(path), _opened(path, mode, 1) as file:
        yield file


def _opened(path: Path, mode: str, buffering: int) -> IO[str]:
    """Names of files need not be Unicode."""
    return path.open(mode, buffering, encoding="utf-8", errors="backslashreplace", newline="")
