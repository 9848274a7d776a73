"""The order of the training images: each epoch another, the same in every run."""

from itertools import pairwise
from pathlib import Path

import pytest

from padim.data.folder import Folder
from padim.data.module import ImageDataModule
from padim.data.shares import Shuffled
from tests.data.files import write


def orders(seed: int, epochs: int = 3) -> list[list[int]]:
    sampler, found = Shuffled(range(10, 30), seed), []
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        found.append(list(sampler))
    return found


def test_every_epoch_has_all_in_another_order() -> None:
    for order in orders(seed=0):
        assert sorted(order) == list(range(10, 30))
    assert all(one != other for one, other in pairwise(orders(seed=0)))


def test_it_depends_on_the_seed_and_the_epoch_alone() -> None:
    assert orders(seed=3) == orders(seed=3) != orders(seed=4)
    resumed = Shuffled(range(10, 30), 3)
    resumed.set_epoch(2)
    assert list(resumed) == orders(seed=3)[2]


@pytest.mark.parametrize(("test_batch_size", "expected"), [(None, [4, 2]), (1, [1] * 6)])
def test_the_test_has_batches_of_its_own(tmp_path: Path, test_batch_size: int | None, expected: list[int]) -> None:
    for number in range(6):
        write(tmp_path / f"train/{number}.png", size=(16, 16), seed=number)
        write(tmp_path / f"test_good/{number}.png", size=(16, 16), seed=number)
    sizes = {"resize": (16, 16), "image_size": (16, 16), "batch_size": 4}
    data = ImageDataModule(Folder(tmp_path), **sizes, test_batch_size=test_batch_size, shuffle_seed=1)
    data.setup("fit")
    assert [len(batch.image) for batch in data.train_dataloader()] == [4, 2]
    assert [len(batch.image) for batch in data.test_dataloader()] == expected
    names = [name for batch in data.train_dataloader() for name in batch.name]
    assert sorted(names) == sorted(data.train_names) != names
