"""Scoring the fitted images as a model would that had not seen them, without fitting it again."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from padim import gaussian
from padim.head import Head

FEWEST = 3
"""Images, so that those that are left have a covariance."""


@contextmanager
def leave_one_out(heads: Sequence[Head]) -> Iterator[None]:
    """Within, each image that is in the statistics is scored by the Gaussians of the others; then as before.

    Costs a factorisation at the begin and one at the end.

    Raises:
        ValueError: the covariance is not that of the scatter and eps alone, or the images are too few.
        RuntimeError: the statistics are gone.
    """
    require_exact(heads)
    for head in heads:
        head.require_state()
        if head.count < FEWEST:
            raise ValueError(f"leaving one of {head.count} images out leaves no covariance; give at least {FEWEST}")
    given = [head.covariance for head in heads]
    try:
        for head, covariance in zip(heads, given, strict=True):
            head.covariance = replace(covariance, eps=gaussian.eps_without_one(covariance.eps, head.count))
            head.finalise()
            head.leaves_one_out = True
        yield
    finally:
        for head, covariance in zip(heads, given, strict=True):
            head.covariance, head.leaves_one_out = covariance, False
        for head in heads:
            head.finalise()


def require_exact(heads: Sequence[Head]) -> None:
    """Raise where the distances are not known, which a fit need not come before."""
    instead = "hold images out: dataset.calibration_fraction, calibration.source=held_out"
    if not heads:
        raise ValueError(f"leave-one-out distances are known for method=padim alone; for the others {instead}")
    if any(head.covariance.name != "sample" or head.covariance.pool != 1 or head.embedding.learnt for head in heads):
        raise ValueError(
            "leave-one-out distances are known for covariance=eps with a reduction that is drawn; for the others "
            f"{instead}"
        )
