"""padim-evaluate: test a checkpoint; the data set and its preprocessing are the checkpoint's unless overridden."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.utils import get_class, instantiate
from omegaconf import DictConfig

from padim.checkpoint import load_method, read_checkpoint
from padim.commands import CONF
from padim.commands.execution import settle_execution, warn_of_other_rounding
from padim.commands.finished import finishing, leave_out
from padim.commands.interruption import interruptible
from padim.commands.run import test_and_report
from padim.commands.tracking import logged_trainer

PREPROCESSING = ("resize", "image_size", "interpolation", "keep_aspect")


def main() -> None:
    """Offer what the checkpoint says of its data to Hydra as the default choice; then evaluate."""
    given = [argument for argument in sys.argv[1:] if argument.startswith("checkpoint=")]
    for override in OverridesParser.create().parse_overrides(given):
        if override.is_sweep_override():
            raise SystemExit(
                f"{override.input_line}: one command evaluates one checkpoint; loop over them in the shell"
            )
        offer_data(read_checkpoint(str(override.value())))
    evaluate()


def offer_data(checkpoint: dict[str, Any]) -> None:
    """Make ``dataset=from_checkpoint`` and its preprocessing known to Hydra."""
    config = checkpoint["config"]
    dataset = config.get("dataset") if isinstance(config, dict) else None
    if not isinstance(dataset, dict):
        dataset = {}  # saved by other means than padim-train
    preprocessing = {name: dataset[name] for name in PREPROCESSING if name in dataset}
    # Hydra would call whatever a foreign checkpoint names; and a cache writes and deletes.
    of_data = {name: value for name, value in dataset.items() if not name.startswith("cache")}
    trusted = of_data if all(map(_is_reader, _targets(dataset))) else {}
    store = ConfigStore.instance()
    store.store("from_checkpoint", trusted, group="dataset")
    store.store("from_checkpoint", preprocessing, group="preprocessing", package="dataset")


def _targets(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from [str(value)] if key == "_target_" else _targets(value)
    elif isinstance(node, list):
        for value in node:
            yield from _targets(value)


def _is_reader(target: str) -> bool:
    return bool(re.fullmatch(r"padim\.data\.\w+\.\w+", target)) and get_class(target).__module__.startswith(
        "padim.data."
    )


@hydra.main(version_base="1.3", config_path=CONF, config_name="evaluate")
def evaluate(config: DictConfig) -> None:
    output_dir = Path(HydraConfig.get().runtime.output_dir)
    if leave_out(output_dir, config):
        return
    with interruptible(), finishing(output_dir, config):
        test_checkpoint(config, output_dir)


def test_checkpoint(config: DictConfig, output_dir: Path) -> None:
    """One run."""
    module = load_method(config.checkpoint)
    settle_execution(config.execution, module)
    warn_of_other_rounding(module, config.execution.bfloat16)
    if "dataset" not in config or "reader" not in config.dataset:
        raise ValueError(f"{config.checkpoint} names no data set of padim; choose one, such as dataset=mvtec")
    data = instantiate(config.data)
    with logged_trainer(config, output_dir) as trainer:
        test_and_report(trainer, module, data, output_dir, {"train_images": module.fitted})


if __name__ == "__main__":
    main()
