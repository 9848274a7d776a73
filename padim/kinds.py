"""How well each kind of anomaly is found, by the scores of the images."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from padim.curves import curve_area, score_counts

GOOD = "good"


class Kind(NamedTuple):
    """The test images of one kind.

    Attributes:
        kind: ``good``, or the name of a defect.
        images: how many there are.
        mean_score: of them.
        image_auroc: of their scores against those of the good images; None for the good ones and without any.
    """

    kind: str
    images: int
    mean_score: float
    image_auroc: float | None


def by_kind(kinds: Sequence[str], scores: Sequence[float]) -> list[Kind]:
    """One row for each kind, the good ones first, the others by name.

    Args:
        kinds: of the images.
        scores: of the same images.
    """
    of_kind: dict[str, list[float]] = {}
    for kind, score in zip(kinds, scores, strict=True):
        of_kind.setdefault(kind, []).append(score)
    tensors = {kind: torch.tensor(of_kind[kind], dtype=torch.float64) for kind in sorted(of_kind)}
    good = tensors.get(GOOD)
    order = sorted(tensors, key=lambda kind: kind != GOOD)
    return [Kind(kind, len(tensors[kind]), tensors[kind].mean().item(), _auroc(good, kind, tensors)) for kind in order]


def _auroc(good: Tensor | None, kind: str, scores: dict[str, Tensor]) -> float | None:
    if good is None or kind == GOOD:
        return None
    labels = torch.arange(len(good) + len(scores[kind])) >= len(good)
    return curve_area(*score_counts(torch.cat([good, scores[kind]]), labels))[0].item()
