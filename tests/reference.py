"""PaDiM as the paper writes it, slowly: float64, dense, one covariance and one inverse per position."""

import torch
from torch import Tensor

# Tolerance of a Mahalanobis distance by the type that the statistics are kept in: relative, and absolute. The distance
# of a normal patch is near the square root of D, so the latter matters only where a test patch hits the mean.
RTOL = {torch.float32: 1e-4, torch.float64: 1e-10}
ATOL = {torch.float32: 1e-6, torch.float64: 1e-12}

# Grids of three, two or one feature maps: nested, not nested, equal, rectangular.
GRIDS = [
    ((56, 56), (28, 28), (14, 14)),
    ((64, 64), (32, 32), (16, 16)),
    ((57, 57), (29, 29), (15, 15)),
    ((57, 57), (28, 28), (14, 14)),
    ((56, 56), (14, 14), (14, 14)),
    ((14, 14),),
    ((24, 40), (12, 20), (6, 10)),
    ((15, 22), (8, 11), (4, 6)),
    ((19, 10), (10, 5), (5, 5)),
]


def replicate(feature: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, C, h, w) to (B, C, H, W): the nearest coarse vector, always directly to the finest grid."""
    rows, columns = (torch.arange(n) * g // n for n, g in zip(size, feature.shape[2:], strict=True))
    return feature[:, :, rows][:, :, :, columns]


def embed(features: list[Tensor], kept: list[Tensor]) -> Tensor:
    """Concatenated embeddings at every fine position, (H W, B, D) float64."""
    size = max(feature.shape[2:] for feature in features)
    full = [replicate(feature[:, index], size) for feature, index in zip(features, kept, strict=True)]
    return torch.cat(full, 1).double().flatten(2).permute(2, 0, 1)


def moments(embeddings: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (P, D) and scatter matrix (P, D, D) of (P, N, D)."""
    mean = embeddings.mean(1)
    centred = embeddings - mean[:, None]
    return mean, centred.mT @ centred


def distances(train: Tensor, test: Tensor, eps: float) -> Tensor:
    """Mahalanobis distances (P, B) of test embeddings (P, B, D), equations 1 and 2."""
    mean, scatter = moments(train)
    sigma = scatter / (train.shape[1] - 1) + eps * torch.eye(train.shape[2], dtype=torch.float64)
    residual = test - mean[:, None]
    return (residual @ torch.linalg.inv(sigma) * residual).sum(-1).sqrt()
