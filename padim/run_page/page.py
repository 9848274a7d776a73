"""report.html: one file that needs neither network nor script."""

from base64 import b64encode
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from padim.data.samples import ImageDataset
from padim.evaluation import METRICS, Tested
from padim.kinds import Kind
from padim.method import Method
from padim.predict.decision import Decision, decide_by
from padim.report.cell import at
from padim.run_page import headline
from padim.run_page.cases import explain, worst
from padim.run_page.charts import curve_charts, distance_chart, score_chart
from padim.run_page.distances import TAILS, read_distances
from padim.run_page.machine import machine, versions
from padim.run_page.pictures import data_uri
from padim.writing import replace

TITLES = {"image_auroc": "image AUROC", "pixel_auroc": "pixel AUROC", "pro": "PRO"}
NORMAL, ANOMALOUS = 0, 1


@dataclass(frozen=True)
class Run:
    """What is known of a run.

    Attributes:
        command: as it was typed.
        config: of the command.
        module: fitted; its own configuration is another where another command fitted it.
        test_set: what was tested.
        held_out: normal images that were neither fitted nor tested; None where they are not at hand.
        skipped: images that cannot be read, as the fit and the test found.
        batch_size: images at once.
        device: that the test ran on.
        tested: what the test gave.
        metrics: all that metrics.json has.
        kinds: of the test images.
    """

    command: str
    config: dict[str, Any]
    module: Method
    test_set: ImageDataset
    held_out: ImageDataset | None
    skipped: Collection[Path]
    batch_size: int
    device: torch.device
    tested: Tested
    metrics: Mapping[str, float]
    kinds: Sequence[Kind]

    @property
    def decision(self) -> Decision:
        return decide_by(self.module.calibration, alpha=None, threshold=None)

    @property
    def method(self) -> str:
        return type(self.module).__name__.removesuffix("Module")

    @property
    def labels(self) -> dict[int, int]:
        """Of the tested images, by their indices."""
        return {index: self.test_set.samples[index].label for index in self.tested.scores}

    def scores(self, label: int) -> list[float]:
        """Of the tested images of a label."""
        return [score for index, score in self.tested.scores.items() if self.labels[index] == label]


def write_page(run: Run, path: Path) -> None:
    """Draw all there is and write it.

    Raises:
        jinja2.UndefinedError: the template names something that there is not.
    """
    environment = Environment(loader=PackageLoader("padim.run_page", "."), autoescape=True, undefined=StrictUndefined)
    environment.filters["data_uri"] = data_uri
    page = environment.get_template("page.html.jinja")
    sections = _style() | _head(run) | _charts(run) | _cases(run) | _distances(run) | _origin(run)
    replace(path, page.render(sections).encode(errors="backslashreplace"))  # names need not be Unicode


def _style() -> dict[str, str]:
    """The style sheet, and its digest, by which the page's policy tells it from what a name might bring in."""
    style = files("padim.run_page").joinpath("page.css").read_text()
    return {"style": Markup(style), "style_digest": b64encode(sha256(style.encode()).digest()).decode()}


def _head(run: Run) -> dict[str, Any]:
    threshold = run.decision.threshold
    counts = {}
    for name, label in (("normal", NORMAL), ("anomalous", ANOMALOUS)):
        scores = run.scores(label)
        alarms = None if threshold is None else sum(score > threshold for score in scores)
        counts[name] = headline.Count(len(scores), alarms)
    return {
        "method": run.method,
        "data": headline.data_name(run.config),
        "model": headline.model_name(run.module.config, run.module.fitted),
        "verdict": headline.verdict(counts),
        "counts": counts,
        "results": {TITLES[name]: run.tested.results.get(name) for name in METRICS},
        "unmeasured": {TITLES[name]: reason for name, reason in run.tested.unmeasured.items()},
        "threshold": threshold,
        "threshold_origin": headline.threshold_origin(run.decision),
    }


def _charts(run: Run) -> dict[str, Any]:
    groups = {"normal": run.scores(NORMAL), "anomalous": run.scores(ANOMALOUS)}
    if run.decision.calibration is not None:
        groups["calibration"] = list(run.decision.calibration.scores)
    shown = {name: len(scores) for name, scores in groups.items() if scores}
    return {
        "curves": curve_charts(run.tested.curves),
        "histogram": score_chart(groups, run.decision.threshold),
        "groups": shown,
        "kinds": run.kinds,
    }


def _cases(run: Run) -> dict[str, Any]:
    """The worst of both sorts; they are scored in one go."""
    misses, false_alarms = worst(run.tested.scores, run.labels)
    chosen = [*misses, *false_alarms]
    found = explain(run.module, run.test_set, run.tested.scores, chosen, run.decision, run.batch_size)
    return {
        "misses": [found[index] for index in misses],
        "false_alarms": [found[index] for index in false_alarms],
        "module": run.module,
    }


def _distances(run: Run) -> dict[str, Any]:
    """Of normal test images; where there are none, of those that were held out."""
    dataset, source = run.test_set, "normal test images"
    indices = [index for index, label in sorted(run.labels.items()) if label == NORMAL]
    if not indices and run.held_out is not None:
        samples = enumerate(run.held_out.samples)
        indices = [index for index, sample in samples if sample.path not in run.skipped]
        dataset, source = run.held_out, "held-out normal images"
    read = read_distances(run.module, dataset, indices, run.batch_size)
    return {
        "readings": {name: (one, distance_chart(one)) for name, one in read.items() if one},
        "unread": [name for name, one in read.items() if not one],
        "tails": TAILS,
        "distance_source": source,
        "normal_at_hand": bool(indices),
        "views": at(run.module.config, "augmentation.repeats", 1),
    }


def _origin(run: Run) -> dict[str, Any]:
    of_each = {"of this run": run.config, "of the model": run.module.config}
    if run.config == run.module.config:
        del of_each["of the model"]
    return {
        "command": run.command,
        "configurations": {
            of: yaml.safe_dump(config, sort_keys=False, allow_unicode=True) for of, config in of_each.items()
        },
        "versions": versions(),
        "machine": machine(run.device),
        "figures": {"seed": at(run.module.config, "seed", "none")} | _costs(run),
        "metrics": run.metrics,
        "written": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def _costs(run: Run) -> dict[str, str]:
    """How long the parts took, as far as they were done, and the memory."""
    metrics, said = run.metrics, {}
    epochs = at(run.module.config, "trainer.max_epochs", 1)
    for part, images in (("fit", epochs * metrics["train_images"]), ("test", metrics["test_images"])):
        if images and (seconds := metrics.get(f"{part}_seconds")):
            said[part] = f"{seconds:.1f} s, {images / seconds:.1f} images a second"
    if metrics["test_images"]:
        said["scoring"] = f"{1000 * metrics['image_seconds']:.3g} ms an image, without loading and metrics"
    return said | {"model": f"{metrics['model_mb']:.0f} MiB", "peak memory": f"{metrics['peak_memory_mb']:.0f} MiB"}
