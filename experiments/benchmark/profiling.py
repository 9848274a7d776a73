"""Where the time of whole commands goes, on small images and on large ones."""

from pathlib import Path

from experiments.benchmark import processes
from experiments.benchmark.large import SIDE, enlarge
from experiments.benchmark.stages import table


def profile(real: tuple[str, ...], images: str, drawn: Path, device: tuple[str, ...]) -> str:
    """A column for each of two commands on two sets of images.

    Args:
        real: overrides that choose the first set.
        images: folder of these.
        drawn: category of a drawn data set, from which large images are made.
        device: overrides that choose it.
    """
    large = drawn.parent / "large"
    enlarge(drawn, large)
    first = processes.stages(real, images)
    second = processes.stages(("dataset=folder", f"dataset.root={large}", *device), str(large))
    names = [f"`padim-{name}`, {what}" for what in ("256 pixels", f"{SIDE} pixels") for name in ("train", "predict")]
    return table(dict(zip(names, [*first, *second], strict=True)))
