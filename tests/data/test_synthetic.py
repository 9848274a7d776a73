"""The synthetic data set: reproducible pictures, exact masks, MVTec AD's layout."""

import functools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from padim.data import synthetic
from padim.data.synthetic import CATEGORIES, Synthetic, draw, generate

draw_once = functools.cache(draw)  # for the tests that look at the same specimens
# Mean grey level of draw(0, CATEGORY, "test", "stain", 0).image. Not the bytes: numpy's sine may differ in its last bit
# from processor to processor. If the drawing is changed on purpose: take the new means and say so in CHANGELOG.md.
GOLDEN = {"board": 69.753, "fabric": 141.470, "gear": 79.020, "wood": 134.762}
DEFECTS = [(category, kind) for category, recipe in CATEGORIES.items() for kind in recipe.kinds]


@pytest.mark.parametrize("category", CATEGORIES)
def test_same_seed_same_picture_other_seed_other_picture(category: str) -> None:
    image = draw(3, category, "train", "good", 0).image
    assert np.array_equal(image, draw(3, category, "train", "good", 0).image)
    for other in (
        draw(4, category, "train", "good", 0),
        draw(3, category, "train", "good", 1),
        draw(3, category, "test", "good", 0),
    ):
        assert not np.array_equal(image, other.image)


@pytest.mark.parametrize("category", CATEGORIES)
def test_normal_pictures_differ_and_stay_in_range(category: str) -> None:
    """Light, place and noise vary; neither black nor white swallows the picture."""
    first, second = (draw(0, category, "train", "good", index).image for index in range(2))
    assert first.shape == (256, 256, 3)
    assert first.dtype == np.uint8
    assert np.abs(first.astype(int) - second).mean() > 2
    assert np.isin(first, (0, 255)).mean() < 0.02


@pytest.mark.parametrize(("category", "kind"), DEFECTS)
def test_mask_is_exactly_what_the_defect_changes(category: str, kind: str) -> None:
    """Theorem: outside the mask the picture is its flawless twin, bit for bit; inside the defect shows."""
    image, mask, flawless = draw_once(0, category, "test", kind, 0)
    assert set(np.unique(mask)) == {0, 255}
    outside = mask == 0
    assert np.array_equal(image[outside], flawless[outside])
    # The noise is common, so a difference of a grey level can only be lost where the picture is clipped.
    changed = (image != flawless).any(axis=2)
    assert changed[~outside].mean() > 0.95
    assert 30 < changed.sum() < mask.size / 6


@pytest.mark.parametrize(("category", "kind"), DEFECTS)
def test_defects_vary_in_size_place_and_strength(category: str, kind: str) -> None:
    specimens = [draw_once(0, category, "test", kind, index) for index in (0, 2)]
    sizes = {int((mask > 0).sum()) for _, mask, _ in specimens}
    places = {tuple(np.argwhere(mask).mean(axis=0).round()) for _, mask, _ in specimens}
    strengths = {float(np.abs(image.astype(int) - flawless)[mask > 0].mean()) for image, mask, flawless in specimens}
    assert len(sizes) == len(places) == len(strengths) == 2


def test_a_good_specimen_has_an_empty_mask() -> None:
    image, mask, flawless = draw(0, "wood", "test", "good", 0)
    assert not mask.any()
    assert np.array_equal(image, flawless)


def test_the_folder_holds_what_draw_returns(tmp_path: Path) -> None:
    """One specimen drawn alone equals the one of the whole."""
    generate(tmp_path / "wood", "wood", seed=1, train=2, test_good=1, per_kind=2)
    expected = draw(1, "wood", "test", "stain", 1)
    written = Image.open(tmp_path / "wood/test/stain/001.png")
    assert written.mode == "RGB"
    assert np.array_equal(np.asarray(written), expected.image)
    mask = Image.open(tmp_path / "wood/ground_truth/stain/001_mask.png")
    assert mask.mode == "L"
    assert np.array_equal(np.asarray(mask), expected.mask)
    assert len(list((tmp_path / "wood/train/good").iterdir())) == 2


@pytest.mark.parametrize(("category", "mean"), GOLDEN.items())
def test_the_data_set_is_the_same_in_every_process(category: str, mean: float) -> None:
    """A seed taken from hash(), which Python salts per process, would pass every other test."""
    assert draw_once(0, category, "test", "stain", 0).image.mean() == pytest.approx(mean, abs=0.02)


@pytest.fixture
def blank(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """Specimens that cost nothing; the list receives the arguments of every draw."""
    drawn: list[tuple[object, ...]] = []
    pixels = np.zeros((256, 256, 3), np.uint8)

    def stub(*arguments: object) -> synthetic.Specimen:
        drawn.append(arguments)
        return synthetic.Specimen(pixels, pixels[..., 0], pixels)

    monkeypatch.setattr(synthetic, "draw", stub)
    return drawn


def test_prepare_draws_once_and_the_reader_finds_all(tmp_path: Path, blank: list[tuple[object, ...]]) -> None:
    data = Synthetic(tmp_path, "fabric", seed=7)
    data.prepare()
    assert len(data.train()) == 100
    test = data.test()
    assert len(test) == 56
    assert {sample.kind for sample in test} == {"good", *CATEGORIES["fabric"].kinds}
    assert all((sample.mask is None) == (sample.kind == "good") for sample in test)
    data.prepare()
    assert len(blank) == 156
    assert [path.name for path in (Synthetic(tmp_path, "fabric", 7).root).iterdir()] == ["fabric"]


def test_the_slower_of_two_processes_discards_its_copy(
    tmp_path: Path, blank: list[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def overtaken(folder: Path, category: str, seed: int) -> None:
        generate(folder, category, seed, train=1, test_good=1, per_kind=1)
        generate(Synthetic(tmp_path, "wood").root / "wood", category, seed, train=2, test_good=1, per_kind=1)

    monkeypatch.setattr(synthetic, "generate", overtaken)
    data = Synthetic(tmp_path, "wood")
    data.prepare()
    assert len(data.train()) == 2
    assert [path.name for path in Synthetic(tmp_path, "wood").root.iterdir()] == ["wood"]


def test_an_interrupted_prepare_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(folder: Path, category: str, seed: int) -> None:
        folder.mkdir()
        raise KeyboardInterrupt

    monkeypatch.setattr(synthetic, "generate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Synthetic(tmp_path, "wood").prepare()
    assert list(Synthetic(tmp_path, "wood").root.iterdir()) == []


def test_errors_name_what_is_allowed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'bottle': choose one of board, fabric, gear, wood"):
        Synthetic(tmp_path, "bottle")
    with pytest.raises(ValueError, match="seed of the synthetic data set is -1: it must be 0 or more"):
        Synthetic(tmp_path, "wood", seed=-1)
    with pytest.raises(ValueError, match="wood has no defect 'missing_part': ask for good or one of colour, hole"):
        draw(0, "wood", "test", "missing_part", 0)
