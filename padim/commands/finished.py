"""Which runs have ended well, so that a sweep that is started again leaves them out."""

import gc
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.utilities import rank_zero_only

from padim.writing import whole

log = logging.getLogger(__name__)

NAME = "finished.json"
ELSEWHERE = ("hydra", "output_dir", "logger", "objective", "save_every")
HARDWARE = ("accelerator", "devices", "num_nodes", "strategy", "use_distributed_sampler")


def identity(config: DictConfig) -> dict[str, Any]:
    """The configuration without what decides only where and by how many processes a run is done and how it is tracked.

    As it is composed, so that it is the same in the process that launches a sweep and in the job. A checkpoint is
    known by its size and time as well, since another can take its place.
    """
    found = cast(dict[str, Any], OmegaConf.to_container(config))
    if (checkpoint := Path(str(found.get("checkpoint", "")))).is_file():
        found["checkpoint"] = [str(checkpoint), checkpoint.stat().st_size, checkpoint.stat().st_mtime_ns]
    trainer = {name: value for name, value in found["trainer"].items() if name not in HARDWARE}
    return {name: value for name, value in found.items() if name not in ELSEWHERE} | {"trainer": trainer}


def is_finished(output_dir: Path, config: DictConfig) -> bool:
    """Whether a run of this very configuration has ended well there."""
    path = output_dir / NAME
    return path.is_file() and json.loads(path.read_text()) == identity(config)


def leave_out(output_dir: Path, config: DictConfig) -> bool:
    """Whether this job of a sweep has been done; says so. A run by itself is done again."""
    if HydraConfig.get().mode != RunMode.MULTIRUN or not is_finished(output_dir, config):
        return False
    log.info("%s has finished already; delete it to run it again", output_dir)
    return True


@contextmanager
def finishing(output_dir: Path, config: DictConfig) -> Iterator[dict[str, Any]]:
    """Mark the run as finished once it has ended well, the last thing that it writes; gives its identity."""
    composed, path = identity(config), output_dir / NAME
    _remove(path)
    yield composed
    gc.collect()  # a trainer and its module hold one another, and would be there beside those of the next job
    _write(path, json.dumps(composed, indent=1))


@rank_zero_only
def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


@rank_zero_only
def _write(path: Path, content: str) -> None:
    with whole(path) as part:
        part.write_text(content)
