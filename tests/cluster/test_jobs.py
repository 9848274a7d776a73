"""Jobs of SLURM that are stopped by their time limit and go on, and jobs of several processes."""

import shutil
from pathlib import Path

import pytest
import torch

from tests.cluster.held import HOLDING, HeldFit
from tests.cluster.private_slurm import release, signal_timeout, wait_for_states
from tests.cluster.sweeps import Sweep
from tests.cluster.test_processes import assert_same_run, ranks, train
from tests.cluster.test_sweeps import SLURM

pytestmark = pytest.mark.slurm
SLURM_WITH_STATE = [option for option in SLURM if option != "model.save_state=false"]


@pytest.fixture
def root(drawn: Path, tmp_path: Path) -> Path:
    shutil.copytree(drawn, tmp_path / "data" / "wood")
    return tmp_path / "data"


def data(root: Path) -> list[str]:
    return ["dataset=mvtec", f"dataset.root={root}", "dataset.category=wood"]


def test_a_job_whose_time_is_over_goes_on(slurm: None, root: Path, gates: Path, tmp_path: Path) -> None:
    """The signal comes before the seventh of seven images, when four are saved and two more are counted."""
    slowly = [*data(root), "data.batch_size=1", "save_every=4"]
    alone = train(root, tmp_path / "alone", *slowly)
    held = HeldFit(gates, "wood")
    sweep = Sweep(tmp_path / "sweep", *HOLDING, *SLURM_WITH_STATE, *slowly, "seed=0")
    (job,) = sweep.jobs()
    held.wait_until_reached()
    progress = sweep.run("seed=0") / "progress" / "0.ckpt"
    assert len(torch.load(progress, weights_only=True)["images"]) == 4
    signal_timeout(job)
    release(job)
    held.release()
    assert sweep.wait() == 0, sweep.printed
    wait_for_states({job: "COMPLETED"})
    run = sweep.run("seed=0")
    assert "4 of 7 images are counted" in "".join(log.read_text() for log in run.glob("*.log"))
    assert_same_run(run, alone)


def test_a_job_of_two_tasks_is_one_process(slurm: None, root: Path, tmp_path: Path) -> None:
    """Of seven images. Two tasks of one device each, which would run twice into one folder, are refused."""
    alone = train(root, tmp_path / "alone", *data(root))
    two_tasks = [*SLURM_WITH_STATE, *data(root), "hydra.launcher.tasks_per_node=2"]
    sweep = Sweep(tmp_path / "sweep", *two_tasks, *ranks(2), "seed=0")
    (job,) = sweep.jobs()
    assert sweep.wait() == 0, sweep.printed
    wait_for_states({job: "COMPLETED"})
    assert_same_run(sweep.run("seed=0"), alone)

    mismatched = Sweep(tmp_path / "mismatched", *two_tasks, "seed=0")
    assert mismatched.wait() == 1
    assert "SLURM has started 2 tasks, and trainer.devices x trainer.num_nodes is 1" in mismatched.printed
    assert not list(mismatched.output_dir.glob("*/padim.ckpt"))
