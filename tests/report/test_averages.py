"""Means and deviations computed by hand; what is missing is never averaged over."""

import pytest

from padim.report.averages import Average, average

SEEDS = {(0, ""): 90.0, (1, ""): 94.0, (2, ""): 92.0}


def test_the_deviation_is_that_of_the_average_over_classes() -> None:
    """Class means of each seed: (90 + 80) / 2, (94 + 90) / 2, (92 + 79) / 2 = 85, 92, 85.5."""
    one = average({"a": SEEDS, "b": {(0, ""): 80.0, (1, ""): 90.0, (2, ""): 79.0}}, ["a", "b"])
    assert one.mean == pytest.approx(87.5)
    assert one.std == pytest.approx(((2.5**2 + 4.5**2 + 2**2) / 2) ** 0.5)
    assert one == Average(one.mean, one.std, repetitions=3)


def test_one_seed_has_no_deviation() -> None:
    assert average({"a": {(7, ""): 90.0}}, ["a"]) == Average(90.0, repetitions=1)


def test_a_missing_class_leaves_nothing() -> None:
    assert average({"a": SEEDS}, ["a", "b", "c"]) == Average(None, missing=("b", "c"))


def test_only_seeds_of_every_class_count() -> None:
    one = average({"a": SEEDS, "b": {(0, ""): 80.0, (1, ""): 90.0}}, ["a", "b"])
    assert (one.mean, one.repetitions) == (pytest.approx((85 + 92) / 2), 2)
    assert one.remark == "seed 2 left out: some classes do not have it"


def test_a_fold_that_some_class_lacks_is_named() -> None:
    one = average({"a": {(0, "fold 0"): 90.0, (0, "fold 1"): 92.0}, "b": {(0, "fold 0"): 80.0}}, ["a", "b"])
    assert one.remark == "seed 0 of fold 1 left out: some classes do not have it"


def test_no_common_seed_gives_a_mean_without_deviation() -> None:
    one = average({"a": {(0, ""): 90.0, (1, ""): 94.0}, "b": {(2, ""): 80.0}}, ["a", "b"])
    assert (one.mean, one.std, one.repetitions) == (86.0, None, 0)
    assert one.remark.startswith("no seed is common to all")


def test_versions_of_a_data_set_repeat_as_seeds_do() -> None:
    one = average({"a": {(0, "fold 0"): 90.0, (0, "fold 1"): 92.0, (0, "fold 2"): 94.0}}, ["a"])
    assert (one.mean, one.std, one.repetitions) == (92.0, 2.0, 3)
