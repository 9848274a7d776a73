"""A fitted model as one graph without Python: images in, score, anomaly map and level maps out."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from padim.export.facts import Facts
from padim.export.preparation import Preparation
from padim.head import Head
from padim.heads import LayerSum
from padim.model import PaDiM
from padim.scoring import image_score
from padim.whitening import LevelWhitening


class Graph(nn.Module):
    """What is traced.

    Args:
        model: fitted.
        facts: of the model; with ``takes_raw`` images are prepared first, and padding counts nowhere in the score.
    """

    def __init__(self, model: PaDiM, facts: Facts) -> None:
        super().__init__()
        self.model, self.preparation = model, Preparation(facts) if facts.takes_raw else None

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Score (B,), anomaly map (B, H, W) and level maps (B, L, H, W), as :class:`padim.export.predictor.Scored`."""
        if self.preparation is None:
            return self._scored(images)
        ready, valid = self.preparation(images)
        _, anomaly_map, level_maps = self._scored(ready)
        return image_score(anomaly_map, valid.expand_as(anomaly_map)), anomaly_map, level_maps

    def _scored(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        prediction = self.model(images)
        level_maps = cast(Head | LayerSum, self.model.head).level_maps(prediction)
        return prediction.score, prediction.anomaly_map, level_maps


class HalfRows(nn.Module):
    """A level's whitening rows, stored in float16 and used in float32."""

    def __init__(self, level: LevelWhitening) -> None:
        super().__init__()
        self.register_buffer("rows", to_half(level.whitening))
        self.register_buffer("bias", level.bias)

    @property
    def whitening(self) -> Tensor:
        return cast(Tensor, self.rows).float()


def halve(model: PaDiM) -> None:
    """Store all whitening rows of a model in float16. What they lose is of the order of 1e-4 of a score."""
    for head in (module for module in model.modules() if isinstance(module, Head)):
        head.levels = cast(list[LevelWhitening], nn.ModuleList(map(HalfRows, head.levels)))


def to_half(rows: Tensor) -> Tensor:
    """Float16; raises where a number is beyond it."""
    half = rows.half()
    if not half.isfinite().all():
        raise ValueError(
            f"whitening rows reach {rows.abs().max():.3g}, and float16 {torch.finfo(torch.float16).max:.0f}: "
            "export without --half, or fit with a larger covariance.eps"
        )
    return half


def free_axes(facts: Facts) -> dict[int, str]:
    """The sides of the input that may be of any size: of raw images (B, H', W', 3), or of ready ones (B, 3, H, W)."""
    return dict(enumerate(("batch", "height", "width") if facts.takes_raw else ("batch",)))


def trace(model: PaDiM, facts: Facts) -> ExportedProgram:
    """The graph of a fitted model, for any number of images."""
    shape = (2, *facts.resize, 3) if facts.takes_raw else (2, 3, *facts.image_size)
    with torch.no_grad():
        program = torch.export.export(
            Graph(model, facts).eval(),
            (torch.zeros(shape, dtype=torch.uint8),),
            dynamic_shapes=({axis: Dim(name) for axis, name in free_axes(facts).items()},),
        )
    program.graph.eliminate_dead_code()  # torch cannot load the unbinding of an empty table, which the coarsest has
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # paths of this machine
    return program
