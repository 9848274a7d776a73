"""Sweeps on a real SLURM: jobs finish, raise, are killed, cancelled, interrupted; and the same without SLURM."""

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.cluster.held import HOLDING, HeldFit
from tests.cluster.private_slurm import cancel, kill, states, wait_for_states, wait_until
from tests.cluster.sweeps import Sweep
from tests.commands.test_run import TINY
from tests.commands.wandb_run import read_run

pytestmark = pytest.mark.slurm

SMALL = [*TINY, "model.save_state=false"]
SLURM = ["hydra/launcher=slurm_cpu", "hydra.launcher.cpus_per_task=1", "hydra.launcher.mem_gb=1", *SMALL]
LOCAL = ["hydra/launcher=local", "hydra.launcher.array_parallelism=2"]


@pytest.fixture
def root(drawn: Path, tmp_path: Path) -> Path:
    """A data set of MVTec AD's layout with one category, good."""
    shutil.copytree(drawn, tmp_path / "data" / "good")
    return tmp_path / "data"


def data(root: Path, *categories: str) -> list[str]:
    return ["dataset=mvtec", f"dataset.root={root}", f"dataset.category={','.join(categories)}"]


def add(root: Path, category: str) -> None:
    """Another category, of the same images."""
    shutil.copytree(root / "good", root / category)


def test_two_by_two(slurm: None, root: Path, tmp_path: Path) -> None:
    grid = ["seed=0,1", "covariance.eps=0.01,0.02", "logger=wandb"]
    sweep = Sweep(tmp_path / "sweep", *SLURM, *data(root, "good"), *grid)
    jobs = sweep.jobs()
    assert sweep.wait() == 0, sweep.printed
    wait_for_states(dict.fromkeys(jobs, "COMPLETED"))
    found = set()
    for metrics in sweep.output_dir.glob("*/metrics.json"):
        assert 0 <= json.loads(metrics.read_text())["image_auroc"] <= 1
        (file,) = metrics.parent.glob("wandb/offline-run-*/run-*.wandb")
        logged = read_run(file)
        assert logged.exit_code == 0
        seed, eps = logged.config["seed"], logged.config["covariance"]["eps"]
        assert {f"seed={seed}", f"covariance.eps={eps}"} <= set(metrics.parent.name.split(","))
        found.add((seed, eps))
    assert found == {(0, 0.01), (0, 0.02), (1, 0.01), (1, 0.02)}


def test_every_failure_is_told_and_only_failures_run_again(
    slurm: None, root: Path, gates: Path, tmp_path: Path
) -> None:
    held = [HeldFit(gates, category) for category in ("killed", "cancelled")]
    for category in ("killed", "cancelled"):
        add(root, category)
    command = [*HOLDING, *SLURM, *data(root, "absent", "killed", "good", "cancelled")]
    sweep = Sweep(tmp_path / "sweep", *command)
    absent, killed, good, cancelled = sweep.jobs()
    for fit in held:
        fit.wait_until_reached()
    kill(killed)
    cancel(cancelled)
    assert sweep.wait() == 1
    wait_for_states({absent: "FAILED", killed: "FAILED", good: "COMPLETED", cancelled: "CANCELLED"})
    assert_told(sweep, absent, killed, cancelled)
    finished = (sweep.run("dataset.category=good") / "metrics.json").stat()

    add(root, "absent")
    for fit in held:
        fit.release()
    again = Sweep(tmp_path / "sweep", *command)
    jobs = again.jobs()
    assert again.wait() == 0, again.printed
    assert "#2 dataset.category=good: left out, it has finished in" in again.printed
    assert len(jobs) == 3
    wait_for_states(dict.fromkeys(jobs, "COMPLETED"))
    assert len(list(again.output_dir.glob("*/metrics.json"))) == 4
    assert (again.run("dataset.category=good") / "metrics.json").stat() == finished


def assert_told(sweep: Sweep, absent: str, killed: str, cancelled: str) -> None:
    """The summary and the lines above it give the reasons and the logs, which have the traceback."""
    above, _, summary = sweep.printed.partition("3 of 4 jobs failed:")
    assert "#0 dataset.category=absent: FAILED, FileNotFoundError: dataset.category: no category 'absent'" in summary
    assert re.search(r"#1 dataset.category=killed: FAILED, .*: Killed", summary)
    assert re.search(r"#3 dataset.category=cancelled: CANCELLED by .*, .* CANCELLED AT", summary)
    logs = {job: next(sweep.output_dir.glob(f".submitit/{job}/*.err")) for job in (absent, killed, cancelled)}
    for job, log in logs.items():
        assert f"(job {job}, log {log})" in above
        assert f"(job {job}, log {log})" in summary
    for log in (logs[absent], sweep.run("dataset.category=absent") / "train.log"):
        assert "Traceback" in log.read_text()


def test_an_interrupt_cancels(slurm: None, root: Path, gates: Path, tmp_path: Path) -> None:
    add(root, "held")
    held = HeldFit(gates, "held")
    command = [*HOLDING, *SLURM, *data(root, "held", "good"), "hydra.launcher.array_parallelism=1"]
    sweep = Sweep(tmp_path / "sweep", *command)
    array = sweep.array
    held.wait_until_reached()
    sweep.interrupt()
    assert sweep.wait() == 130
    assert f"interrupted: cancelled {array}" in sweep.printed
    wait_until(lambda: set(states(array).values()) == {"CANCELLED"}, "it has cancelled both")


def test_an_interrupt_leaves_the_job_when_told_so(slurm: None, root: Path, tmp_path: Path) -> None:
    """With a site's own launcher; the same command then collects what they have left."""
    site = tmp_path / "site" / "hydra" / "launcher" / "mysite.yaml"
    site.parent.mkdir(parents=True)
    own = ["partition: debug", "on_interrupt: leave", "cpus_per_task: 1", "mem_gb: 1"]
    site.write_text("\n".join(["defaults: [slurm_gpu, _self_]", *own]))
    command = ["--config-dir", str(tmp_path / "site"), "hydra/launcher=mysite", *SMALL, *data(root, "good")]
    sweep = Sweep(tmp_path / "sweep", *command)
    (job,) = sweep.jobs()
    sweep.interrupt()
    assert sweep.wait() == 130
    assert f"When `squeue -j {job}` is empty, give the same command again" in sweep.printed
    wait_for_states({job: "COMPLETED"})
    again = Sweep(tmp_path / "sweep", *command)
    assert again.wait() == 0, again.printed
    assert "left out, it has finished in" in again.printed
    assert again.jobs() == []


def test_on_this_machine_without_slurm(root: Path, tmp_path: Path) -> None:
    sweep = Sweep(tmp_path / "sweep", *LOCAL, *SMALL, *data(root, "absent", "good"))
    assert sweep.wait() == 1
    assert "1 of 2 jobs failed:\n  #0 dataset.category=absent: FAILED, FileNotFoundError: " in sweep.printed
    assert [path.parent for path in sweep.output_dir.glob("*/metrics.json")] == [sweep.run("dataset.category=good")]


def test_a_search_takes_up_its_finished_trials(root: Path, tmp_path: Path) -> None:
    search = ["sweep=optuna", "hydra.sweeper.n_trials=2", "hydra.sweeper.n_jobs=2"]
    command = [*LOCAL, *(override for override in SMALL if "reduction" not in override), *data(root, "good"), *search]
    first = Sweep(tmp_path / "sweep", *command)
    assert first.wait() == 0, first.printed
    best = (first.output_dir / "optimization_results.yaml").read_text()
    again = Sweep(tmp_path / "sweep", *command)
    assert again.wait() == 0, again.printed
    assert again.printed.count("left out, it has finished in") == 2
    assert (again.output_dir / "optimization_results.yaml").read_text() == best
