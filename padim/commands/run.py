"""What the commands share: a trainer, a test, and what a run leaves behind."""

import logging
import re
import resource
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import wandb
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.loggers import WandbLogger

from padim.backbone import native_size
from padim.checkpoint import AtomicCheckpointIO
from padim.commands.output import write_csv, write_curves, write_json, write_predictions
from padim.data.module import ImageDataModule
from padim.data.tolerance import Skipped
from padim.evaluation import explain
from padim.figure import draw_extremes
from padim.module import PaDiMModule

rank_zero = logging.getLogger("pytorch_lightning.utilities.rank_zero")

EXPECTED_WARNINGS = (
    "Found .* module.* in eval mode",  # a frozen backbone has no training mode
    "The '.*_dataloader' does not have many workers",  # they would compete with the backbone for the same cores
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",  # Lightning 2.6 on torch 2.15, at every batch
)
_METRICS = {"image AUROC": "image_auroc", "pixel AUROC": "pixel_auroc", "PRO": "pro"}


def settle_image_size(config: DictConfig) -> None:
    """Where the data set names no size, take that of the network's own training, of the whole image."""
    if config.dataset.image_size is None:
        config.dataset.image_size = list(native_size(config.backbone.name, config.backbone.tag))
    if config.dataset.resize is None:
        config.dataset.resize = config.dataset.image_size


@contextmanager
def logged_trainer(config: DictConfig, output_dir: Path) -> Iterator[Trainer]:
    """The configured trainer."""
    with logged_trainers(config, output_dir) as new_trainer:
        yield new_trainer()


@contextmanager
def logged_trainers(config: DictConfig, output_dir: Path) -> Iterator[Callable[[], Trainer]]:
    """Makes configured trainers with one logger, which is closed at the end, lest it leak into the next job of a sweep.

    A trainer counts its epochs: a second fit takes a second trainer.
    """
    level = rank_zero.level
    failed = True
    with warnings.catch_warnings():
        for message in EXPECTED_WARNINGS:
            warnings.filterwarnings("ignore", message)
        rank_zero.setLevel(logging.WARNING)  # no advertisements
        logger = instantiate(config.logger, save_dir=output_dir)
        try:
            logger.log_hyperparams(OmegaConf.to_container(config, resolve=True))
            yield lambda: instantiate(config.trainer, logger=logger, plugins=[AtomicCheckpointIO()])
            failed = False
        finally:
            rank_zero.setLevel(level)
            logger.finalize("failed" if failed else "success")
            if isinstance(logger, WandbLogger):
                wandb.finish(exit_code=int(failed))


def test_and_report(
    trainer: Trainer, module: PaDiMModule, data: ImageDataModule, output_dir: Path, facts: dict[str, float]
) -> None:
    """Test, then write metrics.json, predictions.csv, curves.csv and extremes.png, and print a table.

    Without test images the first three are written all the same, with what there is.

    Args:
        facts: numbers about the fit, for metrics.json.
    """
    start = time.perf_counter()
    test(trainer, module, data)
    facts = facts | {
        "test_seconds": time.perf_counter() - start,
        "test_images": len(module.evaluation.scores),
        "peak_memory_mb": peak_memory_mb(),
    }
    facts |= write_skipped(data, output_dir)
    metrics = module.results | facts
    write_json(metrics, output_dir / "metrics.json")
    write_predictions(data.test_set.samples, {"score": module.evaluation.scores}, output_dir / "predictions.csv")
    write_curves({"padim": module.evaluation.curves()}, output_dir / "curves.csv")
    picture = output_dir / "extremes.png"
    if module.evaluation.scores:
        draw_extremes(module.model, data.test_set, module.evaluation.scores, picture)
    for logger in trainer.loggers:
        logger.log_metrics(facts)  # the module has logged its results
        if isinstance(logger, WandbLogger) and picture.exists():
            logger.log_image("extremes", [str(picture)])
    print(_table(metrics, output_dir), *explain(module.evaluation.unmeasured()), sep="\n", flush=True)


def test(trainer: Trainer, module: LightningModule, data: ImageDataModule) -> None:
    """Test, unless there is nothing to test on, which Lightning would warn of."""
    if not hasattr(data, "test_set"):  # which a fit has listed already
        data.prepare_data()
        data.setup("test")
    if len(data.test_set):
        trainer.test(module, data, verbose=False)


def write_skipped(data: ImageDataModule, output_dir: Path) -> dict[str, float]:
    """List the images that were left out, in skipped.csv; their number, where leaving out is allowed."""
    if data.on_error == "raise":
        return {}
    write_csv(Skipped._fields, sorted(data.skipped.values()), output_dir / "skipped.csv")
    return {"skipped_images": len(data.skipped)}


def peak_memory_mb() -> float:
    """Peak resident set of this process, MiB."""
    status = Path("/proc/self/status")
    if status.exists():  # on Linux ru_maxrss starts at the peak of the process that launched this one
        (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", status.read_text())
        return int(peak) / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def _table(metrics: dict[str, float], output_dir: Path) -> str:
    rows = [(name, f"{metrics[key]:.4f}") for name, key in _METRICS.items() if key in metrics]
    if "fit_seconds" in metrics:
        rows.append(("fit", f"{metrics['fit_seconds']:.1f} s, {metrics['train_images']} images"))
    rows.append(("test", f"{metrics['test_seconds']:.1f} s, {metrics['test_images']} images"))
    if skipped := metrics.get("skipped_images"):
        rows.append(("skipped", f"{skipped} images that cannot be read, listed in skipped.csv"))
    rows.append(("peak memory", f"{metrics['peak_memory_mb']:.0f} MiB"))
    rows.append(("written to", str(output_dir)))
    return "\n".join(f"{name:>14}  {value}" for name, value in rows)
