"""Sweeps of padim-train, as a user starts them."""

import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

from tests.cluster.private_slurm import wait_until
from tests.corpus.processes import heed_interrupts


class Sweep:
    """padim-train -m in a process of its own.

    Args:
        output_dir: of the sweep.
        overrides: its arguments; flags come first.
    """

    started: ClassVar[list["Sweep"]] = []

    def __init__(self, output_dir: Path, *overrides: str) -> None:
        output_dir.mkdir(exist_ok=True)
        self.output_dir, self._log = output_dir, output_dir / f"printed-{len(list(output_dir.glob('printed-*')))}.txt"
        command = [sys.executable, "-m", "padim.commands.train", "-m", *overrides, f"output_dir={output_dir}"]
        with self._log.open("w") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=heed_interrupts)
        self.started.append(self)

    @classmethod
    def end_all(cls) -> None:
        """Interrupt what is still running, which cancels its jobs."""
        for sweep in cls.started:
            if sweep.process.poll() is None:
                sweep.interrupt()
                sweep.wait()
        cls.started.clear()

    @property
    def printed(self) -> str:
        return self._log.read_text()

    def jobs(self) -> list[str]:
        """The ids of the jobs, once they are submitted, in the order of the sweep."""
        wait_until(lambda: "submitted" in self.printed or self.process.poll() is not None, "jobs are submitted")
        return re.findall(r"#\d+ as job (\w+)", self.printed)

    @property
    def array(self) -> str:
        """The id of the array, once it is submitted."""
        return self.jobs()[0].partition("_")[0]

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def wait(self) -> int:
        """The exit code."""
        return self.process.wait(timeout=180)

    def run(self, override: str) -> Path:
        """The folder of the job with this override."""
        (folder,) = (run for run in self.output_dir.glob("[!.]*/") if override in run.name.split(","))
        return folder
