"""Lightning glue for many heads over one backbone: one pass to fit them, one to test them."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from padim import memory
from padim.backbone import Backbone
from padim.cells import Cell
from padim.evaluation import Evaluation
from padim.heads import Heads
from padim.model import PaDiM
from padim.one_epoch import OneEpochModule
from padim.scoring import Prediction
from padim.sharing import HeadFactory


class AblationModule(OneEpochModule):
    """Heads of many configurations.

    Args:
        backbone: arguments of :class:`padim.backbone.Backbone`: name, tag, taps, weights, seed.
        cells: the configurations.
        image_size: height and width of the images.
        anomaly_map: sigma and interpolation, see :func:`padim.scoring.smoothing_matrix`.
    """

    model: PaDiM

    def __init__(
        self,
        backbone: Mapping[str, Any],
        cells: Sequence[Cell],
        image_size: Sequence[int],
        anomaly_map: Mapping[str, Any],
    ) -> None:
        super().__init__([cell.name for cell in cells])
        height, width = image_size
        stages = sorted({stage for cell in cells for stage in cell.stages})
        network = Backbone(**backbone, stages=stages, image_size=(height, width))
        factory = HeadFactory(network.channels, network.grids, stages, network.image_size, anomaly_map)
        with torch.device("meta"):  # to see how much memory they take, without taking it
            require_memory(factory.make(cells), Evaluation())
        self.heads = factory.make(cells)
        self.model = PaDiM(network, self.heads)

    def on_train_end(self) -> None:
        super().on_train_end()
        for statistics in self.heads.statistics:
            statistics.drop()

    @property
    def results(self) -> dict[str, float]:
        return {f"{name}/{key}": value for name, head in self.tested.items() for key, value in head.results.items()}

    def predictions(self, images: Tensor) -> dict[str, Prediction]:
        return self.model(images)


def require_memory(heads: Heads, evaluation: Evaluation) -> None:
    """Raise where the heads, and an evaluation of each, need more than there is."""
    of_statistics = sum(statistics.nbytes for statistics in heads.statistics)
    of_whitening = sum(head.nbytes for head in heads.members)
    of_metrics = len(heads.names) * evaluation.nbytes
    parts = {"the statistics": of_statistics, "their whitening": of_whitening, "the metrics": of_metrics}
    memory.require(f"{len(heads.names)} heads need", parts, "set heads_per_pass, or take fewer heads or dimensions")
