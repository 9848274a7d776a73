"""What a test says: everything where all is known, and never a number over a part."""

from itertools import permutations

import pytest
import torch

from padim.data.samples import Batch
from padim.evaluation import METRICS, Evaluation, explain
from padim.scoring import Prediction

SIZE = 12


def image(index: int, label: int, known: bool = True, padding: int = 0) -> tuple[Prediction, Batch]:
    """A batch of one: noise, more of it where the image is anomalous, and padding that would outweigh all of it."""
    generator = torch.Generator().manual_seed(index)
    mask = torch.zeros(1, SIZE, SIZE, dtype=torch.bool)
    mask[:, 4 : 7 + index % 3, 3:8] = bool(label) and known
    valid = torch.ones_like(mask)
    anomaly_map = torch.rand(1, SIZE, SIZE, generator=generator) + 0.5 * mask
    if padding:
        valid[..., -padding:] = False
        anomaly_map[..., -padding:] = 100
    score = anomaly_map.amax((-2, -1))
    facts = (torch.tensor([label]), torch.tensor([index]), torch.tensor([known or not label]))
    return Prediction(score, anomaly_map, ()), Batch(
        torch.zeros(1, 3, SIZE, SIZE), mask, *facts, valid, ["image"], ["hash"]
    )


def evaluated(*images: tuple[Prediction, Batch]) -> Evaluation:
    evaluation = Evaluation()
    for prediction, batch in images:
        evaluation.update(prediction, batch, torch.zeros(len(batch.label), 0))
    return evaluation


KNOWN = [image(0, 0), image(1, 1), image(2, 1), image(3, 0)]


def test_where_all_is_known_all_is_measured() -> None:
    evaluation = evaluated(*KNOWN)
    assert set(evaluation.results()) == {*METRICS, "pixel_auroc_error_bound"}
    assert set(evaluation.curves()) == {"image_roc", "pixel_roc", "pro"}
    assert explain(evaluation.unmeasured()) == []


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_one_unknown_mask_takes_the_pixel_metrics_away(order: tuple[int, ...]) -> None:
    """Wherever it comes; the image AUROC is that of all images."""
    images = [KNOWN[0], KNOWN[1], image(4, 1, known=False)]
    evaluation = evaluated(*(images[n] for n in order))
    assert list(evaluation.results()) == ["image_auroc"]
    assert list(evaluation.curves()) == ["image_roc"]
    assert len(evaluation.scores) == 3
    known = evaluated(KNOWN[0], KNOWN[1], image(4, 1))
    known.image_auroc.scores[2] = evaluation.image_auroc.scores[order.index(2)]
    assert evaluation.results()["image_auroc"] == known.results()["image_auroc"]
    (line,) = explain(evaluation.unmeasured())
    assert line == ("not measured: pixel_auroc, pro (the anomalous pixels of 1 of 2 anomalous test images are unknown)")
    evaluation.reset()
    assert set(evaluation.unmeasured().values()) == {"no test images"}


@pytest.mark.parametrize(
    ("images", "measured", "line"),
    [
        ([], [], "not measured: image_auroc, pixel_auroc, pro (no test images)"),
        (KNOWN[:1], [], "not measured: image_auroc, pixel_auroc, pro (no anomalous test images)"),
        (KNOWN[1:3], ["pixel_auroc", "pro"], "not measured: image_auroc (no normal test images)"),
        (
            [image(5, 1, known=False)],
            [],
            "not measured: image_auroc (no normal test images); pixel_auroc, pro "
            "(the anomalous pixels of 1 of 1 anomalous test images are unknown)",
        ),
    ],
)
def test_what_is_missing_is_told_in_one_line(
    images: list[tuple[Prediction, Batch]], measured: list[str], line: str
) -> None:
    evaluation = evaluated(*images)
    assert [name for name in evaluation.results() if name in METRICS] == measured
    assert explain(evaluation.unmeasured()) == [line]
    assert len(evaluation.curves()) == len(measured)


def test_padding_counts_nowhere() -> None:
    """As if the maps were cut to what is valid, though the padding scores higher than anything."""
    padded = [image(n, n % 2, padding=3) for n in range(6)]
    cut = []
    for prediction, batch in padded:
        inner = prediction.anomaly_map[..., :-3]
        facts = batch._replace(mask=batch.mask[..., :-3], valid=batch.valid[..., :-3])
        cut.append((Prediction(inner.amax((-2, -1)), inner, ()), facts))
    ours, expected = evaluated(*padded), evaluated(*cut)
    assert ours.scores == expected.scores
    assert max(ours.scores.values()) < 2
    assert ours.results() == expected.results()
    assert ours.curves() == expected.curves()


def test_padding_cannot_be_anomalous() -> None:
    prediction, batch = image(1, 1, padding=3)
    with pytest.raises(ValueError, match="pass mask & valid"):
        evaluated((prediction, batch._replace(mask=torch.ones_like(batch.mask))))
