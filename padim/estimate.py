"""How much memory the fit of a head takes, before any of it is taken."""

import math

from padim import memory
from padim.head import Head
from padim.heads import LayerSum


def require_memory(head: Head | LayerSum) -> None:
    """Raise where a fit needs more memory than there is: its statistics and their whitening, for any images.

    Args:
        head: which may be on the meta device, where it takes none.

    Raises:
        MemoryError: with what would fit.
    """
    members = head.members if isinstance(head, LayerSum) else [head]
    statistics, whitening = sum(one.statistics.nbytes for one in members), sum(one.nbytes for one in members)
    channels = sum(sum(one.statistics.embedding.widths.values()) for one in members)
    free = memory.available()
    # The memory grows with the square of the dimensions, but for the means, which grow with the dimensions alone.
    dim = max(1, int(0.9 * channels * math.sqrt(free / (statistics + whitening))))
    advice = [f"reduction=random reduction.dim={dim}", "fewer layers (layers=l23)", "a smaller dataset.image_size"]
    if statistics <= free and all(one.save_state and one.fits_in_place for one in members):
        advice.insert(0, "model.save_state=false, which writes the whitening over the statistics")
    parts = {"the statistics": statistics, "their whitening": whitening}
    memory.require("for any number of images this fit needs", parts, f"use {', or '.join(advice)}")
