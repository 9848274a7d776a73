"""padim-predict: scores, decisions and anomaly maps for image files; what has been done is not done again."""

import logging
import time
from collections.abc import Iterable
from functools import partial
from hashlib import file_digest
from pathlib import Path
from typing import Any, NamedTuple

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from tqdm import tqdm

from padim.commands import CONF
from padim.commands.execution import settle_execution, warn_of_other_rounding
from padim.commands.interruption import interruptible
from padim.data.listing import Listing, list_images
from padim.data.walk import require_path
from padim.export.predictor import ModulePredictor, Predictor, load_predictor
from padim.predict.decision import Decision, decide_by, described
from padim.predict.finding import Found, findings
from padim.predict.pictures import FOLDERS, Pictures
from padim.predict.records import Records
from padim.predict.sheet import PAGE, PAGES

log = logging.getLogger(__name__)


class Tally(NamedTuple):
    """How many images were predicted and how many could not be read, and how long it took."""

    images: int
    skipped: int
    seconds: float


@hydra.main(version_base="1.3", config_path=CONF, config_name="predict")
def main(config: DictConfig) -> None:
    with interruptible():
        predict(config, Path(HydraConfig.get().runtime.output_dir))


def predict(config: DictConfig, output_dir: Path) -> None:
    """One run."""
    predictor = load(config.checkpoint, config.device, config.execution)
    decision = decide_by(predictor.facts.calibration, config.alpha, config.threshold)
    listing = list_images(require_path("input", config.input), without=[output_dir / name for name in FOLDERS])
    asked = (config.overlays, config.contact_sheet, config.maps)
    pictures = Pictures(output_dir, listing, decision, predictor.facts, *asked)
    records = Records(output_dir, made_with(config, listing, decision), predictor.facts.levels)
    read = partial(findings, predictor, decision, batch_size=config.batch_size, num_workers=config.num_workers)
    paths = records.undone(listing.paths)
    if left := ", ".join(f"{count} {what}" for what, count in listing.left.items()):
        log.info("left alone, since they are no images: %s", left)
    if done := len(listing.paths) - len(paths):
        log.info("%d of %d images are in %s already", done, len(listing.paths), records.lines)
    log.info("threshold %s", described(decision))
    tally = write(read(paths=paths, pictures=pictures.needed), len(paths), pictures, records)
    total, alarms = records.counted()
    if config.contact_sheet and (tally.images or not pictures.has_sheets):
        top = records.highest(PAGE * PAGES)
        for found, _ in read(paths=[path for path in top if path not in pictures.highest], pictures=True):
            for one in found:  # with the record that is there: another batch changes the last digits
                pictures.remember(one._replace(record=top[one.record["path"]]))
        pictures.write_sheets(total)
    print(_table(tally, total, alarms, decision, output_dir), flush=True)


def load(checkpoint: str, device: str, execution: DictConfig) -> Predictor:
    """The model, where and how it is to run."""
    predictor = load_predictor(checkpoint)
    if isinstance(predictor, ModulePredictor):
        settle_execution(execution, predictor.module.to(device))
        warn_of_other_rounding(predictor.module, execution.bfloat16)
        return predictor
    if device != "cpu":
        raise ValueError(f"device={device}, but {checkpoint} runs on the CPU alone; give device=cpu, or a .ckpt")
    settle_execution(execution, None)
    return predictor


def made_with(config: DictConfig, listing: Listing, decision: Decision) -> dict[str, Any]:
    """What predictions depend on, other than their image."""
    with Path(config.checkpoint).open("rb") as file:
        content = file_digest(file, "sha256").hexdigest()
    kept = {"overlays": config.overlays, "maps": config.maps}
    if config.execution.bfloat16:  # the other choices change no more than the size of a batch does
        kept["bfloat16"] = True
    return {"checkpoint": content, "threshold": decision.threshold, "root": str(listing.root), **kept}


def write(batches: Iterable[Found], count: int, pictures: Pictures, records: Records) -> Tally:
    """Take each batch as it comes; none is held."""
    start, images, skipped = time.perf_counter(), 0, 0
    with records, tqdm(total=count, unit=" images", disable=None) as bar:  # shows images a second, on a terminal
        for found, broken in batches:
            for one, drawn in zip(found, pictures.draw(found), strict=True):
                pictures.write(one, drawn)
                records.add(one.record)  # last: what is on record is whole
                bar.update()
            for unread in broken:
                records.skip(unread)
                bar.update()
            images, skipped = images + len(found), skipped + len(broken)
    return Tally(images, skipped, time.perf_counter() - start)


def _table(tally: Tally, total: int, alarms: int, decision: Decision, output_dir: Path) -> str:
    done = f", {total - tally.images} of them before" if total > tally.images else ""
    rows = [("images", f"{total}{done}")]
    if decision.threshold is not None:
        rows.append(("alarms", str(alarms)))
    rows.append(("threshold", described(decision)))
    if tally.images:
        rows.append(("speed", f"{tally.images / tally.seconds:.1f} images a second"))
    if tally.skipped:
        rows.append(("skipped", f"{tally.skipped} images that cannot be read, listed in skipped.csv"))
    rows.append(("written to", str(output_dir)))
    return "\n".join(f"{name:>14}  {value}" for name, value in rows)


if __name__ == "__main__":
    main()
