"""padim-ablate: fit and test a list of heads over one backbone, in one pass over the images."""

import gc
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning import Trainer
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only

from padim.ablation import AblationModule
from padim.cells import Cell, expand
from padim.commands import CONF
from padim.commands.execution import settle_execution
from padim.commands.finished import finishing, leave_out
from padim.commands.interruption import interruptible
from padim.commands.output import write_csv, write_curves, write_json, write_predictions
from padim.commands.run import peak_memory_mb, settle_image_size, test, write_skipped
from padim.commands.tracking import logged_trainers
from padim.commands.trainer import callbacks_of
from padim.commands.wandb_run import WandbRun
from padim.data.module import ImageDataModule
from padim.evaluation import METRICS, Tested, explain
from padim.progress import Counting


@hydra.main(version_base="1.3", config_path=CONF, config_name="ablate")
def main(config: DictConfig) -> None:
    output_dir = Path(HydraConfig.get().runtime.output_dir)
    if leave_out(output_dir, config):
        return
    with interruptible(), finishing(output_dir, config) as identity:
        ablate(config, output_dir, identity)


def ablate(config: DictConfig, output_dir: Path, identity: dict[str, Any]) -> None:
    """One run.

    Args:
        identity: the configuration by which an unfinished fit is known again.
    """
    settle_image_size(config)
    cells = expand(plain(config.heads))
    data = instantiate(config.data)
    rank_zero_only(data.prepare_data)()  # before the clock starts; Lightning will find it done
    facts = {"fit_seconds": 0.0, "test_seconds": 0.0}
    heads: dict[str, Tested] = {}
    unfinished = (output_dir / "progress").absolute()
    with logged_trainers(config, output_dir) as (new_trainer, logger):
        for number, some in enumerate(passes(cells, config.heads_per_pass)):
            progress = Counting(unfinished / str(number), identity, config.save_every)
            heads |= one_pass(config, some, data, new_trainer, progress, facts)
            gc.collect()  # a trainer and its module hold one another
        report(cells, heads, data, facts, output_dir, logger)
    rank_zero_only(shutil.rmtree)(unfinished, ignore_errors=True)


@rank_zero_only
def report(
    cells: Sequence[Cell],
    heads: Mapping[str, Tested],
    data: ImageDataModule,
    facts: dict[str, float],
    output_dir: Path,
    logger: Logger,
) -> None:
    """Write what the heads gave, and print it."""
    scores = {name: head.scores for name, head in heads.items()}
    write_predictions(data.test_set.samples, scores, output_dir / "predictions.csv")
    write_curves({name: head.curves for name, head in heads.items()}, output_dir / "curves.csv")
    rows = [[cell.name, *asdict(cell).values(), *map(heads[cell.name].results.get, METRICS)] for cell in cells]
    header = ["name", *asdict(cells[0]), *METRICS]
    write_csv(header, rows, output_dir / "heads.csv")
    if isinstance(logger, WandbRun):
        logger.log_rows("heads", header, rows)
    facts |= write_skipped(data, output_dir)
    write_json(facts | {"peak_memory_mb": peak_memory_mb()}, output_dir / "metrics.json")  # last: the run is whole
    print(table(rows, facts, output_dir), *explain(heads[cells[0].name].unmeasured), sep="\n", flush=True)


def plain(config: DictConfig) -> Any:
    return OmegaConf.to_container(config, resolve=True)


def passes(cells: Sequence[Cell], heads_per_pass: int | None) -> list[Sequence[Cell]]:
    """The heads of each pass over the images."""
    if heads_per_pass is None:
        return [cells]
    if heads_per_pass < 1:
        raise ValueError(f"heads_per_pass={heads_per_pass}; it must be 1 or more, or null: all in one pass")
    return [cells[start : start + heads_per_pass] for start in range(0, len(cells), heads_per_pass)]


def one_pass(
    config: DictConfig,
    cells: Sequence[Cell],
    data: ImageDataModule,
    new_trainer: Callable[[], Trainer],
    progress: Counting,
    facts: dict[str, float],
) -> dict[str, Tested]:
    """Fit and test some heads, whose memory is free again afterwards; add what it took to the facts."""
    module = AblationModule(plain(config.backbone), cells, data.image_size, plain(config.anomaly_map))
    settle_execution(config.execution, module)
    trainer, start = new_trainer(), time.perf_counter()
    callbacks_of(trainer).append(progress)
    trainer.fit(module, data)
    fitted = time.perf_counter()
    test(trainer, module, data)
    facts["fit_seconds"] += fitted - start
    facts["test_seconds"] += time.perf_counter() - fitted
    heads = module.tested
    facts |= {"train_images": module.heads.fitted, "test_images": max(len(head.scores) for head in heads.values())}
    for logger in trainer.loggers:
        logger.log_metrics(facts)
    data.trainer = None  # which holds the module
    return heads


def table(rows: Sequence[Sequence[Any]], facts: dict[str, float], output_dir: Path) -> str:
    width = max(len(row[0]) for row in rows)
    lines = [f"{'':{width}}  image AUROC  pixel AUROC     PRO"]
    for name, *_, image, pixel, pro in rows:
        cells = ["-" if value is None else f"{value:.4f}" for value in (image, pixel, pro)]
        lines.append(f"{name:{width}}  {cells[0]:>11}  {cells[1]:>11}  {cells[2]:>6}")
    lines.append(f"fit {facts['fit_seconds']:.1f} s, test {facts['test_seconds']:.1f} s, written to {output_dir}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
