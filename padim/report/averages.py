"""Means over classes and seeds: what can be computed honestly, and what has to be said of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from padim.report.results import Result

Repetition = tuple[int, str]
"""A seed, and a version or fold of the data set where it has some."""


@dataclass(frozen=True)
class Average:
    """Of a metric, in %.

    Attributes:
        mean: over repetitions, of the unweighted mean over classes; None where a class has no value.
        std: over repetitions, with n - 1 in the denominator; None for fewer than two.
        repetitions: that count.
        missing: classes without a value.
        remark: what is not as it should be.
    """

    mean: float | None
    std: float | None = None
    repetitions: int = 0
    missing: tuple[str, ...] = ()
    remark: str = ""


def by_class(results: Iterable[Result], metric: str) -> dict[str, dict[Repetition, float]]:
    """The values of a metric in %, where it could be computed."""
    values: dict[str, dict[Repetition, float]] = {}
    for result in results:
        if metric in result.metrics:
            values.setdefault(result.category, {})[result.seed, result.version] = 100 * result.metrics[metric]
    return values


def average(values: Mapping[str, Mapping[Repetition, float]], classes: Sequence[str]) -> Average:
    """Over the classes, which all count the same; only repetitions that every class has count.

    Without any such repetition the mean is that of the classes' own means, and there is no deviation.
    """
    missing = tuple(name for name in classes if name not in values)
    if missing or not classes:
        return Average(None, missing=missing)
    repetitions = [set(values[name]) for name in classes]
    common = sorted(set.intersection(*repetitions))
    if not common:
        mean = fmean(fmean(values[name].values()) for name in classes)
        return Average(mean, remark="no seed is common to all; the mean of each class's own mean, without deviation")
    means = [fmean(values[name][repetition] for name in classes) for repetition in common]
    others = sorted(set.union(*repetitions) - set(common))
    remark = f"{listed(others)} left out: some classes do not have it" if others else ""
    return Average(fmean(means), stdev(means) if len(means) > 1 else None, len(means), remark=remark)


def listed(repetitions: Iterable[Repetition]) -> str:
    """Such as "seed 3, seed 4"."""
    return ", ".join(f"seed {seed}" + (f" of {version}" if version else "") for seed, version in repetitions)
