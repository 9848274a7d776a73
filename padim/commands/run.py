"""What the commands share: a test, and what a run leaves behind."""

import re
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from pytorch_lightning import LightningModule, Trainer

from padim.backbone import native_size
from padim.calibration import Calibration
from padim.commands.output import write_csv, write_curves, write_json, write_predictions
from padim.commands.page import draw_page
from padim.commands.tracking import log_test
from padim.data.module import ImageDataModule
from padim.data.samples import Sample
from padim.data.tolerance import Skipped
from padim.decisions import oracle, rates
from padim.evaluation import Tested, explain
from padim.kinds import Kind, by_kind
from padim.method import Method
from padim.processes import gather
from padim.run_page.extremes import draw_extremes

_RATES = {"false alarms": "false_alarm_rate", "detections": "detection_rate"}
_METRICS = {"image AUROC": "image_auroc", "pixel AUROC": "pixel_auroc", "PRO": "pro"}


def settle_image_size(config: DictConfig) -> None:
    """Where the data set names no size, take that of the network's own training, of the whole image.

    As numbers, whatever they refer to: who reads the checkpoint may not know of it.
    """
    dataset = config.dataset
    if dataset.image_size is None:
        dataset.image_size = native_size(config.backbone.name, config.backbone.tag)
    dataset.resize = list(dataset.image_size if dataset.resize is None else dataset.resize)
    dataset.image_size = list(dataset.image_size)


def test_and_report(
    trainer: Trainer, module: Method, data: ImageDataModule, output_dir: Path, facts: dict[str, float]
) -> None:
    """Test, then write metrics.json, predictions.csv, curves.csv, kinds.csv, extremes.png and report.html.

    And print a table. Without test images all but extremes.png are written all the same, with what there is.

    Args:
        facts: numbers about the fit, for metrics.json.
    """
    start = time.perf_counter()
    test(trainer, module, data)
    if not trainer.is_global_zero:
        return
    tested = module.tested[module.name]
    facts = facts | _costs(module, tested, time.perf_counter() - start) | write_skipped(data, output_dir)
    decided, columns = decide(module.calibration, tested.scores, data.test_set.samples)
    facts |= decided
    metrics = tested.results | facts
    write_json(metrics, output_dir / "metrics.json")
    columns |= attribution(module.levels, tested.shares)
    write_predictions(data.test_set.samples, columns, output_dir / "predictions.csv")
    write_curves({module.name: tested.curves}, output_dir / "curves.csv")
    kinds = by_kind([data.test_set.samples[index].kind for index in tested.scores], list(tested.scores.values()))
    write_csv(Kind._fields, kinds, output_dir / "kinds.csv")
    picture = output_dir / "extremes.png"
    picture.unlink(missing_ok=True)
    if tested.scores:
        draw_extremes(module, data.test_set, tested, picture)
    draw_page(trainer, module, data, output_dir, tested, metrics, kinds)
    log_test(trainer.loggers, facts, kinds, tested.curves, picture)
    print(_table(metrics, output_dir), *explain(tested.unmeasured), sep="\n", flush=True)


def _costs(module: Method, tested: Tested, seconds: float) -> dict[str, float]:
    """Of a test, and of the model; without test images nothing is known of the time of one."""
    costs = {
        "test_seconds": seconds,
        "test_images": len(tested.scores),
        "model_mb": module.nbytes / 2**20,
        "peak_memory_mb": peak_memory_mb(),
    }
    return costs | ({"image_seconds": module.image_seconds} if tested.scores else {})


def decide(
    calibration: Calibration | None, scores: Mapping[int, float], samples: Sequence[Sample]
) -> tuple[dict[str, float], dict[str, dict[int, Any]]]:
    """What the threshold makes of the test images: numbers for metrics.json, and columns for predictions.csv."""
    values, labels = list(scores.values()), [samples[index].label for index in scores]
    numbers = oracle(values, labels)
    columns: dict[str, dict[int, Any]] = {"score": dict(scores)}
    if calibration is not None:
        numbers |= rates(values, labels, calibration)
        columns["p_value"] = {index: calibration.p_value(score) for index, score in scores.items()}
        columns["alarm"] = {index: int(score > calibration.threshold) for index, score in scores.items()}
    return numbers, columns


def attribution(levels: Sequence[str], shares: Mapping[int, Sequence[float]]) -> dict[str, dict[int, Any]]:
    """More columns, as padim-predict has them: what each level contributes to the map's peak, and which the most."""
    if not levels:
        return {}
    leading = {index: levels[of_image.index(max(of_image))] for index, of_image in shares.items()}
    of_level = {name: {index: round(of[i], 4) for index, of in shares.items()} for i, name in enumerate(levels)}
    return {"level": leading} | {f"share {name}": column for name, column in of_level.items()}


def test(trainer: Trainer, module: LightningModule, data: ImageDataModule) -> None:
    """Test, unless there is nothing to test on, which Lightning would warn of."""
    if not hasattr(data, "test_set"):  # which a fit has listed already
        data.prepare_data()
        data.setup("test")
    if len(data.test_set):
        trainer.test(module, data, verbose=False)
    for of_rank in gather(data.skipped):
        data.skipped |= of_rank


def write_skipped(data: ImageDataModule, output_dir: Path) -> dict[str, float]:
    """List the images that were left out, in skipped.csv; their number, where leaving out is allowed."""
    path = output_dir / "skipped.csv"
    if data.on_error == "raise":
        path.unlink(missing_ok=True)  # of a run before this one
        return {}
    write_csv(Skipped._fields, sorted(data.skipped.values()), path)
    return {"skipped_images": len(data.skipped)}


def peak_memory_mb() -> float:
    """Peak resident set of this process, MiB."""
    status = Path("/proc/self/status")
    if status.exists():  # on Linux ru_maxrss starts at the peak of the process that launched this one
        (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", status.read_text())
        return int(peak) / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def _table(metrics: dict[str, float], output_dir: Path) -> str:
    rows = [(name, f"{metrics[key]:.4f}") for name, key in _METRICS.items() if key in metrics]
    if "threshold" in metrics:
        rows.append(("threshold", f"{metrics['threshold']:.4f}, of {metrics['calibration_images']:.0f} normal images"))
    rows += [(name, f"{metrics[key]:.1%}") for name, key in _RATES.items() if "threshold" in metrics and key in metrics]
    if "fit_seconds" in metrics:
        rows.append(("fit", f"{metrics['fit_seconds']:.1f} s, {metrics['train_images']} images"))
    rows.append(("test", f"{metrics['test_seconds']:.1f} s, {metrics['test_images']} images"))
    if skipped := metrics.get("skipped_images"):
        rows.append(("skipped", f"{skipped} images that cannot be read, listed in skipped.csv"))
    rows.append(("peak memory", f"{metrics['peak_memory_mb']:.0f} MiB"))
    rows.append(("written to", str(output_dir)))
    return "\n".join(f"{name:>14}  {value}" for name, value in rows)
