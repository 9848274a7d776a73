"""What a model file says of its model besides the numbers: plain values, JSON in the file."""

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

from padim.calibration import Calibration
from padim.grids import Grid
from padim.head import Head
from padim.heads import LayerSum
from padim.module import PaDiMModule
from padim.scoring import INTERPOLATIONS

LARGEST = 8192
"""Pixels along a side that a file may ask for."""


@dataclass(frozen=True)
class Facts:
    """What is known of a fitted model.

    Attributes:
        image_size: height and width of the images that it scores: the centre crop of ``resize``.
        resize: height and width that images are resized to before.
        interpolation: of the resizing, ``bicubic`` or ``bilinear``, antialiased as Pillow does it.
        keep_aspect: they are scaled to fit into ``resize`` and padded, instead of stretched; see
            :class:`padim.data.scaling.Scaling`.
        levels: of each level, coarse first, the names of the network's modules that it looks at, joined by " + ".
        calibration: the threshold, None where there is none.
        backbone: timm's name of the network.
        images: how many the model is fitted to.
        version: of padim, that wrote the file.
        takes_raw: the file resizes and crops by itself: its input is uint8 (B, H', W', 3), RGB, of any size.

    Raises:
        ValueError: a value is none of these.
    """

    image_size: Grid
    resize: Grid
    interpolation: str
    keep_aspect: bool
    levels: tuple[str, ...]
    calibration: Calibration | None
    backbone: str
    images: int
    version: str
    takes_raw: bool = False

    def __post_init__(self) -> None:
        require_size(self.resize, "resize")
        require_size(self.image_size, "image_size")
        if any(crop > frame for crop, frame in zip(self.image_size, self.resize, strict=True)):
            raise ValueError(f"image_size={self.image_size} is cut out of resize={self.resize}: no larger")
        if self.interpolation not in INTERPOLATIONS:
            raise ValueError(f"interpolation={self.interpolation!r}; known are {', '.join(INTERPOLATIONS)}")
        if not self.levels or not all(isinstance(level, str) for level in self.levels):
            raise ValueError(f"levels={self.levels!r}; they must be names, one at least")
        if not isinstance(self.keep_aspect, bool) or not isinstance(self.takes_raw, bool):
            raise ValueError(f"keep_aspect={self.keep_aspect!r}, takes_raw={self.takes_raw!r}; both are true or false")

    def to_json(self) -> str:
        """With the threshold itself, for readers without padim."""
        return json.dumps(asdict(self) | {"threshold": self.calibration and self.calibration.threshold})


def facts_of(module: PaDiMModule) -> Facts:
    """The facts of a fitted module; one that was saved by other means than padim-train takes whole images."""
    model, parameters = module.model, cast(Mapping[str, Any], module.hparams)
    head, size = cast(Head | LayerSum, model.head), model.backbone.image_size
    dataset = module.config.get("dataset", {})
    height, width = dataset.get("resize", size)
    return Facts(
        image_size=size,
        resize=(height, width),
        interpolation=dataset.get("interpolation", "bicubic"),
        keep_aspect=dataset.get("keep_aspect", False),
        levels=tuple(" + ".join(model.backbone.taps[m] for m in maps) for maps in head.level_inputs),
        calibration=module.calibration,
        backbone=parameters["backbone"]["name"],
        images=int(head.fitted),
        version=version("padim"),
    )


def read_facts(text: str, path: Path) -> Facts:
    """The facts of a file that anybody may have written.

    Args:
        text: JSON, of :meth:`Facts.to_json`.
        path: of the file, for messages.
    """
    with fitting(path):
        fields = json.loads(text)
        del fields["threshold"]  # which follows from the calibration
        sequences = {name: tuple(fields[name]) for name in ("image_size", "resize", "levels")}
        return Facts(**fields | sequences | {"calibration": read_calibration(fields["calibration"])})


@contextmanager
def fitting(path: Path) -> Iterator[None]:
    """Name the file whose JSON has another content than expected."""
    try:
        yield
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise ValueError(f"what {path} says of its model does not fit this version of padim ({error})") from error


def read_calibration(fields: Any) -> Calibration | None:
    """A threshold from JSON."""
    if fields is None:
        return None
    calibration = Calibration(**fields)
    if not all(isinstance(score, float) and math.isfinite(score) for score in calibration.scores):
        raise ValueError("calibration.scores must be finite numbers")
    return calibration


def require_size(size: Any, name: str) -> None:
    """Raise where this is no height and width of an image."""
    if len(size) != 2 or not all(isinstance(side, int) and 1 <= side <= LARGEST for side in size):
        raise ValueError(f"{name}={size}; it must be a height and a width, 1 to {LARGEST} pixels")
