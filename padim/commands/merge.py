"""padim-merge: join models that were fitted to different images by the same configuration into the model of all."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from padim.checkpoint import load_module, save_changed
from padim.commands.evaluate import PREPROCESSING
from padim.commands.update import checkpoint_name
from padim.export.facts import facts_of
from padim.module import PaDiMModule


def main() -> None:
    arguments = _arguments()
    try:
        merged = merge(arguments.checkpoints)
        save_changed(merged, arguments.output)
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        raise SystemExit(f"padim-merge: {error}") from None
    print(f"{len(merged.images)} images of {len(arguments.checkpoints)} models are in {arguments.output}")


def merge(paths: Sequence[Path]) -> PaDiMModule:
    """The model of the images of all."""
    merged = load_module(paths[0])
    for path in paths[1:]:
        other = load_module(path)
        try:
            join(merged, other)
        except (RuntimeError, TypeError, ValueError) as error:
            raise ValueError(f"{path} does not join {paths[0]}: {error}") from error
    merged.model.finalise()
    if "dataset" in merged.config:
        merged.config["dataset"]["shard"] = None
    return merged


def join(merged: PaDiMModule, other: PaDiMModule) -> None:
    """Add the images of another model, once it is known that they were read and computed alike."""
    ours, theirs = ({name: getattr(facts_of(module), name) for name in PREPROCESSING} for module in (merged, other))
    if ours != theirs:
        raise ValueError(f"its images were read with {theirs}, and the others with {ours}; fit with the same")
    if merged.fitted_in_bfloat16 != other.fitted_in_bfloat16:
        raise ValueError("it or the others were fitted with execution.bfloat16=true; fit all of them with the same")
    merged.merge(other)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("padim-merge", description=__doc__)
    parser.add_argument("checkpoints", metavar="CKPT", nargs="+", type=Path, help="padim.ckpt of padim-train")
    parser.add_argument(
        "--output", metavar="CKPT", type=checkpoint_name, default=Path("merged.ckpt"), help="default: %(default)s"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
