"""Fits that wait in mid-run until a test lets them go on."""

import time
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, Trainer

from tests.cluster.private_slurm import wait_until

CONF = Path(__file__).with_name("conf")
HOLDING = "--config-dir", str(CONF), "trainer=holding"
"""Before the overrides of a command: its fits wait where the test has made a :class:`HeldFit` of their category."""
GATES = "PADIM_TEST_GATES"
"""Of the environment: the folder of the gates."""


class HeldFit:
    """The test's side of a gate: the fit of a category, which waits before its last batch."""

    def __init__(self, gates: Path, category: str) -> None:
        self._shut, self._reached = gates / category / "shut", gates / category / "reached"
        self._shut.parent.mkdir(parents=True)
        self._shut.touch()

    def wait_until_reached(self) -> None:
        wait_until(self._reached.exists, f"a fit is at {self._shut}")

    def release(self) -> None:
        """It, and those that come after it."""
        self._shut.unlink()


class Gate(Callback):
    """The fit's side of a gate.

    Args:
        folder: of the gate.
    """

    def __init__(self, folder: str) -> None:
        self.shut, self.reached = Path(folder, "shut"), Path(folder, "reached")

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx < trainer.num_training_batches - 1:
            return
        while self.shut.exists():
            self.reached.touch()
            time.sleep(0.1)
