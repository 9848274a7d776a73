"""padim-train: fit on the normal images, save, test."""

import time
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.utilities import rank_zero_only

from padim.calibration import images_needed
from padim.commands import CONF
from padim.commands.calibrate import calibrate, require_possible
from padim.commands.execution import settle_execution
from padim.commands.finished import finishing, leave_out
from padim.commands.interruption import interruptible
from padim.commands.objective import achieved, require_known
from padim.commands.run import settle_image_size, test_and_report, write_skipped
from padim.commands.tracking import logged_trainer
from padim.commands.trainer import callbacks_of
from padim.commands.wandb_run import WandbRun
from padim.progress import progress_of


@hydra.main(version_base="1.3", config_path=CONF, config_name="train")
def main(config: DictConfig) -> float | None:
    if "heads" in config:
        raise ValueError("this experiment lists heads, which padim-ablate fits in one pass: run it with padim-ablate")
    require_known(config.objective)
    images_needed(**config.calibration)  # which knows what is impossible
    output_dir = Path(HydraConfig.get().runtime.output_dir)
    if not leave_out(output_dir, config):
        with interruptible(), finishing(output_dir, config) as identity:
            train(config, output_dir, identity)
    return rank_zero_only(achieved)(config.objective, output_dir)


def train(config: DictConfig, output_dir: Path, identity: dict[str, Any]) -> None:
    """One run.

    Args:
        identity: the configuration by which an unfinished fit is known again.
    """
    settle_image_size(config)
    # Not resolved, so that padim-evaluate can override parts of it; first, since instantiating resolves in place.
    as_composed = OmegaConf.to_container(config)
    data = instantiate(config.data)
    module = instantiate(config.model)
    settle_execution(config.execution, module)
    require_possible(config.calibration.source, module, data)
    progress = progress_of(module)((output_dir / "progress").absolute(), identity, config.save_every)
    rank_zero_only(data.prepare_data)()  # before the clock starts; Lightning will find it done
    with logged_trainer(config, output_dir) as trainer:
        callbacks_of(trainer).append(progress)
        start = time.perf_counter()
        try:
            trainer.fit(module, data, ckpt_path=progress.checkpoint(data), weights_only=True)
        finally:
            rank_zero_only(write_skipped)(data, output_dir)  # so early in case that nothing is left to fit
        seconds = progress.seconds_before + time.perf_counter() - start
        facts = {"fit_seconds": seconds, "train_images": module.fitted}
        module.config = as_composed  # so late: what a fit goes on from may be of another logger
        module.calibration = calibrate(trainer, module, data, **config.calibration)
        trainer.save_checkpoint(output_dir / "padim.ckpt", weights_only=True)
        if isinstance(trainer.logger, WandbRun):
            trainer.logger.log_checkpoint(output_dir / "padim.ckpt")
        test_and_report(trainer, module, data, output_dir, facts)
        progress.clear()  # so late: a run that is killed in its test goes on, too


if __name__ == "__main__":
    main()
