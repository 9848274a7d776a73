"""The picture of a run: its most and least anomalous test images, and where their scores come from."""

from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor

from padim.data.samples import Batch, ImageDataset
from padim.evaluation import Tested
from padim.method import Method


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
    batch = [dataset[index] for index in chosen]
    anomaly_maps, level_maps = _explain(module, batch)
    titles = ["image", "ground truth", "anomaly map", *(f"due to {name}" for name in module.levels)]

    width, height = 2 * len(titles) + 0.4, 2 * len(chosen) + 0.3
    figure = Figure(figsize=(width, height))
    # By hand: a layout engine draws everything twice, half a second.
    figure.subplots_adjust(0.4 / width, 0.02, 0.995, 1 - 0.3 / height, wspace=0.03, hspace=0.03)
    axes = figure.subplots(len(chosen), len(titles), squeeze=False)
    highest = float(anomaly_maps.nan_to_num(-torch.inf).max())
    for row, index, item, anomaly_map, levels in zip(axes, chosen, batch, anomaly_maps, level_maps, strict=True):
        sample = dataset.samples[index]
        row[0].imshow(item.image.permute(1, 2, 0).numpy())
        row[1].imshow(item.mask.numpy(), cmap="gray", vmin=0, vmax=1)
        for axis, values in zip(row[2:], [anomaly_map, *levels], strict=True):
            axis.imshow(values.numpy(), cmap="inferno", vmin=0, vmax=highest)
        for axis, share in zip(row[3:], tested.shares[index], strict=True):
            axis.text(0.04, 0.94, f"{share:.0%}", color="white", fontsize=9, va="top", transform=axis.transAxes)
        if not item.mask_known:
            row[1].text(0.5, 0.5, "unknown", color="white", ha="center", va="center", transform=row[1].transAxes)
        name = f"{sample.kind}/{sample.path.stem}".encode(errors="backslashreplace").decode()  # need not be Unicode
        row[0].set_ylabel(f"{name}\nscore {tested.scores[index]:.4g}", fontsize=8, parse_math=False)
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=9)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
    figure.savefig(path, dpi=100)


def _explain(module: Method, batch: list[Batch]) -> tuple[Tensor, Tensor]:
    """Anomaly maps (B, H, W) and level maps (B, L, H, W); padding is NaN, which is not drawn."""
    images, padding = torch.stack([item.image for item in batch]), ~torch.stack([item.valid for item in batch])
    with torch.inference_mode():
        prediction = module(images.to(module.device))
        level_maps = module.level_maps(prediction)
    anomaly_maps = prediction.anomaly_map.cpu().masked_fill(padding, torch.nan)
    return anomaly_maps, level_maps.cpu().masked_fill(padding[:, None], torch.nan)
