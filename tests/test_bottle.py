"""Real MVTec AD images with real ImageNet weights: the figures of the paper.

The references were measured with an independent, dense, float64 implementation on the same images.
"""

import json
from pathlib import Path
from statistics import mean, stdev

import pytest
import torch
from torchmetrics import MetricCollection

from padim.backbone import Backbone
from padim.commands import train
from padim.data.module import ImageDataModule
from padim.data.mvtec import MVTec
from padim.head import Head
from padim.metrics import PRO, PixelAUROC
from padim.model import PaDiM
from tests.commands.test_run import run


def test_all_channels(mvtec: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [f"output_dir={tmp_path}", f"dataset.root={mvtec}", f"backbone.weights={weights}"]
    run(monkeypatch, train.main, "experiment=padim_r18", *files)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["image_auroc"] == pytest.approx(0.9960, abs=0.003)
    assert metrics["pixel_auroc"] == pytest.approx(0.9812, abs=0.003)
    assert metrics["pro"] == pytest.approx(0.9452, abs=0.003)
    assert metrics["pixel_auroc_error_bound"] < 1e-4


def test_a_hundred_random_channels(mvtec: Path, weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Five draws in one pass: the features do not depend on the draw."""
    data = ImageDataModule(MVTec(mvtec, "bottle"), [256, 256], [224, 224])
    backbone = Backbone("resnet18", (1, 2, 3), (224, 224), weights=str(weights))
    heads = [
        Head(backbone.channels, backbone.grids, (224, 224), reduction="random", dim=100, seed=seed) for seed in range(5)
    ]
    metrics = [MetricCollection([PixelAUROC(), PRO()], compute_groups=False) for _ in heads]
    features = PaDiM(backbone, heads[0]).features
    data.setup("fit")
    for batch in data.train_dataloader():
        maps = features(batch.image)
        for head in heads:
            head.update(maps)
    for head in heads:
        head.finalise()
    data.setup("test")
    with torch.inference_mode():
        for batch in data.test_dataloader():
            maps = features(batch.image)
            for head, metric in zip(heads, metrics, strict=True):
                metric.update(head(maps).anomaly_map, batch.mask)
    auroc, pro = ([metric.compute()[name].item() for metric in metrics] for name in ("PixelAUROC", "PRO"))
    with capsys.disabled():
        for name, values in (("pixel AUROC", auroc), ("PRO", pro)):
            spread = f"{mean(values):.4f} +- {stdev(values):.4f}, {min(values):.4f} to {max(values):.4f}"
            print(f"\nbottle, R18-Rd100, five draws: {name} {spread}", end="")
    assert mean(auroc) == pytest.approx(0.979, abs=0.002)
    assert mean(pro) == pytest.approx(0.939, abs=0.005)
