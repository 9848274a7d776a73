"""Embeddings of training images that are kept one by one: what the memory of a nearest-neighbour method is made of."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from padim.precision import full_precision
from padim.processes import gather

CHUNK = 2**24
"""Distances in memory at once, 64 MiB."""


class Gallery(nn.Module):
    """Rows to search; their number is that of what was added, or of the file that they are loaded from.

    Args:
        dimensions: D of a row.
    """

    rows: Float[Tensor, "N D"]

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        self.register_buffer("rows", torch.empty(0, dimensions))
        self._added: list[Tensor] = []

    def add(self, rows: Float[Tensor, "n D"]) -> None:
        """Keep some more, from :meth:`finalise` on."""
        self._added.append(rows)

    def merge_ranks(self) -> None:
        """Keep what all processes have added, in the order of the processes."""
        parts = gather(torch.cat(self._added).cpu() if self._added else None)
        self._added = [part.to(self.rows.device) for part in parts if part is not None]

    def finalise(self) -> None:
        """Take in what was added, part by part: all of it is never held twice."""
        parts, self._added = [self.rows, *self._added], []
        rows, start = self.rows.new_empty(sum(map(len, parts)), self.rows.shape[1]), 0
        while parts:
            part = parts.pop(0)
            rows[start : start + len(part)] = part
            start += len(part)
        self.rows = rows

    def nearest(
        self, queries: Float[Tensor, "Q D"], count: int, chunk: int = CHUNK
    ) -> tuple[Float[Tensor, "Q count"], Int[Tensor, "Q count"]]:
        """Squared Euclidean distances to the nearest rows, nearest first, and which rows these are.

        They are found by inner products and then measured as differences: |q|^2 - 2 q r + |r|^2 alone would lose the
        digits of near neighbours.

        Args:
            count: of neighbours; of a smaller gallery all are taken.
            chunk: distances in memory at once.

        Raises:
            RuntimeError: the gallery is empty.
        """
        if not len(self.rows):
            raise RuntimeError("the model is not fitted: it has no image to compare with; fit it, or load a fitted one")
        with full_precision(queries.device):
            which = self._search(queries.to(self.rows.dtype), min(count, len(self.rows)), chunk)
            squared, order = (queries[:, None] - self.rows[which]).square().sum(-1).sort(1)
        return squared, which.gather(1, order)

    def _search(self, queries: Float[Tensor, "Q D"], count: int, chunk: int) -> Int[Tensor, "Q count"]:
        step = max(1, chunk // max(1, len(queries)))
        best, which = queries.new_empty(len(queries), 0), self.rows.new_empty(len(queries), 0, dtype=torch.long)
        for start in range(0, len(self.rows), step):
            rows = self.rows[start : start + step]
            products = torch.addmm(rows.square().sum(1), queries, rows.mT, alpha=-2)  # |q|^2 changes no order
            near, place = products.topk(min(count, len(rows)), largest=False)
            best, which = torch.cat([best, near], 1), torch.cat([which, start + place], 1)
            best, kept = best.topk(min(count, best.shape[1]), largest=False)
            which = which.gather(1, kept)
        return which

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *others: Any) -> None:
        """Take the size of what is loaded."""
        loaded = state_dict.get(prefix + "rows")
        if isinstance(loaded, Tensor) and loaded.ndim == 2 and loaded.shape[1] == self.rows.shape[1]:
            self.rows = self.rows.new_empty(loaded.shape)
        super()._load_from_state_dict(state_dict, prefix, *others)
