"""Batches made ahead are those of a plain loader, and nobody goes on making them once they are not wanted."""

import threading
import time
from collections.abc import Iterator

import pytest
import torch
from torch.utils.data import Dataset

from padim.data.ahead import AheadLoader, cores


class Squares(Dataset[int]):
    """Numbers that take their time, the first the longest."""

    def __init__(self, length: int, broken: int | None = None) -> None:
        self.length, self.broken, self.asked = length, broken, [0]

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> int:
        self.asked.append(index)
        time.sleep(0.001 * (self.length - index))
        if index == self.broken:
            raise ValueError("item 5 is broken")
        return index**2


@pytest.fixture(autouse=True)
def nobody_is_left() -> Iterator[None]:
    yield
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decoding")]


@pytest.mark.parametrize("num_workers", [None, 0, 1])
@pytest.mark.parametrize("length", [0, 1, 4, 11])
def test_batches_come_in_order(length: int, num_workers: int | None) -> None:
    loader = AheadLoader(Squares(length), num_workers, batch_size=4)
    for _ in range(2):
        batches = list(loader)
        assert torch.cat([torch.tensor([]), *batches]).tolist() == [i**2 for i in range(length)]
        assert [len(batch) for batch in batches[:-1]] == [4] * (len(batches) - 1)


def test_the_next_batch_is_made_while_one_is_used_and_no_more() -> None:
    items = Squares(40)
    batches = iter(AheadLoader(items, batch_size=4))
    next(batches)
    time.sleep(0.5)
    assert set(items.asked) == set(range(8))
    del batches


def test_an_item_that_cannot_be_made_stops_its_own_batch() -> None:
    batches = iter(AheadLoader(Squares(11, broken=5), batch_size=4))
    assert next(batches).tolist() == [0, 1, 4, 9]
    with pytest.raises(ValueError, match="item 5 is broken"):
        next(batches)


def test_there_is_a_core() -> None:
    assert cores() >= 1
