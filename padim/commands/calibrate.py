"""The threshold of a fitted model, from normal images."""

import logging
from contextlib import nullcontext
from typing import Any

from pytorch_lightning import Callback, Trainer

from padim.calibration import Calibration
from padim.commands.trainer import callbacks_of
from padim.data.module import ImageDataModule
from padim.evaluation import scores_of
from padim.head import Head
from padim.leave_one_out import FEWEST, leave_one_out, require_exact
from padim.method import Method
from padim.processes import gather

log = logging.getLogger(__name__)


class Scores(Callback):
    """Keeps the scores of predictions, and not their maps."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def on_predict_batch_end(
        self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        self.values += scores_of(outputs, batch, pl_module.peak).tolist()


def heads_of(module: Method) -> list[Head]:
    """The Gaussians of PaDiM; none of another method."""
    return [one for one in module.modules() if isinstance(one, Head)]


def require_possible(source: str, module: Method, data: ImageDataModule) -> None:
    """Raise where a threshold of this source would be wrong, which a fit need not come before.

    Args:
        source: see :class:`padim.calibration.Calibration`.
    """
    if source != "leave_one_out":
        return
    require_exact(heads_of(module))
    if data.calibration_fraction:
        raise ValueError(
            f"calibration=leave_one_out takes its threshold from the fitted images, and dataset.calibration_fraction="
            f"{data.calibration_fraction} keeps others out for none; set it to 0, or calibration=held_out"
        )
    if data.augmentation.repeats > 1:
        raise ValueError(
            f"calibration=leave_one_out would leave one of the {data.augmentation.repeats} views of an image out "
            "(augmentation.repeats) and the others in, so that nothing is known of the threshold; hold images out: "
            "dataset.calibration_fraction, calibration=held_out"
        )


def calibrate(trainer: Trainer, module: Method, data: ImageDataModule, source: str, alpha: float) -> Calibration | None:
    """Score normal images; None where there are too few for the rate, which is told.

    Args:
        source: see :class:`padim.calibration.Calibration`.
        alpha: false-alarm rate.
    """
    if source == "held_out" and not len(data.calibration_set):
        return None
    if source == "leave_one_out" and module.fitted < FEWEST:
        log.warning("no threshold: leaving one of %d images out takes %d at least", module.fitted, FEWEST)
        return None
    data.counted = data.train_names - {entry.name for entry in module.images}  # which trainer.limit_train_batches left
    loader = data.calibration_dataloader() if source == "held_out" else data.train_dataloader()
    kept = Scores()
    callbacks_of(trainer).append(kept)
    with leave_one_out(heads_of(module)) if source == "leave_one_out" else nullcontext():
        trainer.predict(module, loader, return_predictions=False)
    callbacks_of(trainer).remove(kept)
    scores = [score for of_rank in gather(kept.values) for score in of_rank]
    try:
        return Calibration(scores, alpha, source, module.fitted)
    except ValueError as error:
        share = "; dataset.calibration_fraction sets how many are kept out" if source == "held_out" else ""
        log.warning("no threshold: %s%s", error, share)
        return None
