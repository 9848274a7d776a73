"""A list of images: a CSV file, or JSON lines."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from padim.data.layout import Layout
from padim.data.samples import Sample

COLUMNS = ("path", "split", "kind", "label", "mask")
LONGEST = 4096
"""Characters of a value."""
LAYOUT = Layout("""  path                 of the image
  split                train or test
  kind                 good, or the name of the defect; in training always good
  label                0 or 1 instead of the kind, or beside it
  mask                 of the anomalous image (optional)
one image a line, paths relative to the list, in UTF-8,
as CSV with a header (FILE.csv) or as one JSON object a line (FILE.jsonl)""")


def read_manifest(path: Path) -> dict[str, list[Sample]]:
    """The samples of ``train`` and of ``test``, in the order of the list."""
    if not path.is_file():
        raise LAYOUT.missing(f"dataset.manifest={path} is no file")
    samples: dict[str, list[Sample]] = {"train": [], "test": []}
    lines: dict[str, str] = {}
    for where, row in _rows(path):
        sample = _sample(row, path.parent, where)
        name = sample.name(path.parent)
        if name in lines:
            raise LAYOUT.wrong(f"{where}: {sample.path} is listed already, {lines[name]}; list an image once")
        lines[name] = where
        samples[_split(row, sample, where)].append(sample)
    if not samples["train"]:
        raise LAYOUT.wrong(f"{path} lists no training images: none of its {len(lines)} has split=train")
    return samples


def _rows(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Where each row stands, and its columns that are not empty."""
    read = _csv_rows if path.suffix.lower() == ".csv" else _json_rows
    for number, row in read(path, LAYOUT.lines(path)):
        where = f"{path}, line {number}"
        _require_known(row, where)
        if any(isinstance(value, list | dict) or len(str(value)) > LONGEST for value in row.values()):
            raise LAYOUT.wrong(f"{where}: a value that is no text, or has more than {LONGEST} characters")
        yield where, {name: str(value).strip() for name, value in row.items() if value not in (None, "")}


def _csv_rows(path: Path, lines: Iterator[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.DictReader(lines)
    try:
        _require_known(reader.fieldnames or [], f"{path}, line 1")
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise LAYOUT.wrong(f"{path}, line {reader.line_num + 1}: no CSV ({error})") from error


def _json_rows(path: Path, lines: Iterator[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line) if line.strip() else {}
        except (RecursionError, ValueError) as error:
            raise LAYOUT.wrong(f"{path}, line {number}: no JSON ({error})") from error
        if not isinstance(row, dict):
            raise LAYOUT.wrong(f"{path}, line {number}: no JSON object but {line.strip()[:40]!r}")
        if row:
            yield number, row


def _require_known(names: Any, where: str) -> None:
    unknown = [str(name or "(a value without a column)")[:40] for name in names if name not in COLUMNS]
    if unknown:
        raise LAYOUT.wrong(f"{where}: unknown column {', '.join(unknown[:5])}; known are {', '.join(COLUMNS)}")


def _sample(row: dict[str, str], folder: Path, where: str) -> Sample:
    if "path" not in row:
        raise LAYOUT.wrong(f"{where}: no path")
    sample = Sample(folder / row["path"], _kind(row, where), folder / row["mask"] if "mask" in row else None)
    for path in (sample.path, sample.mask):
        if isinstance(path, Path) and not _is_file(path):
            raise LAYOUT.missing(f"{where}: {path} is no file; paths are relative to {folder}")
    if sample.mask is not None and not sample.label:
        raise LAYOUT.wrong(
            f"{where}: {sample.path} is normal and has a mask, {sample.mask}; correct its kind or its mask"
        )
    return sample


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that no file can have, such as one that is too long
        return False


def _kind(row: dict[str, str], where: str) -> str:
    label, kind = row.get("label"), row.get("kind")
    if label not in (None, "0", "1"):
        raise LAYOUT.wrong(f"{where}: label={label}; it must be 0 (normal) or 1 (anomalous)")
    if kind is None and label is None:
        if row.get("split") == "train":
            return "good"
        raise LAYOUT.wrong(f"{where}: a test image has neither kind nor label")
    if kind is None:
        return "good" if label == "0" else "bad"
    if label is not None and (label == "0") != (kind == "good"):
        raise LAYOUT.wrong(f"{where}: label={label} and kind={kind} contradict each other; label 0 means the kind good")
    return kind


def _split(row: dict[str, str], sample: Sample, where: str) -> str:
    split = row.get("split", "")
    if split not in ("train", "test"):
        raise LAYOUT.wrong(f"{where}: split={split or 'nothing'}; it must be train or test")
    if split == "train" and sample.label:
        raise LAYOUT.wrong(f"{where}: {sample.path} is {sample.kind} and for training; only good images are fitted")
    return split
