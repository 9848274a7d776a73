"""SIGKILL at twenty random moments of writing a file: it is the old one or the new one, and nothing else stays."""

import os
import signal
import time
import warnings
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch

from padim.checkpoint import AtomicCheckpointIO, read_checkpoint
from padim.writing import whole

KILLS = 20


def save(number: int, path: Path) -> None:
    x = torch.from_numpy(np.full(500_000, number))  # torch's own threads do not outlive a fork
    AtomicCheckpointIO().save_checkpoint({"config": {}, "hyper_parameters": {}, "state_dict": {"x": x}}, path)


def forked() -> int:
    """0 in the child, which uses no threads, of which Python warns from 3.12 on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def saved(path: Path) -> int:
    """The number of a file that is whole."""
    (number,) = set(read_checkpoint(path)["state_dict"]["x"].tolist())
    return number


@pytest.mark.slow
def test_a_checkpoint_is_the_old_one_or_the_new_one(tmp_path: Path) -> None:
    """What is killed while it writes left a hidden file of the size of a model each time."""
    path, random, number, left = tmp_path / "padim.ckpt", Random(0), 0, 0
    begin = time.monotonic()
    save(number, path)
    seconds = time.monotonic() - begin
    for _ in range(KILLS):
        child = forked()
        if not child:
            try:
                while True:
                    save(number := number + 1, path)
            finally:
                os._exit(1)
        time.sleep(random.uniform(0, 4 * seconds))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        left += len(list(tmp_path.iterdir())) - 1
        before, number = number, saved(path)
        assert number >= before
        if number == before:  # on a busy machine one saving takes many times as long as the first took
            seconds *= 1.5
    assert number
    assert left
    save(number, path)
    assert list(tmp_path.iterdir()) == [path]


def test_what_another_process_is_writing_is_left_alone(tmp_path: Path) -> None:
    """Nor is a file of a name that only looks like one of ours."""
    path = tmp_path / "a[1].json"
    with whole(path) as part:
        others = [part.with_name(part.name.replace(f"-{os.getpid()}.", f"-{os.getppid()}."))]
        others += [
            part.with_name(part.name.replace(f"-{os.getpid()}.", f"-{other}.")) for other in ("x", "1x", "", "9" * 40)
        ]
        others += [tmp_path / ".a[1].elsewhere-999999999.part.json", tmp_path / ".a1.json"]
        for one in (part, *others):
            one.touch()
    with whole(path) as part:
        part.touch()
    assert set(tmp_path.iterdir()) == {path, *others}
