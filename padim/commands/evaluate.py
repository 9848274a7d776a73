"""padim-evaluate: test a checkpoint; the data set and its preprocessing are the checkpoint's unless overridden."""

import sys
from pathlib import Path

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig

from padim.checkpoint import load_module, read_checkpoint
from padim.commands import CONF
from padim.commands.run import logged_trainer, test_and_report


def main() -> None:
    """Offer the checkpoint's data set to Hydra as ``dataset=from_checkpoint``, the default; then evaluate."""
    for argument in sys.argv[1:]:
        if argument.startswith("checkpoint="):
            node = read_checkpoint(argument.removeprefix("checkpoint="))["config"]["dataset"]
            ConfigStore.instance().store("from_checkpoint", node, group="dataset")
    evaluate()


@hydra.main(version_base="1.3", config_path=CONF, config_name="evaluate")
def evaluate(config: DictConfig) -> None:
    output_dir = Path(HydraConfig.get().runtime.output_dir)
    module = load_module(config.checkpoint)
    data = instantiate(config.data)
    with logged_trainer(config, output_dir) as trainer:
        test_and_report(trainer, module, data, output_dir, facts={})


if __name__ == "__main__":
    main()
