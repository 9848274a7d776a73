"""The metrics against scikit-learn and a naive curve, their invariances, and their refusals."""

import math
import warnings
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.integrate import trapezoid
from sklearn.metrics import roc_auc_score, roc_curve
from torch import Tensor, nn
from torchmetrics import Metric, MetricCollection

from padim.curves import BINS, bin_index, region_weights
from padim.metrics import PRO, ImageAUROC, PixelAUROC

METRICS = (ImageAUROC, PixelAUROC, PRO)
PIXEL_METRICS = (PixelAUROC, PRO)
TOLERANCE = {ImageAUROC: 1e-12, PixelAUROC: 1e-5, PRO: 1e-5}  # against the exact value; only the pixels are binned
SCORES = {
    "ordinary": lambda x: x.abs(),
    "far outside [0, 1]": lambda x: x.abs() * 1e4,
    "negative": lambda x: -1 - x.abs(),
    "heavily tied": lambda x: (2 * x).round() / 2,
    "mixed signs": lambda x: x,
    "infinite": lambda x: torch.where(x > 2.5, torch.inf, torch.where(x < -1.5, -torch.inf, x)),
}


def images(seed: int = 0, count: int = 12, size: int = 64) -> tuple[Tensor, Tensor]:
    """Scores and masks (B, H, W) with regions of all sizes, at the borders and diagonal; every third mask is empty."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.zeros(count, size, size, dtype=torch.bool)
    for index in set(range(count)) - set(range(0, count, 3)):
        for height, width in ((20, 13), (5, 30), (1, 2)):
            top, left = (int(torch.randint(0, size - n + 1, (), generator=generator)) for n in (height, width))
            mask[index, top : top + height, left : left + width] = True
        mask[index, range(40, 64), range(40, 64)] = True  # connected over corners only, touching the border
    return torch.randn(mask.shape, generator=generator) + mask, mask


def pro_reference(scores: Tensor, mask: Tensor, limit: float = 0.3) -> float:
    """PRO from the whole curve, a point per distinct score."""
    values, truth = scores.double().numpy(), mask.numpy()
    thresholds = np.unique(values)[::-1]

    def share_above(part: np.ndarray) -> np.ndarray:
        return 1 - np.searchsorted(np.sort(part), thresholds, side="left") / len(part)

    pairs = zip(values, truth, strict=True)
    overlaps = [share_above(image[region]) for image, truth_ in pairs for region in regions_reference(truth_)]
    fpr = np.concatenate([[0], share_above(values[~truth])])
    overlap = np.concatenate([[0], np.mean(overlaps, axis=0)])
    below = fpr < limit
    fpr, overlap = np.append(fpr[below], limit), np.append(overlap[below], np.interp(limit, fpr, overlap))
    return float(trapezoid(overlap, fpr) / limit)


def regions_reference(mask: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """The 8-connected regions of one mask, by flood fill."""
    left = set(zip(*(axis.tolist() for axis in mask.nonzero()), strict=True))
    regions = []
    while left:
        region, front = [], [left.pop()]
        while front:
            row, column = front.pop()
            region.append((row, column))
            near = {(row + i, column + j) for i in (-1, 0, 1) for j in (-1, 0, 1)} & left
            left -= near
            front.extend(near)
        rows, columns = zip(*region, strict=True)
        regions.append((np.array(rows), np.array(columns)))
    return regions


def exact(metric: type[Metric], scores: Tensor, mask: Tensor) -> float:
    if metric is PRO:
        return pro_reference(scores, mask)
    # scikit-learn takes no infinite scores; their ranks have the same order and ties
    ranks = np.unique(scores.double().numpy(), return_inverse=True)[1]
    return float(roc_auc_score(mask.numpy().ravel(), ranks.ravel()))


def update(metric: Metric, scores: Tensor, mask: Tensor) -> Metric:
    """For the image metric every pixel is an image."""
    inputs = (scores.flatten(), mask.flatten()) if isinstance(metric, ImageAUROC) else (scores, mask)
    metric.update(*inputs)
    return metric


def value(metric: type[Metric], scores: Tensor, mask: Tensor) -> float:
    return float(update(metric(), scores, mask).compute())


# --- equal to the exact curves


@pytest.mark.parametrize("kind", SCORES)
@pytest.mark.parametrize("metric", METRICS)
def test_equals_the_exact_curve(metric: type[Metric], kind: str) -> None:
    scores, mask = images()
    assert mask.sum() >= 3000
    assert (~mask).sum() >= 30000
    assert not mask.any((1, 2)).all()
    scores = SCORES[kind](scores)
    assert value(metric, scores, mask) == pytest.approx(exact(metric, scores, mask), abs=TOLERANCE[metric])


@pytest.mark.parametrize("mask_type", [torch.bool, torch.uint8, torch.int64])
@pytest.mark.parametrize("score_type", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("metric", METRICS)
def test_types(metric: type[Metric], score_type: torch.dtype, mask_type: torch.dtype) -> None:
    scores, mask = images(count=4)
    scores = scores.to(score_type)
    before = scores.clone()
    result = value(metric, scores, mask.to(mask_type))
    assert result == pytest.approx(value(metric, scores.float(), mask), abs=1e-12)
    assert torch.equal(scores, before)


@pytest.mark.parametrize("metric", PIXEL_METRICS)
def test_error_bound_holds_and_is_small_on_smooth_maps(metric: type[Metric]) -> None:
    coarse, mask = images()
    smooth = nn.functional.interpolate(coarse[:, None, ::4, ::4], mask.shape[1:], mode="bicubic")[:, 0]
    bounds = []
    for offset in (0, 10, 100, 1000, 10_000):  # the same differences in ever fewer bins, in the end one
        ours = update(metric(), smooth + offset, mask)
        bounds.append(float(ours.error_bound()))
        assert abs(float(ours.compute()) - exact(metric, smooth + offset, mask)) <= bounds[-1] + 1e-12
    assert bounds[0] < 1e-3
    assert bounds == sorted(bounds)


@pytest.mark.parametrize("metric", PIXEL_METRICS)
def test_error_bound_formula(metric: type[Metric]) -> None:
    """One bin holds everything: half the unit square. Below the FPR limit the curve may be all 0 or all 1."""
    maps, mask = torch.ones(1, 4, 4), torch.eye(4, dtype=torch.bool)[None]
    bound = update(metric(), maps, mask).error_bound()
    assert float(bound) == pytest.approx(0.5 if metric is PixelAUROC else 1 - 0.3 / 2)


# --- bins


def test_bins_are_monotone_over_all_floats() -> None:
    bits = torch.randint(-(2**31), 2**31, (200_000,), generator=torch.Generator().manual_seed(0)).to(torch.int32)
    tiny, info = torch.tensor([1e-45, 1e-40, -1e-45, -1e-40]), torch.finfo(torch.float32)
    special = torch.tensor([0.0, -0.0, 1.0, -1.0, math.inf, -math.inf, info.max, info.min, info.tiny, -info.tiny])
    scores = torch.cat([bits.view(torch.float32), tiny, special])
    scores = scores[~scores.isnan()].sort().values
    bins = bin_index(scores)
    assert (bins.diff() >= 0).all()
    assert bins.min() >= 0
    assert bins.max() < BINS


def test_bins_of_zeros_and_infinities() -> None:
    info = torch.finfo(torch.float32)
    bins = bin_index(torch.tensor([-0.0, 0.0, math.inf, info.max, -math.inf, info.min])).tolist()
    assert bins[0] == bins[1]
    assert bins[2] > bins[3]
    assert bins[4] < bins[5]


def test_bins_are_narrow() -> None:
    low = torch.rand(100_000, generator=torch.Generator().manual_seed(0)) * 100 - 50
    high = low + low.abs() * 2**-11.999
    assert (bin_index(high) > bin_index(low)).all()


# --- invariances


@pytest.mark.parametrize("metric", METRICS)
def test_neither_order_nor_batches_matter(metric: type[Metric]) -> None:
    scores, mask = images()
    whole = value(metric, scores, mask)
    order = torch.randperm(len(scores), generator=torch.Generator().manual_seed(0))
    for size in (1, 5, 12):
        parts = metric()
        for index in order.split(size):
            update(parts, scores[index], mask[index])
        assert float(parts.compute()) == pytest.approx(whole, abs=1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_memory_layout_does_not_matter(metric: type[Metric]) -> None:
    scores, mask = images(count=4)
    views = scores.permute(2, 0, 1).contiguous().permute(1, 2, 0), mask.mT.contiguous().mT
    assert value(metric, *views) == value(metric, scores, mask)


@pytest.mark.parametrize("metric", METRICS)
def test_merged_metrics_are_one_metric(metric: type[Metric]) -> None:
    """The first computes before it merges: torchmetrics 1.9 would still return that value (its cache stays)."""
    scores, mask = images()
    first, second = update(metric(), scores[:7], mask[:7]), update(metric(), scores[7:], mask[7:])
    first.compute()
    first.merge_state(second)
    assert float(first.compute()) == pytest.approx(value(metric, scores, mask), abs=1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_reset_forgets(metric: type[Metric]) -> None:
    (scores, mask), (others, other_mask) = images(), images(seed=1)
    used = update(metric(), others, other_mask)
    used.compute()
    used.reset()
    assert float(update(used, scores, mask).compute()) == value(metric, scores, mask)


@pytest.mark.parametrize("transform", [torch.exp, torch.arctan, lambda x: x**3, lambda x: 1e4 * x - 7])
@pytest.mark.parametrize("metric", METRICS)
def test_monotone_transforms_do_not_matter(metric: type[Metric], transform: Callable[[Tensor], Tensor]) -> None:
    scores, mask = images()
    before, after = (update(metric(), x, mask) for x in (scores, transform(scores)))
    bounds = [float(x.error_bound()) for x in (before, after) if not isinstance(x, ImageAUROC)]
    # 1e-6: two neighbouring floats may become one
    assert float(after.compute()) == pytest.approx(float(before.compute()), abs=sum(bounds) + 1e-6)


@pytest.mark.parametrize("metric", [ImageAUROC, PixelAUROC])
def test_auroc_is_antisymmetric(metric: type[Metric]) -> None:
    scores, mask = images()
    area = value(metric, scores, mask)
    assert value(metric, -scores, mask) == pytest.approx(1 - area, abs=1e-12)
    assert value(metric, scores, ~mask) == pytest.approx(1 - area, abs=1e-12)


# --- PRO


def test_pro_counts_regions_and_not_pixels() -> None:
    _, mask = images()
    regions = sum(len(regions_reference(truth)) for truth in mask.numpy())
    assert float(region_weights(mask).sum()) == pytest.approx(regions)


def test_pro_regions_are_8_connected() -> None:
    """A diagonal pair is one region: half of it and all of the single pixel found is 3/4 (4-connected: 2/3)."""
    mask, scores = torch.zeros(1, 10, 10, dtype=torch.bool), torch.full((1, 10, 10), 2.0)
    mask[0, [2, 3, 8], [2, 3, 8]] = True
    scores[0, [2, 3, 8], [2, 3, 8]] = torch.tensor([3.0, 1.0, 3.0])
    assert value(PRO, scores, mask) == pytest.approx(0.75)


def test_pro_regions_end_with_their_image() -> None:
    mask = torch.zeros(2, 8, 8, dtype=torch.bool)
    mask[0, 4, 4] = mask[1, 4, 4:6] = True
    assert region_weights(mask).tolist() == [1.0, 0.5, 0.5]


def test_pro_is_divided_by_the_limit_and_not_by_the_rate_reached() -> None:
    """The curve is (0, 0), (0.1, 0), (0.1, 0.5), (1, 1), by hand: the last point below 0.3 is at 0.1."""
    scores = torch.tensor([[[3.0] + [1.0] * 9 + [2.0, 1.0]]])
    mask = torch.tensor([[[False] * 10 + [True] * 2]])
    assert value(PRO, scores, mask) == pytest.approx(0.2 * (0.5 + 0.5 * 0.1 / 0.9) / 0.3)


def test_pro_of_a_perfect_and_of_a_constant_map() -> None:
    _, mask = images()
    assert value(PRO, mask.float(), mask) == pytest.approx(1)
    assert value(PRO, torch.full(mask.shape, 20.0), mask) == pytest.approx(0.15)


def test_pro_without_a_limit() -> None:
    scores, mask = images()
    assert float(update(PRO(1.0), scores, mask).compute()) == pytest.approx(pro_reference(scores, mask, 1.0), abs=1e-5)


@pytest.mark.parametrize("limit", [0.0, -0.1, 1.1, 30.0])
def test_pro_refuses_impossible_limits(limit: float) -> None:
    with pytest.raises(ValueError, match=f"fpr_limit is {limit}"):
        PRO(limit)


# --- refusals


@pytest.mark.parametrize(("truth", "missing"), [(0, "anomalous"), (1, "normal")])
@pytest.mark.parametrize("metric", METRICS)
def test_one_class_alone_is_nan_with_a_warning(metric: type[Metric], truth: int, missing: str) -> None:
    scores, mask = images(count=2)
    ours = update(metric(), scores, torch.full_like(mask, bool(truth)))
    with pytest.warns(UserWarning, match=f"{metric.__name__} is NaN: .* seen nothing {missing};"):
        assert math.isnan(ours.compute())


@pytest.mark.parametrize("metric", METRICS)
def test_nothing_seen_is_nan_with_a_warning(metric: type[Metric]) -> None:
    with pytest.warns(UserWarning, match="before the ``update`` method"):
        assert math.isnan(metric().compute())
    scores, mask = images(count=2)
    with pytest.warns(UserWarning, match="seen nothing normal or anomalous"):
        assert math.isnan(update(metric(), scores[:0], mask[:0]).compute())


@pytest.mark.parametrize("metric", METRICS)
def test_nan_scores_are_refused(metric: type[Metric]) -> None:
    scores, mask = images(count=2)
    scores[0, 0, :3] = math.nan
    with pytest.raises(ValueError, match=f"3 of {scores.numel()} scores are NaN"):
        update(metric(), scores, mask)


@pytest.mark.parametrize("metric", METRICS)
def test_wrong_shapes_and_types_are_refused(metric: type[Metric]) -> None:
    shape = (4,) if metric is ImageAUROC else (4, 5, 6)
    scores, truth = torch.zeros(shape), torch.zeros(shape, dtype=torch.bool)
    axes = r"\(B\)" if metric is ImageAUROC else r"\(B, H, W\)"
    for other in (truth[:3], truth[..., None]):
        with pytest.raises(ValueError, match=f"scores have shape .* must be {axes}"):
            metric().update(scores, other)
    with pytest.raises(ValueError, match="drop a channel axis"):
        metric().update(scores[:, None], truth[:, None])
    with pytest.raises(ValueError, match="they must be floating point"):
        metric().update(scores.long(), truth)
    for other in (truth.float(), truth.to(torch.uint8) + 254):
        with pytest.raises(ValueError, match=f"the truth is {other.dtype}; it must be bool, or integer 0 and 1"):
            metric().update(scores, other)


# --- inside Lightning and torchmetrics


def test_a_collection_does_not_share_histograms() -> None:
    """MetricCollection lets metrics with equal states share them; after a normal batch these two used to be equal."""
    scores, mask = images()
    collection = MetricCollection([PixelAUROC(), PRO()])
    collection.update(scores, torch.zeros_like(mask))
    collection.update(scores, mask)
    both = torch.cat([scores, scores]), torch.cat([torch.zeros_like(mask), mask])
    expected = {metric.__name__: value(metric, *both) for metric in PIXEL_METRICS}
    assert {name: float(x) for name, x in collection.compute().items()} == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_a_module_in_half_precision_keeps_exact_counts(metric: type[Metric]) -> None:
    """Lightning's ``bf16-true`` calls ``module.to(bfloat16)``, which reaches the states of metrics."""
    scores, mask = images()
    ours = nn.ModuleList([metric()]).to(torch.bfloat16)[0]
    assert float(update(ours, scores, mask).compute()) == value(metric, scores, mask)


@pytest.mark.parametrize("metric", METRICS)
def test_inference_mode_leaves_no_trace(metric: type[Metric]) -> None:
    """Lightning tests and resets within it; an update in place would fail afterwards."""
    scores, mask = images(count=4)
    ours = metric()
    with torch.inference_mode():
        update(ours, scores, mask).compute()
        ours.reset()
    assert float(update(ours, scores, mask).compute()) == value(metric, scores, mask)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("metric", METRICS)
def test_gpu_equals_cpu(metric: type[Metric]) -> None:
    scores, mask = images()
    torch.use_deterministic_algorithms(True)
    try:
        result = update(metric().cuda(), scores.cuda(), mask.cuda()).compute()
    finally:
        torch.use_deterministic_algorithms(False)
    assert result.is_cuda
    assert float(result) == pytest.approx(value(metric, scores, mask), abs=1e-12)


# --- two processes


def _rank(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", "The ``compute`` method")  # of torchmetrics, on the rank without images
    store = torch.distributed.FileStore(f"{folder}/store", 2)
    half_a_minute = timedelta(seconds=30)  # by default a rank whose twin has died waits for half an hour
    torch.distributed.init_process_group("gloo", store=store, rank=rank, world_size=2, timeout=half_a_minute)
    scores, mask = images()
    part = slice(0, 7) if rank == 0 else slice(7, None)
    metrics = {metric.__name__: update(metric(), scores[part], mask[part]) for metric in METRICS}
    results = {name: float(metric.compute()) for name, metric in metrics.items()}
    results |= {
        f"bound of {metric.__name__}": float(metrics[metric.__name__].error_bound()) for metric in PIXEL_METRICS
    }
    results["all on rank 0"] = float((update(ImageAUROC(), scores, mask) if rank == 0 else ImageAUROC()).compute())
    torch.save(results, f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")  # see start_method below
def test_two_processes_equal_one(tmp_path: Path) -> None:
    # fork, as DataLoader does: a spawned process would import everything again, for 15 seconds
    torch.multiprocessing.start_processes(_rank, (str(tmp_path),), nprocs=2, start_method="fork")
    scores, mask = images()
    whole = {metric.__name__: update(metric(), scores, mask) for metric in METRICS}
    expected = {name: float(metric.compute()) for name, metric in whole.items()}
    expected |= {f"bound of {metric.__name__}": float(whole[metric.__name__].error_bound()) for metric in PIXEL_METRICS}
    expected["all on rank 0"] = expected["ImageAUROC"]
    for rank in (0, 1):
        assert torch.load(tmp_path / f"{rank}.pt") == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("kind", SCORES)
def test_curves_pass_through_the_points_of_scikit_learn(kind: str) -> None:
    """At a rate where the curve rises straight up, the upper end."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.rand(400, generator=generator) < 0.3
    scores = SCORES[kind](torch.randn(400, generator=generator) + labels)
    fpr, tpr, _ = roc_curve(labels.numpy(), scores.nan_to_num(posinf=9, neginf=-9).numpy(), drop_intermediate=False)
    rates = torch.linspace(0, 1, 37, dtype=torch.float64)
    expected = [tpr[fpr == rate].max() if rate in fpr else np.interp(rate, fpr, tpr) for rate in rates.numpy()]
    metric = ImageAUROC()
    metric.update(scores, labels)
    np.testing.assert_allclose(metric.curve(rates), expected, rtol=0, atol=1e-12)


def test_a_curve_without_a_class_is_nan() -> None:
    metric = ImageAUROC()
    metric.update(torch.rand(3), torch.zeros(3, dtype=torch.bool))
    assert metric.curve(torch.tensor([0.0, 0.5], dtype=torch.float64)).isnan().all()
