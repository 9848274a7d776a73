"""How well each kind of anomaly is found."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from padim.kinds import Kind, by_kind


def test_each_kind_against_the_good() -> None:
    kinds = ["stain", "good", "hole", "good", "stain", "good", "hole", "stain"]
    scores = [3.0, 1.0, 0.5, 2.0, 2.0, 0.0, 1.0, 1.5]
    found = by_kind(kinds, scores)
    assert found[0] == Kind("good", 3, 1.0, None)
    assert [kind.kind for kind in found] == ["good", "hole", "stain"]
    for kind in found[1:]:
        compared = [index for index, name in enumerate(kinds) if name in ("good", kind.kind)]
        labels, of_them = [kinds[index] != "good" for index in compared], [scores[index] for index in compared]
        assert kind.images == sum(labels)
        assert kind.mean_score == pytest.approx(np.mean(np.array(of_them)[labels]))
        assert kind.image_auroc == pytest.approx(roc_auc_score(labels, of_them), abs=1e-12)


def test_ties_count_half() -> None:
    assert by_kind(["good", "hole"], [1.0, 1.0])[1].image_auroc == 0.5


def test_without_good_images_nothing_is_compared() -> None:
    assert by_kind(["stain", "hole"], [1.0, 2.0]) == [Kind("hole", 1, 2.0, None), Kind("stain", 1, 1.0, None)]


def test_without_images_there_is_no_kind() -> None:
    assert by_kind([], []) == []


def test_the_order_of_the_images_changes_nothing() -> None:
    kinds, scores = ["good", "hole", "good", "hole"], [1.0, 0.5, 0.25, 2.0]
    assert by_kind(kinds, scores) == by_kind(kinds[::-1], scores[::-1])
