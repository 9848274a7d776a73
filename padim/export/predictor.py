"""One interface to every model file that padim reads without running what is in it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import NamedTuple, Protocol, cast, runtime_checkable

import torch
from torch import Tensor
from torch.nn import functional

from padim.checkpoint import load_method
from padim.export.facts import Facts, facts_of, fitting
from padim.export.state import load_safetensors
from padim.extractor import require_images
from padim.method import Method


class Scored(NamedTuple):
    """What a model says of a batch of images, on the CPU.

    Attributes:
        score: (B,) of the images. Where it is the maximum of the anomaly map (``facts.peak``), of a model that pads
            images (``facts.keep_aspect``) it counts the padding, which :func:`padim.scoring.image_score` leaves out; a
            graph that pads by itself leaves it out.
        anomaly_map: (B, H, W) at the image's size, see :class:`padim.scoring.Prediction`.
        level_maps: (B, L, H, W) what each level contributes, coarse first: they add up to the anomaly map.
    """

    score: Tensor
    anomaly_map: Tensor
    level_maps: Tensor


@runtime_checkable
class Predictor(Protocol):
    """A fitted model, whatever file it came from."""

    @property
    def facts(self) -> Facts:
        """How images are prepared, what the levels are called, and the threshold."""

    def predict(self, images: Tensor) -> Scored:
        """Score images.

        Args:
            images: uint8, (B, 3, H, W), RGB, resized and cropped to ``facts.image_size``.

        Raises:
            ValueError: images of another type or size.
        """


class ModulePredictor:
    """A module of this process, on whatever device it is."""

    def __init__(self, module: Method) -> None:
        self.module, self.facts = module.eval(), facts_of(module)

    @torch.inference_mode()
    def predict(self, images: Tensor) -> Scored:
        prediction = self.module(images.to(self.module.device))
        level_maps = self.module.level_maps(prediction)
        return Scored(prediction.score.cpu(), prediction.anomaly_map.cpu(), level_maps.cpu())


class GraphPredictor:
    """An exported graph.

    Args:
        facts: of the model.
        run: runs it on the CPU: its input in, the three parts of :class:`Scored` out.
    """

    def __init__(self, facts: Facts, run: Callable[[Tensor], Sequence[Tensor]]) -> None:
        self.facts, self.run = facts, run

    def predict(self, images: Tensor) -> Scored:
        require_images(images, self.facts.image_size)
        return Scored(*self.run(self._framed(images) if self.facts.takes_raw else images))

    def _framed(self, images: Tensor) -> Tensor:
        """Raw images (B, H', W', 3) that the graph prepares to just these: it resizes them to their size, and crops."""
        margins = []
        for frame, crop in zip(self.facts.resize[::-1], self.facts.image_size[::-1], strict=True):
            start = (frame - crop) // 2
            margins += [start, frame - crop - start]
        return functional.pad(images, margins).permute(0, 2, 3, 1)


def load_predictor(path: str | Path) -> Predictor:
    """The model of a .ckpt, .safetensors or .onnx file; nothing in the file is run but, by onnxruntime, its graph.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no model of padim, or of a kind that is not read. torch.export's .pt2 is one: torch unpickles
            what is in it, which can be any program (``torch.export.load``: "never load data from an untrusted source").
        ImportError: of an .onnx file, where onnxruntime is not installed.
    """
    path = Path(path)
    match path.suffix:
        case ".ckpt":
            module = load_method(path)
            with fitting(path):
                return ModulePredictor(module)
        case ".safetensors":
            return ModulePredictor(load_safetensors(path))
        case ".onnx":
            return cast(Predictor, onnx_file().load_onnx(path))
        case ".pt2":
            raise ValueError(
                f"{path} is a program of torch.export, and torch.export.load would run whatever code is pickled in it; "
                "give the .ckpt, .safetensors or .onnx file of this model"
            )
    raise ValueError(f"{path} ends in {path.suffix!r}; padim reads .ckpt, .safetensors and .onnx")


def onnx_file() -> ModuleType:
    """:mod:`padim.export.onnx_file`, imported when it is needed: not everybody has onnxruntime."""
    try:
        from padim.export import onnx_file
    except ImportError as error:
        raise ImportError(f"ONNX needs {error.name}, which is not installed: pip install padim[onnx]") from error
    return onnx_file
