"""From raw pixels of any size to what a model takes, as matrix products: the loader inside a graph.

Pillow's antialiased resizing is linear and separable, image = A_h X A_w^T, with the result of each product rounded to
whole pixel values. Its weights are whole multiples of 2^-22, so that sums in float64 are exact, and the images are
Pillow's to the bit in any runtime. ONNX's own Resize is nearly that in onnxruntime on the CPU, and another one on
CUDA (its issue 25264).
"""

from typing import no_type_check

import PIL
import torch
from torch import Tensor, nn

from padim.export.facts import Facts

Side = int | torch.SymInt
"""Pixels along an axis, unknown while a graph is traced."""
PRECISION = 2.0**22
"""Its inverse is the unit of Pillow's weights of 8-bit images (libImaging/Resample.c, PRECISION_BITS)."""
TURNS = int(PIL.__version__.split(".")[0]) >= 13
"""Whether this Pillow resizes what loses more than twice as much height as width along the height first. The rounding
in between tells the order: by up to 24 of 255 in noise. A graph has that of the Pillow beside which it was made."""


class Preparation(nn.Module):
    """Resizing, padding and cropping as :class:`padim.data.samples.ImageDataset` does them."""

    rows: Tensor
    columns: Tensor

    def __init__(self, facts: Facts) -> None:
        super().__init__()
        self.frame, self.keep_aspect = facts.resize, facts.keep_aspect
        self.kernel = {"bicubic": _cubic, "bilinear": _triangle}[facts.interpolation]
        for name, crop, frame in zip(("rows", "columns"), facts.image_size, facts.resize, strict=True):
            start = (frame - crop) // 2
            self.register_buffer(name, torch.arange(start, start + crop, dtype=torch.float64), persistent=False)

    def forward(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        """Images (B, 3, H, W) of raw ones (B, H', W', 3), both uint8, and which pixels are no padding, (H, W) bool."""
        height, width = self._fitted(raw.shape[1], raw.shape[2])
        down, in_rows = self._matrix(self.rows, raw.shape[1], height, self.frame[0])
        across, in_columns = self._matrix(self.columns, raw.shape[2], width, self.frame[1])
        images = raw.permute(0, 3, 1, 2).double()
        tall = height - raw.shape[1] < 2 * (width - raw.shape[2]).clamp(max=0)
        return _resized(images, down, across, tall).to(torch.uint8), in_rows[:, None] & in_columns

    def _fitted(self, height: Side, width: Side) -> tuple[Tensor, Tensor]:
        """Height and width of an image in the frame, see :meth:`padim.data.scaling.Scaling.fitted`."""
        frame = self.rows.new_tensor(self.frame)
        if self.keep_aspect:
            sides = torch.stack([torch.scalar_tensor(side, dtype=frame.dtype) for side in (height, width)])
            frame = ((frame / sides).amin(0) * sides).round().clamp(min=1)
        return frame[0], frame[1]

    def _matrix(self, shown: Tensor, side: Side, fitted: Tensor, frame: int) -> tuple[Tensor, Tensor]:
        """Weights (n, side) of an axis's source pixels at n places of the frame, and which of these are no padding."""
        place = shown - torch.floor((frame - fitted) / 2)
        inside = (place >= 0) & (place < fitted)
        place = torch.remainder(place, 2 * fitted)  # reflection that repeats the edge has period 2 fitted
        place = torch.where(place < fitted, place, 2 * fitted - 1 - place)
        scale = torch.scalar_tensor(side, dtype=fitted.dtype) / fitted
        source = torch.arange(side, dtype=shown.dtype, device=shown.device)
        offset = source + 0.5 - (place[:, None] + 0.5) * scale
        weights = self.kernel(offset.abs() / scale.clamp(min=1))
        return (weights / weights.sum(1, keepdim=True) * PRECISION).round() / PRECISION, inside


def _resized(images: Tensor, down: Tensor, across: Tensor, tall: Tensor) -> Tensor:
    """Both products, in Pillow's order."""
    if not TURNS:
        return _across_first(images, down, across)
    if torch.compiler.is_compiling():  # a graph decides where it runs
        return torch.cond(tall, _down_first, _across_first, (images, down, across))
    return (_down_first if tall else _across_first)(images, down, across)


# The branches of a graph are traced by their bytecode, to which the shape checker of the tests would belong.
@no_type_check
def _across_first(images: Tensor, down: Tensor, across: Tensor) -> Tensor:
    return _rounded(down @ _rounded(images @ across.mT))


@no_type_check
def _down_first(images: Tensor, down: Tensor, across: Tensor) -> Tensor:
    return _rounded(_rounded(down @ images) @ across.mT)


@no_type_check
def _rounded(pixels: Tensor) -> Tensor:
    return (pixels + 0.5).floor().clamp(0, 255)


def _cubic(x: Tensor) -> Tensor:
    """Keys's kernel with a = -1/2."""
    near, far = (1.5 * x - 2.5) * x**2 + 1, (((x - 5) * x + 8) * x - 4) * -0.5
    return torch.where(x < 1, near, torch.where(x < 2, far, 0.0))


def _triangle(x: Tensor) -> Tensor:
    return (1 - x).clamp(min=0)
