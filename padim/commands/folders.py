"""Where runs write to: a folder that is named as it was meant, and one for each job of a sweep."""

from collections.abc import Iterator
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from padim.data.walk import require_path


class Folders(Callback):
    """Refuses, before anything is written, a folder that is none, and a sweep whose jobs would write into one.

    By SystemExit, since Hydra turns any other exception in a callback into a warning.
    """

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        try:
            require_path("output_dir", config.output_dir)
        except TypeError as error:
            raise SystemExit(str(error)) from None

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        self.on_run_start(config)
        sweep = OmegaConf.to_container(config.hydra.sweep)
        if not isinstance(sweep, dict) or "override_dirname" not in str(sweep["subdir"]):
            return  # the user's own
        left_out = config.hydra.job.config.override_dirname.exclude_keys
        for key, override in _swept(config):
            if key in left_out:
                raise SystemExit(
                    f"{override} is a sweep over {key}, which the names of its folders leave out: each job would "
                    "overwrite the one before. Give one command for each, or 'hydra.sweep.subdir=${hydra.job.num}'"
                )


def _swept(config: DictConfig) -> Iterator[tuple[str, str]]:
    """Keys with several values, and how they are given."""
    params = config.hydra.sweeper.get("params") or {}
    given = [*config.hydra.overrides.task, *(f"{key}={value}" for key, value in params.items())]
    for override in OverridesParser.create().parse_overrides(given):
        if override.is_sweep_override():
            yield override.key_or_group, str(override.input_line)
