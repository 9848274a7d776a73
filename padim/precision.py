"""Mixed precision ends where statistics begin: differences of large numbers need the digits of float32."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Without autocast, which ``bf16-mixed`` of Lightning puts around each step: a bfloat16 distance has two digits."""
    if torch.is_autocast_enabled(device.type):  # asked first, since a traced graph would keep the context
        with torch.autocast(device.type, enabled=False):
            yield
    else:
        yield


def require_finite(vectors: Sequence[Tensor]) -> None:
    """Raise where a vector of an image is not finite: in a sum it would be so for all images.

    Args:
        vectors: of each level, coarse first, (P_l, B, d_l).
    """
    sums = torch.stack([level.sum() for level in vectors])  # one pass, and one answer to wait for
    if sums.isfinite().all():
        return
    for number, level in enumerate(vectors):
        odd = ~level.isfinite().all(-1)  # (P, B)
        if odd.any():
            raise ValueError(
                f"the features of {int(odd.any(0).sum())} of {level.shape[1]} images of the batch are NaN or infinite, "
                f"first those of image {int(odd.any(0).nonzero()[0])}, position {int(odd.any(1).nonzero()[0])} of "
                f"level {number}; nothing was counted. Check the network's weights and precision: float16 ends at 65504"
            )
