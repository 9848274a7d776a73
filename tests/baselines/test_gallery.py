"""Nearest rows: those of the brute force, whatever the chunks."""

import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from padim.baselines.gallery import Gallery

N, Q, D = 57, 13, 9


def filled(rows: torch.Tensor, parts: int = 1) -> Gallery:
    gallery = Gallery(rows.shape[1])
    for part in rows.tensor_split(parts):
        gallery.add(part)
    gallery.finalise()
    return gallery


def drawn(count: int, seed: int, offset: float = 0.0) -> torch.Tensor:
    return torch.randn(count, D, generator=torch.Generator().manual_seed(seed)) + offset


@pytest.mark.parametrize("count", [1, 5, N, N + 4])
@pytest.mark.parametrize("chunk", [1, 60, 10**6])
def test_nearest_are_those_of_the_brute_force(count: int, chunk: int) -> None:
    rows, queries = drawn(N, 0), drawn(Q, 1)
    squared, which = filled(rows, parts=4).nearest(queries, count, chunk)
    reference = NearestNeighbors(n_neighbors=min(count, N), algorithm="brute").fit(rows.double().numpy())
    distances, numbers = reference.kneighbors(queries.double().numpy())
    assert (which.numpy() == numbers).all()
    torch.testing.assert_close(squared.sqrt(), torch.from_numpy(distances).float())


def test_near_neighbours_far_from_the_origin_keep_their_digits() -> None:
    """Where |q|^2 - 2 q r + |r|^2 in float32 has none left."""
    rows = drawn(N, 0, offset=1000.0)
    queries = rows[:Q] + 1e-2 * drawn(Q, 1)
    squared, which = filled(rows).nearest(queries, 1)
    expected = (queries.double() - rows[:Q].double()).square().sum(1)
    assert which[:, 0].tolist() == list(range(Q))
    torch.testing.assert_close(squared[:, 0].double(), expected, rtol=1e-2, atol=0)


def test_it_takes_the_size_of_what_is_loaded() -> None:
    gallery = filled(drawn(N, 0))
    for assign in (False, True):
        loaded = Gallery(D)
        loaded.load_state_dict(gallery.state_dict(), assign=assign)
        assert torch.equal(loaded.rows, gallery.rows)
    with pytest.raises(RuntimeError, match="size mismatch"):
        Gallery(D + 1).load_state_dict(gallery.state_dict())
