"""From distances on the finest grid to the anomaly map and the image's score.

Up-sampling and smoothing are both linear and separable, so together they are one constant matrix per axis:
map = A_h M A_w^T.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from padim.precision import full_precision

INTERPOLATIONS = ("bicubic", "bilinear")


class Prediction(NamedTuple):
    """What a model says of a batch of images.

    Attributes:
        score: (B,) of the images.
        anomaly_map: (B, H, W) at the image's size; of PaDiM the smoothed Mahalanobis distance (not squared). Of a
            method that does not localise it is the score, everywhere.
        level_distances: of PaDiM, of each level, coarse first, (B, h, w): |z_l|^2 / M on the finest grid, which sum to
            the distance M. Of a :class:`padim.heads.LayerSum`: the distance of each layer on that layer's own grid.
    """

    score: Tensor
    anomaly_map: Tensor
    level_distances: tuple[Tensor, ...] = ()


def smoothing_matrix(size: int, grid: int, sigma: float, interpolation: str) -> Float[Tensor, "size grid"]:
    """Up-sampling of one axis from ``grid`` to ``size``, then a Gaussian filter of ``sigma`` pixels, in float64.

    Up-sampling is ``torch.nn.functional.interpolate`` with ``align_corners=False``; the filter is
    ``scipy.ndimage.gaussian_filter`` (edge repeated, truncated at 4 sigma); ``sigma=0`` leaves it out.

    Raises:
        ValueError: another interpolation, or a sigma below 0 or above ``size``.
    """
    if interpolation not in INTERPOLATIONS:
        raise ValueError(f"unknown interpolation {interpolation!r}; known are {', '.join(INTERPOLATIONS)}")
    if not 0 <= sigma <= size:
        raise ValueError(f"sigma is {sigma} pixels; it must be 0 (no smoothing) to {size}, the side of the image")
    columns = torch.eye(grid, dtype=torch.float64, device="cpu")[None, :, :, None]  # one image per column of the matrix
    upsample = functional.interpolate(columns, (size, 1), mode=interpolation)[0, :, :, 0].mT
    return _gaussian_matrix(size, sigma) @ upsample if sigma else upsample


def _gaussian_matrix(size: int, sigma: float) -> Float[Tensor, "size size"]:
    radius = int(4 * sigma + 0.5)
    offset = torch.arange(-radius, radius + 1, device="cpu")
    weight = torch.exp(-0.5 * (offset.double() / sigma) ** 2)
    period = 2 * size  # of a reflection that repeats the edge
    folded = torch.zeros(period, dtype=torch.float64, device="cpu").index_add_(
        0, offset % period, weight / weight.sum()
    )
    row, column = torch.arange(size, device="cpu")[:, None], torch.arange(size, device="cpu")
    return folded[(column - row) % period] + folded[(-1 - column - row) % period]  # a pixel, and its reflection


def anomaly_map(
    distances: Float[Tensor, "*B h w"], rows: Float[Tensor, "H h"], columns: Float[Tensor, "W w"]
) -> Float[Tensor, "*B H W"]:
    """Distances on the finest grid, up-sampled to the image's size and smoothed."""
    with full_precision(distances.device):
        return rows @ distances @ columns.mT


def map_at(
    pixels: Int[Tensor, "B 2"],
    distances: Float[Tensor, "B L h w"],
    rows: Float[Tensor, "H h"],
    columns: Float[Tensor, "W w"],
) -> Float[Tensor, "B L"]:
    """What :func:`anomaly_map` has at one pixel of each image, without the rest of it."""
    with full_precision(distances.device):
        return torch.einsum("bh,blhw,bw->bl", rows[pixels[:, 0]], distances, columns[pixels[:, 1]])


def peak(anomaly_map: Float[Tensor, "B H W"], valid: Bool[Tensor, "B H W"]) -> Int[Tensor, "B 2"]:
    """Row and column of the maximum over the valid pixels."""
    index = anomaly_map.masked_fill(~valid, -torch.inf).flatten(1).argmax(1)
    return torch.stack([index // anomaly_map.shape[2], index % anomaly_map.shape[2]], 1)


def image_score(anomaly_map: Float[Tensor, "B H W"], valid: Bool[Tensor, "B H W"] | None = None) -> Float[Tensor, " B"]:
    """The maximum of the smoothed anomaly map (PaDiM, section III-C), over the valid pixels where not all are."""
    if valid is not None:
        anomaly_map = anomaly_map.masked_fill(~valid, -torch.inf)
    return anomaly_map.amax((-2, -1))
