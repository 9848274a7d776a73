"""padim-train: fit on the normal images, save, test."""

import time
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from padim.commands import CONF
from padim.commands.run import logged_trainer, settle_image_size, test_and_report


@hydra.main(version_base="1.3", config_path=CONF, config_name="train")
def main(config: DictConfig) -> None:
    if "heads" in config:
        raise ValueError("this experiment lists heads, which padim-ablate fits in one pass: run it with padim-ablate")
    output_dir = Path(HydraConfig.get().runtime.output_dir)
    settle_image_size(config)
    # Not resolved, so that padim-evaluate can override parts of it; first, since instantiating resolves in place.
    as_composed = OmegaConf.to_container(config)
    data = instantiate(config.data)
    module = instantiate(config.model)
    module.config = as_composed
    data.prepare_data()  # before the clock starts; Lightning will find it done
    with logged_trainer(config, output_dir) as trainer:
        start = time.perf_counter()
        trainer.fit(module, data)
        facts = {"fit_seconds": time.perf_counter() - start, "train_images": module.model.head.count}
        trainer.save_checkpoint(output_dir / "padim.ckpt", weights_only=True)
        test_and_report(trainer, module, data, output_dir, facts)


if __name__ == "__main__":
    main()
