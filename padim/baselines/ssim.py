"""The structural similarity of two images (Wang et al. 2004), as Bergmann et al. 2018 take it, arXiv 1807.02011."""

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

C1, C2 = 0.01, 0.03
"""Bergmann et al.'s; those of Wang et al. are the squares."""


def ssim(one: Float[Tensor, "B C H W"], other: Float[Tensor, "B C H W"], window: int) -> Float[Tensor, "B C H W"]:
    """Of the windows around each pixel, in [-1, 1]; 1 where they are equal.

    SSIM = (2 m n + C1) (2 c + C2) / ((m^2 + n^2 + C1) (s^2 + t^2 + C2)), equation 8 of Bergmann et al., with the means
    m and n, the variances s^2 and t^2 and the covariance c of two windows, in which all pixels weigh the same. At the
    border a window is as much of it as lies in the image.

    Args:
        one, other: of values whose range is 1.
        window: side, pixels, odd.
    """
    mean, other_mean = _mean(one, window), _mean(other, window)
    variances = _mean(one**2 + other**2, window) - mean**2 - other_mean**2
    covariance = _mean(one * other, window) - mean * other_mean
    luminance = (2 * mean * other_mean + C1) / (mean**2 + other_mean**2 + C1)
    return luminance * (2 * covariance + C2) / (variances + C2)


def require_odd(window: int) -> int:
    """The side of a window, or raise where it has no pixel in its centre."""
    if window < 1 or window % 2 == 0:
        raise ValueError(f"model.window={window}; it must be odd, such as 11, lest it have no pixel in its centre")
    return window


def _mean(values: Float[Tensor, "B C H W"], window: int) -> Float[Tensor, "B C H W"]:
    """Over the windows; along the columns, then along the rows: 2 x window additions a pixel instead of window^2."""
    for sides in ((window, 1), (1, window)):
        padding = (sides[0] // 2, sides[1] // 2)
        values = functional.avg_pool2d(values, sides, stride=1, padding=padding, count_include_pad=False)
    return values
