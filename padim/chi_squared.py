"""How squared Mahalanobis distances would be distributed if the embeddings were Gaussian.

Readings to hold data against, never thresholds: embeddings are not Gaussian, see :mod:`padim.calibration`.
"""

import numpy as np
from jaxtyping import Float


def chi_squared_quantiles(probabilities: Float[np.ndarray, " Q"], channels: int) -> Float[np.ndarray, " Q"]:
    """Of M^2 under the true mean and covariance: chi-squared with D = ``channels`` degrees of freedom.

    Also the limit of :func:`hotelling_quantiles` for N / D to infinity.
    """
    from scipy import special  # here, since it would slow down the start of commands that never need it

    return 2 * special.gammaincinv(channels / 2, probabilities)


def hotelling_quantiles(probabilities: Float[np.ndarray, " Q"], channels: int, count: int) -> Float[np.ndarray, " Q"]:
    """Of M^2 of a new vector under the mean and the covariance, scatter / (N - 1), of N = ``count`` others.

    Notes:
        N / (N + 1) M^2 is Hotelling's T^2 with N - 1 degrees of freedom, so that
        M^2 ~ (N^2 - 1) D / (N (N - D)) F(D, N - D). With D near N it is many times the chi-squared's.

    References:
        Anderson 2003, *An Introduction to Multivariate Statistical Analysis*, section 5.2.2.

    Raises:
        ValueError: N is not above D, where the covariance has no inverse.
    """
    from scipy import special

    return _scale(channels, count) * special.fdtri(channels, count - channels, probabilities)


def hotelling_above(squared: Float[np.ndarray, " Q"], channels: int, count: int) -> Float[np.ndarray, " Q"]:
    """The probability that M^2 of :func:`hotelling_quantiles` is above each of these."""
    from scipy import special

    return special.fdtrc(channels, count - channels, squared / _scale(channels, count))


def _scale(channels: int, count: int) -> float:
    if count <= channels:
        raise ValueError(
            f"{count} images give no invertible covariance of {channels} channels; it takes more than those"
        )
    return (count**2 - 1) * channels / (count * (count - channels))
