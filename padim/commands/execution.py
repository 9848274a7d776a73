"""From the configuration to the backbone: how it computes."""

import logging

from omegaconf import DictConfig
from torch import nn

from padim.execution import Execution
from padim.extractor import Extractor
from padim.method import Method

log = logging.getLogger(__name__)


def settle_execution(config: DictConfig, module: nn.Module | None) -> None:
    """Make the backbone of a model compute as ``execution`` says.

    Args:
        config: the node ``execution``.
        module: the model; None: it is a graph, which another runtime computes.

    Raises:
        ValueError: a value is no boolean, or there is no frozen backbone to run by it.
    """
    given = {str(name): value for name, value in config.items()}
    for name, value in given.items():
        if not isinstance(value, bool):
            raise ValueError(f"execution.{name}={value}; allowed are true and false")
    backbones = [part.backbone for part in module.modules() if isinstance(part, Extractor)] if module else []
    changed = [f"execution.{name}" for name, value in given.items() if value != getattr(Execution(), name)]
    if changed and not backbones:
        raise ValueError(f"{', '.join(changed)}: no frozen backbone of torch is in this model; leave it as it is")
    for backbone in backbones:
        backbone.execution = Execution(**given)


def warn_of_other_rounding(module: Method, bfloat16: bool) -> None:
    """Say so where a model has a threshold that was found in another type than its scores will be computed in."""
    if module.calibration is not None and module.fitted_in_bfloat16 != bfloat16:
        log.warning(
            "the threshold is of scores with execution.bfloat16=%s, but now it is %s: scores may be off by 1 %%, and "
            "alarms with them",
            str(module.fitted_in_bfloat16).lower(),
            str(bfloat16).lower(),
        )
