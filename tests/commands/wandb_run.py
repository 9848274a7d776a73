"""Read what an offline W&B run has logged, without W&B's server.

The file is a LevelDB log: a header of 7 bytes, then blocks of 32 KiB of records (checksum 4, length 2, type 1: whole,
first, middle, last), each a protobuf message.
"""

import json
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import wandb
from wandb.proto import wandb_internal_pb2

BLOCK = 32 * 1024
WHOLE, LAST = 1, 4


@dataclass
class Run:
    """What a run has logged.

    Attributes:
        config: of the run.
        summary: the last value of everything.
        listed: project, group, job_type, name, tags and commit.
        artifacts: the files of each, by its type.
    """

    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    listed: dict[str, Any] = field(default_factory=dict)
    artifacts: dict[str, list[str]] = field(default_factory=dict)
    exit_code: int | None = None


def read_run(path: Path) -> Run:
    wandb.teardown()  # finish() asks W&B's service to close the file and does not wait; this does
    run = Run()
    for record in _records(path.read_bytes()):
        match record.WhichOneof("record_type"):
            case "run":
                run.config |= _values(record.run.config.update)
                run.listed = _listed(record.run)
            case "config":
                run.config |= _values(record.config.update)
            case "history":
                run.summary |= _values(record.history.item)
            case "artifact":
                files = run.artifacts.setdefault(record.artifact.type, [])
                files += [entry.local_path for entry in record.artifact.manifest.contents]
            case "exit":
                run.exit_code = record.exit.exit_code
    return run


def read_runs(folder: Path) -> list[Run]:
    """All runs below a folder, in the order of their paths."""
    return [read_run(path) for path in sorted(folder.glob("**/wandb/offline-run-*/run-*.wandb"))]


def _listed(run: Any) -> dict[str, Any]:
    named = {"project": run.project, "group": run.run_group, "job_type": run.job_type, "name": run.display_name}
    return named | {"tags": list(run.tags), "commit": run.git.commit}


def _records(content: bytes) -> Iterator[Any]:
    if content[:4] != b":W&B":
        raise ValueError("this is not a file of a W&B run")
    position, message = 7, b""
    while position + 7 <= len(content):
        left = BLOCK - position % BLOCK
        _, length, kind = struct.unpack("<IHB", content[position : position + 7]) if left >= 7 else (0, 0, 0)
        if kind == 0:  # padding to the end of the block
            position += left
            continue
        message += content[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (WHOLE, LAST):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(message)
            message = b""
            yield record


def _values(items: Iterable[Any]) -> dict[str, Any]:
    return {".".join(item.nested_key) or item.key: json.loads(item.value_json) for item in items}
