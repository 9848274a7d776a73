"""Rd-MVTec AD: MVTec AD that is no longer aligned (Defard et al. 2020, arXiv 2011.08785, table VI).

It is drawn from MVTec AD itself: layout, licence and source are in :mod:`padim.data.mvtec`.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from padim.data.mvtec import MVTec
from padim.data.samples import Pose, Sample

MAX_ANGLE = 10  # degrees
VERSIONS = 5  # the paper averages over as many draws


class RdMVTec(MVTec):
    """Reader of one category, every image of which, for training and for testing, has a pose drawn at random.

    The pose depends on seed, version and path relative to the root alone, so it is the same in every run.

    Args:
        root, category: see :class:`padim.data.mvtec.MVTec`.
        seed: of all versions.
        version: 0 to 4.
    """

    def __init__(self, root: str | Path, category: str | int, seed: int = 0, version: int = 0) -> None:
        if version not in range(VERSIONS):
            raise ValueError(f"dataset.version={version}: Rd-MVTec AD has the versions 0 to {VERSIONS - 1}")
        if seed < 0:
            raise ValueError(f"dataset.seed={seed}: it must be 0 or more")
        super().__init__(root, category)
        self.seed, self.version = seed, version

    def train(self) -> list[Sample]:
        return [self._posed(sample) for sample in super().train()]

    def test(self) -> list[Sample]:
        return [self._posed(sample) for sample in super().test()]

    def _posed(self, sample: Sample) -> Sample:
        rng = np.random.default_rng([self.seed, self.version, *sample.name(self.root).encode()])
        return replace(sample, pose=Pose(rng.uniform(-MAX_ANGLE, MAX_ANGLE), rng.random(), rng.random()))
