"""The picture of a run: its most and least anomalous test images, and where their scores come from."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageOps
from torch import Tensor

from padim.data.samples import Batch, ImageDataset
from padim.evaluation import Tested
from padim.method import Method
from padim.predict.overlay import INK, font, shortened
from padim.run_page.pictures import part
from padim.run_page.rescoring import rescored
from padim.writing import whole

CELL, GAP = 196, 4
LEFT, TOP = 40, 30
"""Pixels: of a picture's side, between two, and of the margins for the names."""


def draw_extremes(module: Method, dataset: ImageDataset, tested: Tested, path: Path, rows: int = 3) -> None:
    """Image, ground truth, anomaly map and level maps of the highest and of the lowest scores.

    Args:
        module: fitted.
        dataset: of the test images.
        tested: their scores, and the shares of the levels.
        path: of the PNG to write.
        rows: images of each sort.
    """
    ranking = sorted(tested.scores, key=lambda index: -tested.scores[index])
    chosen = list(dict.fromkeys(ranking[:rows] + ranking[-rows:]))
    (again,) = rescored(module, dataset, chosen, batch_size=len(chosen))
    batch, anomaly_maps, level_maps = again.items, again.prediction.anomaly_map, again.level_maps
    titles = ["image", "ground truth", "anomaly map", *(f"due to {name}" for name in module.levels)]
    canvas = Image.new("RGB", (LEFT + len(titles) * (CELL + GAP), TOP + len(chosen) * (CELL + GAP)), "white")
    for column, title in enumerate(titles):
        middle = LEFT + column * (CELL + GAP) + CELL // 2, TOP - 8
        ImageDraw.Draw(canvas).text(middle, shortened(title, CELL, font(12)), INK, font(12), anchor="ms")
    highest = float(max(anomaly_map[item.valid].max() for anomaly_map, item in zip(anomaly_maps, batch, strict=True)))
    for row, (index, item) in enumerate(zip(chosen, batch, strict=True)):
        top, sample = TOP + row * (CELL + GAP), dataset.samples[index]
        name = f"{sample.kind}/{sample.path.stem}"
        canvas.paste(_caption([name, f"score {tested.scores[index]:.4g}"]), (0, top))
        pictures = [Image.fromarray(item.image.permute(1, 2, 0).numpy()), _truth(item)]
        pictures += [_map(values, item.valid, highest) for values in (anomaly_maps[row], *level_maps[row])]
        notes = ["", "" if item.mask_known else "unknown", "", *(f"{share:.0%}" for share in tested.shares[index])]
        for column, (picture, note) in enumerate(zip(pictures, notes, strict=True)):
            canvas.paste(_cell(picture, note), (LEFT + column * (CELL + GAP), top))
    with whole(path) as unfinished:
        canvas.save(unfinished, compress_level=2)  # in less than half of the usual time, a fifth larger


def _truth(item: Batch) -> Image.Image:
    return Image.fromarray(255 * item.mask.numpy().astype(np.uint8))


def _map(values: Tensor, valid: Tensor, highest: float) -> Image.Image:
    """In colours from 0 to the highest value; padding is not drawn."""
    drawn = part(values.numpy(), highest, (values.shape[1], values.shape[0]))
    return Image.composite(drawn, Image.new("RGB", drawn.size, "white"), Image.fromarray(valid.numpy()))


def _cell(picture: Image.Image, note: str) -> Image.Image:
    shown = ImageOps.contain(picture.convert("RGB"), (CELL, CELL))
    ImageDraw.Draw(shown).text((8, 6), note, "white", font(12))
    return ImageOps.pad(shown, (CELL, CELL), color="white")


def _caption(lines: Sequence[str]) -> Image.Image:
    """Upwards, beside a row."""
    text = "\n".join(shortened(line, CELL, font(11)) for line in lines)
    beside = Image.new("RGB", (CELL, LEFT), "white")
    ImageDraw.Draw(beside).text((CELL // 2, LEFT // 2), text, INK, font(11), anchor="mm", align="center")
    return beside.rotate(90, expand=True)
