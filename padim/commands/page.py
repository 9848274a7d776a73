"""The page of a run, report.html, from what Hydra and the run know."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra.core.hydra_config import HydraConfig
from pytorch_lightning import Trainer

from padim.data.module import ImageDataModule
from padim.evaluation import Tested
from padim.kinds import Kind
from padim.method import Method
from padim.run_page.page import Run, write_page


def draw_page(
    trainer: Trainer,
    module: Method,
    data: ImageDataModule,
    output_dir: Path,
    tested: Tested,
    metrics: Mapping[str, float],
    kinds: Sequence[Kind],
) -> None:
    """Write report.html.

    Args:
        module: tested.
        metrics: all that metrics.json has.
    """
    hydra = HydraConfig.get()
    run = Run(
        command=shlex.join([f"padim-{hydra.job.name}", *hydra.overrides.task]),
        config=module.config if hydra.output_subdir is None else _composed(output_dir / hydra.output_subdir),
        module=module.eval(),  # Lightning goes back to the mode of the fit after a test
        test_set=data.test_set,
        held_out=getattr(data, "calibration_set", None),  # there where the run was a fit
        skipped=data.skipped,
        batch_size=data.batch_size,
        device=trainer.strategy.root_device,
        tested=tested,
        metrics=metrics,
        kinds=kinds,
    )
    write_page(run, output_dir / "report.html")


def _composed(folder: Path) -> dict[str, Any]:
    """The configuration of this job as Hydra keeps it; to be had from nothing else, whose references are resolved."""
    return yaml.safe_load((folder / "config.yaml").read_text())
