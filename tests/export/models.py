"""Small fitted models with random weights, and their checkpoints."""

from pathlib import Path
from typing import Any

from padim.calibration import Calibration
from padim.checkpoint import AtomicCheckpointIO
from padim.export.comparison import drawn_images
from padim.ledger import Entry
from padim.module import PaDiMModule

SIZE, FITTED = (64, 96), 12
R18: dict[str, Any] = {"reduction": {"name": "random", "dim": 100}}
B5: dict[str, Any] = {  # conf/preset/b5.yaml
    "backbone": {"name": "tf_efficientnet_b5", "tag": "aa_in1k", "taps": ["blocks.1.3", "blocks.3.6", "blocks.4.5"]}
}
SUM: dict[str, Any] = {"layers": {"stages": [1, 2, 3], "combine": "sum"}, **R18}
PCA: dict[str, Any] = {"reduction": {"name": "pca", "dim": 20}}
SMALL: dict[str, Any] = {"layers": {"stages": [1], "combine": "concat"}}  # where the network does not matter


def fitted(size: tuple[int, int] = SIZE, keep_aspect: bool = False, **changes: Any) -> PaDiMModule:
    """A calibrated PaDiM on ResNet18, of images that are resized to a little more than their size and cropped."""
    parts: dict[str, Any] = {
        "backbone": {"name": "resnet18"},
        "layers": {"stages": [1, 2, 3], "combine": "concat"},
        "reduction": {"name": "none"},
        "covariance": {"name": "sample", "eps": 0.01},
        "anomaly_map": {"sigma": 4.0, "interpolation": "bicubic"},
    } | changes
    module = PaDiMModule(image_size=list(size), **parts).eval()
    for batch in drawn_images(FITTED, size, seed=100).split(4):
        module.model.update(batch)
    module.model.finalise()
    module.images = [Entry(f"{i}.png", f"{i:064x}") for i in range(FITTED)]
    module.calibration = Calibration([float(i) for i in range(19)], 0.05, "held_out", FITTED)
    frame = [size[0] + 9, size[1] + 16]
    module.config = {"dataset": {"resize": frame, "interpolation": "bicubic", "keep_aspect": keep_aspect}}
    return module


def save(module: PaDiMModule, path: Path) -> Path:
    """As a trainer saves it."""
    checkpoint = {"state_dict": module.state_dict(), "hyper_parameters": dict(module.hparams)}
    module.on_save_checkpoint(checkpoint)
    AtomicCheckpointIO().save_checkpoint(checkpoint, path)
    return path
