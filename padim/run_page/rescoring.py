"""Some test images, scored once more for their maps, which a test does not keep."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Subset

from padim.data.ahead import AheadLoader
from padim.data.samples import Batch, ImageDataset
from padim.method import Method
from padim.scoring import Prediction


class Rescored(NamedTuple):
    """Some images.

    Attributes:
        items: each without the dimension B.
        prediction: of them, (B, ...), on the CPU.
        level_maps: (B, L, H, W), on the CPU.
    """

    items: list[Batch]
    prediction: Prediction
    level_maps: Tensor


def rescored(module: Method, dataset: ImageDataset, indices: Sequence[int], batch_size: int) -> Iterator[Rescored]:
    """Batch by batch; each is gone before the one after the next is there."""
    for items in AheadLoader(Subset(dataset, indices), batch_size=batch_size, collate_fn=list):
        with torch.inference_mode():
            prediction = module(torch.stack([item.image for item in items]).to(module.device))
            level_maps = module.level_maps(prediction).cpu()
        distances = tuple(distance.cpu() for distance in prediction.level_distances)
        on_cpu = prediction._replace(
            score=prediction.score.cpu(), anomaly_map=prediction.anomaly_map.cpu(), level_distances=distances
        )
        yield Rescored(items, on_cpu, level_maps)
