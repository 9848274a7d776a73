"""The keys of conf/hydra/launcher: any other is refused when the configuration is composed."""

from dataclasses import dataclass
from enum import Enum

from hydra.core.config_store import ConfigStore
from hydra_plugins.hydra_submitit_launcher.config import SlurmQueueConf


class OnInterrupt(Enum):
    """What Ctrl-C does to the jobs that are on the cluster."""

    cancel = "cancel"
    leave = "leave"


@dataclass
class PadimSlurmConf(SlurmQueueConf):
    """All that hydra-submitit-launcher takes, which says what they are, and ours."""

    _target_: str = "hydra_plugins.padim_launcher.slurm.PadimSlurmLauncher"
    on_interrupt: OnInterrupt = OnInterrupt.cancel


@dataclass
class PadimLocalConf:
    """Only what submitit heeds on one machine: it would take the rest without a word. A job is one process."""

    _target_: str = "hydra_plugins.padim_launcher.local.PadimLocalLauncher"
    submitit_folder: str = SlurmQueueConf.submitit_folder
    array_parallelism: int = 1
    gpus_per_node: int = 0
    timeout_min: int = 10080


_store = ConfigStore.instance().store
_store("padim_slurm", PadimSlurmConf, group="hydra/launcher", provider="padim")
_store("padim_local", PadimLocalConf, group="hydra/launcher", provider="padim")
