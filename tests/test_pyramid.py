"""The loops over positions."""

import pytest
import torch

from padim import pyramid


@pytest.mark.parametrize("each", [0, 1, pyramid.CPU_CHUNK, 10 * pyramid.CPU_CHUNK])
def test_chunks_cover_every_position_once(each: int) -> None:
    covered = [i for chunk in pyramid.chunks(10, each, torch.device("cpu")) for i in range(chunk.start, chunk.stop)]
    assert covered == list(range(10))
