"""The configurations of the heads of an ablation."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import product
from typing import Any, cast

from padim.covariance import Covariance

COMBINE = {"l": "concat", "sum": "sum"}


@dataclass(frozen=True)
class Cell:
    """The configuration of one head.

    Attributes:
        layers: ``l`` and stages, as ``l123``, joined; ``sum`` and stages: the sum of the maps of single layers.
        reduction, dim: see :func:`padim.reduction.make_reduction`.
        covariance, pool, eps: see :class:`padim.covariance.Covariance`; eps is 0.01, or 0 with ``oas``, unless given.
        seed: of the reduction's draw.
    """

    layers: str = "l123"
    reduction: str = "none"
    dim: int | None = None
    covariance: str = "sample"
    pool: int | str = 1
    eps: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        named = isinstance(self.layers, str) and re.fullmatch(r"(l|sum)([1-9]+)", self.layers)
        if not named or list(named[2]) != sorted(set(named[2])):
            raise ValueError(
                f"layers is {self.layers!r}; allowed are l and ascending stages, such as l123, or sum and such stages"
            )
        if not isinstance(self.seed, int) or not 0 <= self.seed < 2**63:
            raise ValueError(f"seed is {self.seed!r}; it must be a whole number, 0 or more")
        if self.eps is None:
            object.__setattr__(self, "eps", 0.0 if self.covariance == "oas" else 0.01)
        Covariance(self.covariance, cast(float, self.eps), self.pool)  # refuses what there is not

    @property
    def stages(self) -> list[int]:
        return [int(stage) for stage in self.layers.lstrip("lsum")]

    @property
    def combine(self) -> str:
        return COMBINE[self.layers.rstrip("123456789")]

    @property
    def estimate(self) -> Covariance:
        return Covariance(self.covariance, cast(float, self.eps), self.pool)

    @property
    def name(self) -> str:
        reduction = f"{self.reduction}{self.dim or ''}"
        covariance = self.covariance if self.pool == 1 else f"{self.covariance}-pool{self.pool}"
        return f"{self.layers}-{reduction}-{covariance}-eps{self.eps:.12g}-seed{self.seed}"


def expand(blocks: Mapping[str, Mapping[str, Any]]) -> list[Cell]:
    """Every combination of the values of each block.

    Args:
        blocks: by any name; of each, fields of :class:`Cell` with a value or a list of values.
    """
    known = [field.name for field in fields(Cell)]
    cells: list[Cell] = []
    for name, block in blocks.items():
        if not isinstance(block, Mapping):
            raise ValueError(f"heads.{name} is {block!r}; it must be a mapping such as {{layers: l123, seed: [0, 1]}}")
        if unknown := set(block) - set(known):
            raise ValueError(f"heads.{name} has {', '.join(sorted(unknown))}; a head has {', '.join(known)}")
        values = [value if isinstance(value, list) else [value] for value in block.values()]
        cells += [_cell(name, dict(zip(block, choice, strict=True))) for choice in product(*values)]
    names = [cell.name for cell in cells]
    if not cells:
        raise ValueError("there is no head; give at least one block, such as '+heads.mine={layers: [l1, l2]}'")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"the head {twice[0]} is there {names.count(twice[0])} times; leave one of them")
    return cells


def _cell(block: str, values: dict[str, Any]) -> Cell:
    try:
        return Cell(**values)
    except ValueError as error:
        raise ValueError(f"heads.{block} has an impossible head, {values}: {error}") from error
