"""padim-update: add normal images to a fitted model, or take some out again, exactly and without all the others."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from padim.calibration import Calibration
from padim.checkpoint import load_module, save_changed
from padim.data.ahead import AheadLoader
from padim.data.listing import list_images
from padim.data.samples import Batch, ImageDataset, Sample
from padim.evaluation import scores_of
from padim.execution import Execution
from padim.export.facts import facts_of
from padim.export.state import load_safetensors
from padim.ledger import Entry, of_file, require_different, require_disjoint, require_inside
from padim.module import PaDiMModule


def main() -> None:
    arguments = _arguments()
    try:
        module = load(arguments.model)
        added, removed = entries(arguments.add), entries(arguments.remove)
        require_different(added)
        require_disjoint(map(of_file, module.images), added)
        require_inside(module.images, removed)
        if added or removed:
            change(module, arguments.add, module.model.update)
            change(module, arguments.remove, module.model.remove)
            module.images, module.calibration = after(module.images, added, removed), None
            module.model.finalise()
        if arguments.calibrate:
            module.calibration = calibrated(module, arguments.calibrate, arguments.alpha)
        save_changed(module, arguments.output)
    except (OSError, RuntimeError, ValueError) as error:
        raise SystemExit(f"padim-update: {error}") from None
    print(_summary(module, added, removed, arguments.output))


def load(path: Path) -> PaDiMModule:
    """A fitted module with its statistics, of padim-train or of padim-export --statistics; it goes on in their type."""
    module = load_safetensors(path) if path.suffix == ".safetensors" else load_module(path)
    module.model.backbone.execution = Execution(bfloat16=module.fitted_in_bfloat16)
    return module


def entries(images: Sequence[Path]) -> list[Entry]:
    """How the ledger knows these files."""
    return [Entry(str(path), Sample(path).content()) for path in images]


def change(module: PaDiMModule, images: Sequence[Path], apply: Callable[[Tensor], None]) -> None:
    """Update or remove, batch by batch."""
    for batch in batches(module, images):
        apply(batch.image)


def calibrated(module: PaDiMModule, images: Sequence[Path], alpha: float) -> Calibration:
    """A threshold from normal images that are not in the model."""
    require_disjoint(map(of_file, module.images), entries(images))
    with torch.inference_mode():
        scored = [scores_of(module(batch.image), batch, module.peak) for batch in batches(module, images)]
    return Calibration(torch.cat(scored).tolist(), alpha, "held_out", module.fitted)


def batches(module: PaDiMModule, images: Sequence[Path]) -> "tqdm[Batch]":
    """Images on disk, read as those were that the model was fitted to."""
    facts, samples = facts_of(module), [Sample(path) for path in images]
    dataset = ImageDataset(samples, facts.resize, facts.image_size, facts.interpolation, facts.keep_aspect)
    batch_size = module.config.get("data", {}).get("batch_size", 32)
    return tqdm(AheadLoader(dataset, batch_size=batch_size), unit="batch", disable=not samples)


def after(images: Sequence[Entry], added: Sequence[Entry], removed: Sequence[Entry]) -> list[Entry]:
    """The ledger with some more and some fewer entries."""
    gone = {entry.content for entry in removed}
    return [entry for entry in images if entry.content not in gone] + list(added)


def _summary(module: PaDiMModule, added: Sequence[Entry], removed: Sequence[Entry], output: Path) -> str:
    lines = [f"{len(added)} images added, {len(removed)} taken out: {len(module.images)} images are in {output}"]
    if module.calibration:
        lines.append(f"threshold {module.calibration.threshold:.4f}, of {len(module.calibration.scores)} normal images")
    elif added or removed:
        lines.append("it has no threshold: one of other images is void; --calibrate normal images that are not in it")
    return "\n".join(lines)


def checkpoint_name(text: str) -> Path:
    """By its suffix padim-predict knows a file."""
    if not text.endswith(".ckpt"):
        raise argparse.ArgumentTypeError(f"{text} is to be a checkpoint; give a name that ends in .ckpt")
    return Path(text)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("padim-update", description=__doc__)
    of = "padim.ckpt of padim-train, or .safetensors of padim-export --statistics"
    parser.add_argument("model", metavar="MODEL", type=Path, help=of)
    what = {"add": "normal images to add", "remove": "images to take out", "calibrate": "normal images for a threshold"}
    for name, help_text in what.items():
        parser.add_argument(f"--{name}", metavar="IMAGES", nargs="+", default=[], help=f"{help_text}: files, folders")
    parser.add_argument("--alpha", type=float, default=0.05, help="false-alarm rate of --calibrate, %(default)s")
    parser.add_argument(
        "--output", metavar="CKPT", type=checkpoint_name, default=Path("updated.ckpt"), help="default: %(default)s"
    )
    arguments = parser.parse_args()
    if not (arguments.add or arguments.remove or arguments.calibrate):
        parser.error("nothing to do: give --add, --remove or --calibrate images")
    for name in what:
        given = getattr(arguments, name)
        setattr(arguments, name, [Path(path) for one in given for path in list_images(one).paths])
    return arguments


if __name__ == "__main__":
    main()
