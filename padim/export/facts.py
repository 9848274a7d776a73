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
from padim.method import Method
from padim.scoring import INTERPOLATIONS
from padim.untrusted import reason, require_size


@dataclass(frozen=True)
class Facts:
    """What is known of a fitted model.

    Attributes:
        image_size: height and width of the images that it scores: the centre crop of ``resize``.
        resize: height and width that images are resized to before.
        interpolation: of the resizing, ``bicubic`` or ``bilinear``, antialiased as Pillow does it.
        keep_aspect: they are scaled to fit into ``resize`` and padded, instead of stretched; see
            :class:`padim.data.scaling.Scaling`.
        levels: of each level, coarse first, the names of the network's modules that it looks at, joined by " + ";
            none, where the anomaly map has no parts.
        calibration: the threshold, None where there is none.
        backbone: timm's name of the network, or of a method that has none the method.
        images: how many the model is fitted to.
        version: of padim, that wrote the file.
        localises: whether the anomaly maps say where an image is anomalous.
        peak: whether the score of an image is the maximum of its anomaly map.
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
    localises: bool = True
    peak: bool = True
    takes_raw: bool = False

    def __post_init__(self) -> None:
        require_size(self.resize, "resize")
        require_size(self.image_size, "image_size")
        if any(crop > frame for crop, frame in zip(self.image_size, self.resize, strict=True)):
            raise ValueError(f"image_size={self.image_size} is cut out of resize={self.resize}: no larger")
        if self.interpolation not in INTERPOLATIONS:
            raise ValueError(f"interpolation={self.interpolation!r}; known are {', '.join(INTERPOLATIONS)}")
        if not all(isinstance(level, str) for level in self.levels):
            raise ValueError(f"levels={self.levels!r}; they must be names")
        if not isinstance(self.backbone, str) or not isinstance(self.version, str):
            raise ValueError(f"backbone={self.backbone!r}, version={self.version!r}; both are names")
        if not isinstance(self.images, int) or self.images < 0:
            raise ValueError(f"images={self.images!r}; it is how many the model is fitted to")
        for name in ("keep_aspect", "localises", "peak", "takes_raw"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name}={getattr(self, name)!r}; it is true or false")

    def to_json(self) -> str:
        """With the threshold itself, for readers without padim."""
        return json.dumps(asdict(self) | {"threshold": self.calibration and self.calibration.threshold})


def facts_of(module: Method) -> Facts:
    """The facts of a fitted module; one that was saved by other means than padim-train takes whole images."""
    parameters, size = cast(Mapping[str, Any], module.hparams), module.image_size
    dataset = module.config.get("dataset", {})
    height, width = dataset.get("resize", size)
    return Facts(
        image_size=size,
        resize=(height, width),
        interpolation=dataset.get("interpolation", "bicubic"),
        keep_aspect=dataset.get("keep_aspect", False),
        levels=module.levels,
        calibration=module.calibration,
        backbone=parameters.get("backbone", {}).get("name", module.name),
        images=module.fitted,
        version=version("padim"),
        localises=module.localises,
        peak=module.peak,
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
        if not sequences["levels"]:
            raise ValueError("it has no levels; a model of PaDiM has one at least")
        return Facts(**fields | sequences | {"calibration": read_calibration(fields["calibration"])})


@contextmanager
def fitting(path: Path) -> Iterator[None]:
    """Name the file whose JSON has another content than expected."""
    try:
        yield
    except (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError) as error:
        raise ValueError(
            f"what {path} says of its model does not fit this version of padim ({reason(error)})"
        ) from error


def read_calibration(fields: Any) -> Calibration | None:
    """A threshold from JSON."""
    if fields is None:
        return None
    calibration = Calibration(**fields)
    if not all(isinstance(score, float) and math.isfinite(score) for score in calibration.scores):
        raise ValueError("calibration.scores must be finite numbers")
    return calibration
