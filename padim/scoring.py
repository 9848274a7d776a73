"""From distances on the finest grid to the anomaly map and the image's score.

Up-sampling and smoothing are both linear and separable, so together they are one constant matrix per axis:
map = A_h M A_w^T.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

INTERPOLATIONS = ("bicubic", "bilinear")


def smoothing_matrix(size: int, grid: int, sigma: float, interpolation: str) -> Float[Tensor, "size grid"]:
    """Up-sampling of one axis from ``grid`` to ``size``, then a Gaussian filter of ``sigma`` pixels, in float64.

    Up-sampling is ``torch.nn.functional.interpolate`` with ``align_corners=False``; the filter is
    ``scipy.ndimage.gaussian_filter`` (edge repeated, truncated at 4 sigma); ``sigma=0`` leaves it out.
    """
    if interpolation not in INTERPOLATIONS:
        raise ValueError(f"unknown interpolation {interpolation!r}; known are {', '.join(INTERPOLATIONS)}")
    if sigma < 0:
        raise ValueError(f"sigma is {sigma} pixels; it must be 0 (no smoothing) or more")
    columns = torch.eye(grid, dtype=torch.float64, device="cpu")[None, :, :, None]  # one image per column of the matrix
    upsample = functional.interpolate(columns, (size, 1), mode=interpolation)[0, :, :, 0].mT
    return _gaussian_matrix(size, sigma) @ upsample if sigma else upsample


def _gaussian_matrix(size: int, sigma: float) -> Float[Tensor, "size size"]:
    radius = int(4 * sigma + 0.5)
    offset = torch.arange(-radius, radius + 1, device="cpu")
    weight = torch.exp(-0.5 * (offset.double() / sigma) ** 2)
    weight = weight / weight.sum()
    row = torch.arange(size, device="cpu")[:, None]
    folded = (row + offset) % (2 * size)  # reflection that repeats the edge has period 2 size
    column = torch.where(folded < size, folded, 2 * size - 1 - folded)
    matrix = torch.zeros(size, size, dtype=torch.float64, device="cpu")
    return matrix.index_put_((row.expand_as(column), column), weight.expand(column.shape), accumulate=True)


def anomaly_map(
    distances: Float[Tensor, "*B h w"], rows: Float[Tensor, "H h"], columns: Float[Tensor, "W w"]
) -> Float[Tensor, "*B H W"]:
    """Distances on the finest grid, up-sampled to the image's size and smoothed."""
    return rows @ distances @ columns.mT


def image_score(anomaly_map: Float[Tensor, "B H W"], valid: Bool[Tensor, "B H W"] | None = None) -> Float[Tensor, " B"]:
    """The maximum of the smoothed anomaly map (PaDiM, section III-C), over the valid pixels where not all are."""
    if valid is not None:
        anomaly_map = anomaly_map.masked_fill(~valid, -torch.inf)
    return anomaly_map.amax((-2, -1))
