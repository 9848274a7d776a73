"""The picture of a run says what each level contributes."""

from pathlib import Path

import numpy as np
from PIL import Image

from padim import evaluation
from padim.data.samples import ImageDataset, Sample
from padim.run_page.extremes import draw_extremes
from tests.data.files import write
from tests.export.models import SIZE, fitted


def test_the_shares_stand_in_the_level_maps(tmp_path: Path) -> None:
    module = fitted(reduction={"name": "random", "dim": 20})
    samples = [Sample(write(tmp_path / f"{seed}.png", seed=seed)) for seed in range(2)]
    dataset = ImageDataset(samples, SIZE, SIZE, "bicubic")
    pictures = []
    for shares in ([0.5, 0.3, 0.2], [0.1, 0.2, 0.7]):
        tested = evaluation.Tested({0: 1.0, 1: 2.0}, {0: shares, 1: shares[::-1]}, {}, {}, {})
        draw_extremes(module, dataset, tested, tmp_path / "extremes.png")
        pictures.append(np.asarray(Image.open(tmp_path / "extremes.png").convert("RGB")))
    different = (pictures[0] != pictures[1]).any(2)
    assert not different[:, :640].any()  # image, ground truth, anomaly map
    cells = different[30:, 640:].reshape(2, 200, 3, 200).any((1, 3))
    assert cells.tolist() == [[True, True, True], [True, True, True]]
