"""padim-export: a checkpoint as a file for elsewhere, which is run and compared with it before it is kept."""

import argparse
from dataclasses import replace
from pathlib import Path

from padim.checkpoint import load_module
from padim.commands.execution import warn_of_other_rounding
from padim.export.comparison import Difference, compare, compare_raw, seconds_each
from padim.export.facts import facts_of
from padim.export.graph import halve, trace
from padim.export.predictor import GraphPredictor, ModulePredictor, Predictor, load_predictor, onnx_file
from padim.export.program import load_program, save_program
from padim.export.state import save_safetensors, without_statistics
from padim.module import PaDiMModule
from padim.writing import whole

SUFFIXES = {"onnx": ".onnx", "torch": ".pt2", "safetensors": ".safetensors"}
LIMIT = 1e-4
"""How far a file may be from its model, relative to the score."""


def main() -> None:
    options = _arguments()
    try:
        lines = export(options)
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        raise SystemExit(f"padim-export: {error}") from None
    print("\n".join(f"{name:>14}  {value}" for name, value in lines))


def export(options: argparse.Namespace) -> list[tuple[str, str]]:
    """Write the file, whole or not at all, and say how it compares."""
    module = load_module(options.checkpoint)
    if options.format != "safetensors":  # whose reader is padim
        warn_of_other_rounding(module, False)
    exported = without_statistics(module)
    original = ModulePredictor(module)
    model = original
    if options.half:
        halve(exported.model)
        model = ModulePredictor(exported)
    with whole(options.output) as part:
        write(module if options.format == "safetensors" else exported, part, options)
        lines = check(read(part, options.format), model)
        lines.append(("size", f"{_megabytes(part)}, of the checkpoint {_megabytes(options.checkpoint)}"))
    if options.half:
        lines.append(("float16", _told(compare(model, original))))
    return [*lines, ("written to", str(options.output))]


def write(module: PaDiMModule, path: Path, options: argparse.Namespace) -> None:
    """In the format that is asked for."""
    if options.format == "safetensors":
        save_safetensors(module, path, options.statistics, options.half)
        return
    facts = replace(facts_of(module), takes_raw=options.preprocessing)
    program = trace(module.model, facts)
    if options.format == "torch":
        save_program(program, facts, path)
    else:
        onnx_file().save_onnx(program, facts, path, options.opset)


def read(path: Path, kind: str) -> Predictor:
    """A file that has just been written here: of torch.export, no other is read."""
    return load_program(path) if kind == "torch" else load_predictor(path)


def check(written: Predictor, model: Predictor) -> list[tuple[str, str]]:
    """What comparing them gives; raises where a file does not give the scores of its model."""
    found = {"images": compare(written, model)}
    if isinstance(written, GraphPredictor) and written.facts.takes_raw:
        found["raw images"] = compare_raw(written, model)
    for difference in found.values():
        if not difference.within(LIMIT):
            raise ValueError(
                f"the file is {_told(difference)}; allowed is {LIMIT:.0e}. It is not kept: try another --format"
            )
    times = f"{seconds_each(written):.3f} s, of the checkpoint {seconds_each(model):.3f} s"
    return [*((name, _told(difference)) for name, difference in found.items()), ("an image", times)]


def _told(difference: Difference) -> str:
    return f"off by {difference.score:.1e} of the score at most, its maps by {difference.maps:.1e}"


def _megabytes(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:.1f} MB"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("padim-export", description=__doc__)
    parser.add_argument("checkpoint", metavar="CKPT", type=Path, help="padim.ckpt of padim-train")
    parser.add_argument("--format", choices=SUFFIXES, required=True, help="onnx needs: pip install padim[onnx]")
    parser.add_argument("--output", metavar="FILE", type=Path, help="default: CKPT with the suffix of the format")
    parser.add_argument("--preprocessing", action="store_true", help="raw images in: uint8, (B, H, W, 3), of any size")
    parser.add_argument("--half", action="store_true", help="whitening rows in float16; what it costs is measured")
    parser.add_argument("--statistics", action="store_true", help="safetensors: keep what padim-update needs")
    parser.add_argument("--opset", type=int, default=18, help="onnx: its operators' version, default: %(default)s")
    options = parser.parse_args()
    suffix = SUFFIXES[options.format]
    options.output = options.output or options.checkpoint.with_suffix(suffix)
    if options.output.suffix != suffix:
        parser.error(f"--output {options.output} ends in {options.output.suffix!r}; {options.format} in {suffix!r}")
    if options.preprocessing and options.format == "safetensors":
        parser.error("--preprocessing is for onnx and torch; safetensors holds numbers, and padim prepares images")
    if options.statistics and options.format != "safetensors":
        parser.error("--statistics is for safetensors; the others cannot be updated")
    return options


if __name__ == "__main__":
    main()
