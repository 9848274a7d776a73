"""Whether two runs are one, bit by bit."""

from pathlib import Path

import torch

from padim.checkpoint import read_checkpoint


def same_bits(ours: Path, theirs: Path) -> bool:
    """Of two folders of padim-train: images, parameters and statistics, predictions."""
    states = [read_checkpoint(folder / "padim.ckpt") for folder in (ours, theirs)]
    one, other = (state["state_dict"] for state in states)
    return (
        states[0]["images"] == states[1]["images"]
        and one.keys() == other.keys()
        and all(torch.equal(one[name], other[name]) for name in one)
        and (ours / "predictions.csv").read_bytes() == (theirs / "predictions.csv").read_bytes()
    )
