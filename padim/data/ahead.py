"""Batches made ahead: while one is used, threads of the same process decode the next."""

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from torch.utils.data import DataLoader, Dataset


class AheadLoader(DataLoader[Any]):
    """Batches in order.

    Pillow gives the interpreter free while it decodes and resizes, so that threads decode as fast as processes do, and
    neither take time to start nor send what they read.

    Args:
        dataset: whose items may be read at once.
        num_workers: processes that read the items; 0: the batch is read when it is asked for; None: as many threads as
            this process has cores. Changes speed only.
        options: of ``DataLoader``.
    """

    def __init__(self, dataset: Dataset[Any], num_workers: int | None = None, **options: Any) -> None:
        super().__init__(dataset, num_workers=num_workers or 0, **options)
        self.threads = cores() if num_workers is None else 0

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        return self._ahead() if self.threads else super().__iter__()

    def _ahead(self) -> Iterator[Any]:
        with ThreadPoolExecutor(self.threads, "decoding") as pool:
            made: deque[list[Future[Any]]] = deque()
            try:
                for indices in self.batch_sampler or ():
                    made.append([pool.submit(self.dataset.__getitem__, index) for index in indices])
                    if len(made) > 1:
                        yield self._joined(made.popleft())
                while made:
                    yield self._joined(made.popleft())
            finally:  # also where nobody asks for the rest
                pool.shutdown(cancel_futures=True)

    def _joined(self, items: list[Future[Any]]) -> Any:
        return self.collate_fn([item.result() for item in items])


def cores() -> int:
    """How many of the machine's cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
