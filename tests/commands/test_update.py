"""Images join a fitted model and leave it, exactly; nothing goes in twice, and only what is inside comes out."""

import shutil
from pathlib import Path

import pytest
import torch

from padim.checkpoint import load_module, read_checkpoint, save_changed
from padim.commands import export, merge, train, update
from padim.module import PaDiMModule
from tests.commands.model_files import refused, written
from tests.commands.test_run import TINY, run
from tests.drawn import draw

PLAIN = ["dataset=folder", *TINY, "trainer.limit_test_batches=0", "calibration.alpha=0.3"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Normal images: a with 8 of them, b with 4, both with all, and some for a threshold."""
    root = tmp_path_factory.mktemp("photos")
    drawn = sorted((draw(root / "drawn", "board", train=20, test_good=1) / "train" / "good").glob("*.png"))
    for name, chosen in {"a": drawn[:8], "b": drawn[8:12], "both": drawn[:12], "other": drawn[12:]}.items():
        (root / name).mkdir()
        for photo in chosen:
            shutil.copy(photo, root / name / photo.name)
    return root


def fit(root: Path, folder: Path, *options: str) -> Path:
    with pytest.MonkeyPatch.context() as monkeypatch:
        run(monkeypatch, train.main, f"output_dir={folder}", f"dataset.root={root}", *PLAIN, *options)
    return folder / "padim.ckpt"


@pytest.fixture(scope="module")
def model(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fitted to a."""
    return fit(photos / "a", tmp_path_factory.mktemp("a"), "calibration=leave_one_out")


def assert_same_model(ours: Path, theirs: Path, bound: float = 1e-5) -> None:
    contents = [sorted(content for _, content in read_checkpoint(path)["images"]) for path in (ours, theirs)]
    assert contents[0] == contents[1]
    modules = [load_module(path) for path in (ours, theirs)]
    for mine, its in zip(*(m.model.head.statistics.moments for m in modules), strict=True):
        assert mine.count == its.count
        assert (mine.mean - its.mean).abs().max() <= bound * its.mean.abs().max()
        assert (mine.scatter - its.scatter).abs().max() <= bound * its.scatter.abs().max()
    images = torch.randint(256, (4, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        scores = [module.model(images).score for module in modules]
    torch.testing.assert_close(*scores, rtol=1e-4, atol=0)


def test_a_and_then_b_is_both(model: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = fit(photos / "both", tmp_path / "both")
    assert_same_model(written(monkeypatch, update.main, tmp_path / "new.ckpt", model, "--add", photos / "b"), both)


def test_the_update_of_a_fit_in_bfloat16_is_in_bfloat16(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Statistics that are added to are of one type."""
    first, both = (fit(photos / name, tmp_path / name, "execution.bfloat16=true") for name in ("a", "both"))
    assert_same_model(written(monkeypatch, update.main, tmp_path / "new.ckpt", first, "--add", photos / "b"), both)


def test_an_exported_state_is_updated_as_its_checkpoint(
    model: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That --statistics keeps what padim-update needs was said, and padim-update took checkpoints alone."""
    kept = written(monkeypatch, export.main, tmp_path / "a.safetensors", model, "--format=safetensors", "--statistics")
    new, expected = (
        written(monkeypatch, update.main, tmp_path / f"{i}.ckpt", one, "--add", photos / "b")
        for i, one in enumerate((kept, model))
    )
    assert_same_model(new, expected, bound=0)
    assert len(PaDiMModule.load_from_checkpoint(new, map_location="cpu", weights_only=True).images) == 12
    bare = written(monkeypatch, export.main, tmp_path / "bare.safetensors", model, "--format=safetensors")
    said = refused(monkeypatch, update.main, tmp_path / "new.ckpt", bare, "--add", photos / "b")
    assert "has overwritten its statistics" in said


def test_what_is_written_has_the_name_of_a_checkpoint(
    model: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """padim-predict took the file for what its suffix says."""
    assert refused(monkeypatch, update.main, tmp_path / "new.safetensors", model, "--add", photos / "b") == "2"
    assert "give a name that ends in .ckpt" in capsys.readouterr().err


def test_where_it_cannot_be_written_is_said(
    model: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a line, and no traceback."""
    (tmp_path / "file").touch()
    output = tmp_path / "file" / "new.ckpt"
    for main, arguments in ((update.main, [model, "--add", photos / "b"]), (merge.main, [model])):
        assert str(tmp_path / "file") in refused(monkeypatch, main, output, *arguments)


@pytest.mark.slow
def test_what_joins_can_leave_again(
    model: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    more = written(monkeypatch, update.main, tmp_path / "more.ckpt", model, "--add", photos / "b")
    assert "4 images added, 0 taken out: 12 images are in" in capsys.readouterr().out
    assert_same_model(written(monkeypatch, update.main, tmp_path / "back.ckpt", more, "--remove", photos / "b"), model)
    files = sorted((photos / "b").iterdir())
    exchanged = written(monkeypatch, update.main, tmp_path / "exchanged.ckpt", more, "--remove", *files[:2])
    again = written(
        monkeypatch, update.main, tmp_path / "again.ckpt", exchanged, "--remove", *files[2:], "--add", *files[:2]
    )
    expected = written(monkeypatch, update.main, tmp_path / "expected.ckpt", model, "--add", *files[:2])
    assert_same_model(again, expected)


def test_other_images_void_the_threshold(
    model: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert load_module(model).calibration is not None
    more = written(monkeypatch, update.main, tmp_path / "more.ckpt", model, "--add", photos / "b")
    assert load_module(more).calibration is None
    inside, outside = (next((photos / name).iterdir()) for name in ("a", "b"))
    as_many = written(monkeypatch, update.main, tmp_path / "as_many.ckpt", model, "--add", outside, "--remove", inside)
    assert load_module(as_many).calibration is None
    assert "it has no threshold: one of other images is void" in capsys.readouterr().out
    calibrated = written(
        monkeypatch, update.main, tmp_path / "new.ckpt", more, "--calibrate", photos / "other", "--alpha", 0.2
    )
    calibration = load_module(calibrated).calibration
    assert calibration is not None
    assert (calibration.source, calibration.fitted, len(calibration.scores)) == ("held_out", 12, 8)
    assert "8 normal images" in capsys.readouterr().out


def test_nothing_goes_in_twice(model: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor under another name, nor into a threshold."""
    inside = sorted((photos / "a").iterdir())[0]
    copy = tmp_path / "copy.png"
    shutil.copy(inside, copy)
    output = tmp_path / "new.ckpt"
    said = refused(monkeypatch, update.main, output, model, "--add", photos / "b", copy)
    assert said == (
        f"padim-update: 1 images would count twice, such as {inside.name} and {copy}, whose content is the same; "
        "leave them out"
    )
    twin = tmp_path / "twin.png"
    shutil.copy(next((photos / "b").iterdir()), twin)
    assert "1 images would count twice" in refused(monkeypatch, update.main, output, model, "--add", photos / "b", twin)
    assert "8 images would count twice" in refused(monkeypatch, update.main, output, model, "--calibrate", photos / "a")


def test_only_what_is_inside_comes_out(
    model: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, outside = tmp_path / "new.ckpt", next((photos / "b").iterdir())
    said = refused(monkeypatch, update.main, output, model, "--remove", photos / "a", outside)
    assert said == f"padim-update: cannot take out {outside}: its content is not in the model"
    files = sorted((photos / "a").iterdir())
    assert "at least 2 images, found 1" in refused(monkeypatch, update.main, output, model, "--remove", *files[:7])


def test_an_image_with_other_views_does_not_come_out(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turned = fit(photos / "a", tmp_path / "run", "augmentation=light")
    said = refused(monkeypatch, update.main, tmp_path / "new.ckpt", turned, "--remove", photos / "a")
    assert "its content is in the model as 4 other views or copies" in said


@pytest.mark.parametrize(
    "options",
    [
        ["dataset=rd_mvtec", "dataset.category=one"],  # each image turned and cropped at random
        ["dataset.train=one", "augmentation.repeats=2", "dataset.shard=1/2"],
    ],
)
def test_an_image_that_was_turned_or_whose_view_is_inside_is_not_taken_for_it(
    options: list[str], photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was taken out, pixels that had never gone in, and a second time it could go in."""
    good = tmp_path / "one" / "train" / "good"
    shutil.copytree(photos / "a", good)
    (tmp_path / "one" / "test" / "good").mkdir(parents=True)
    shutil.copy(next((photos / "b").iterdir()), tmp_path / "one" / "test" / "good")
    model = fit(tmp_path, tmp_path / "run", *options)
    said = refused(monkeypatch, update.main, tmp_path / "new.ckpt", model, "--remove", good)
    assert "other views or copies" in said
    said = refused(monkeypatch, update.main, tmp_path / "new.ckpt", model, "--add", good)
    assert "images would count twice" in said


def test_a_model_that_was_saved_without_a_data_set(
    model: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its images are whole ones, as padim-predict takes them."""
    module = load_module(model)
    module.config = {}
    save_changed(module, tmp_path / "bare.ckpt")
    new = written(monkeypatch, update.main, tmp_path / "new.ckpt", tmp_path / "bare.ckpt", "--add", photos / "b")
    assert load_module(new).fitted == 12
    with pytest.raises(SystemExit, match="would count twice"):
        written(monkeypatch, merge.main, tmp_path / "both.ckpt", tmp_path / "bare.ckpt", new)


def test_nothing_to_do(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: object) -> None:
    assert refused(monkeypatch, update.main, tmp_path / "new.ckpt", model) == "2"


def test_a_model_without_its_statistics(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = fit(photos / "a", tmp_path / "run", "model.save_state=false")
    said = refused(monkeypatch, update.main, tmp_path / "new.ckpt", bare, "--add", photos / "b")
    assert "has overwritten its statistics" in said
