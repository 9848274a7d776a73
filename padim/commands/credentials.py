"""No API key, token or password is written down: a configuration that holds one is refused before anything is."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

_NAMES = r"(?:(?:api|access|private|secret)_?key|token|passw(?:or)?d|secret|credentials?)"
_KEY = re.compile(rf"{_NAMES}(?:\.|$)", re.IGNORECASE)
# In an override, or a line of shell that a launcher runs. What comes after a $ is a variable, not its value.
_ASSIGNMENT = re.compile(rf"{_NAMES}\s*=\s*(?!null\b|['\"]?\$)\S", re.IGNORECASE)
_URL = re.compile(r"://[^/\s:@]*:[^/\s@$]+@")
_VARIABLE = re.compile(r"(?:KEY|TOKEN|SECRET|PASSWORD)$", re.IGNORECASE)
_NO_SECRETS = ("", "???", "null", "None", "true", "True", "false", "False")
_LEAST_LENGTH = 8
"""Of a variable's value: a shorter one is found in many words."""


class Refusal(Callback):
    """Refuses a run or a sweep whose configuration or command line holds what looks like a credential.

    As a callback of Hydra, since Hydra writes ``.hydra/`` and ``multirun.yaml`` before a command starts.
    """

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        refuse(config, os.environ)

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        refuse(config, os.environ)

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Once more: a variable may be set where the job runs only. What Hydra has written is not resolved."""
        refuse(config, os.environ)


def refuse(config: DictConfig, environment: Mapping[str, str]) -> None:
    """Exit where a key or a value of the configuration looks like a credential; its value is not printed.

    Raises:
        SystemExit: Hydra turns any other exception in a callback into a warning.
    """
    given = [str(override).partition("=") for _, override in _leaves(config.hydra.overrides)]
    secrets = {name: value for name, value in environment.items() if _VARIABLE.search(name)}  # once, not for each value
    for key, value in [*((name.lstrip("+~"), value) for name, _, value in given), *_leaves(config)]:
        if reason := suspicion(key, value, secrets):
            raise SystemExit(
                f"{key} {reason}. It would be written to .hydra/, to the checkpoint and to what is logged, and has not "
                f"been. Take it out of the command and the configuration; W&B's key belongs into WANDB_API_KEY in the "
                f"environment, or into what `wandb login` keeps"
            )


def suspicion(key: str, value: object, environment: Mapping[str, str]) -> str | None:
    """Why a key with its value looks like a credential, if it does."""
    text = str(value)
    if text in _NO_SECRETS:
        return None
    if _KEY.search(key):
        return "is named like a credential"
    if _ASSIGNMENT.search(text):
        return "sets what is named like a credential"
    if _URL.search(text):
        return "has an address with a password in it"
    for name, secret in environment.items():
        if _VARIABLE.search(name) and len(secret) >= _LEAST_LENGTH and secret in text:
            return f"holds the value of the environment variable {name}"
    return None


def _leaves(node: Any, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Every value, resolved where it can be here, by its path."""
    keys: Iterable[Any] = node if isinstance(node, DictConfig) else range(len(node))
    for key in keys:
        path = f"{prefix}{key}"
        try:
            value = node[key]
        except OmegaConfBaseException:  # missing, or known in the job only
            value = cast(Any, OmegaConf.to_container(node))[key]
        if OmegaConf.is_config(value):
            yield from _leaves(value, f"{path}.")
        else:
            yield path, value
