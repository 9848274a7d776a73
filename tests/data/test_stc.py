"""ShanghaiTech Campus: which frames of which videos are read, and that a killed extraction heals."""

import builtins
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from padim.data.samples import Frame, Sample
from padim.data.stc import STC
from padim.data.video import frame_count, read_frames, write_video

BITS = 9


def numbered(number: int) -> np.ndarray:
    """A picture (32, 144, 3) of its number: nine squares, one a bit, white or black; no codec blurs them away."""
    bits = [255 * (number >> bit & 1) for bit in range(BITS)]
    return np.kron(np.array(bits, np.uint8), np.ones((32, 16), np.uint8))[..., None].repeat(3, axis=2)


def read_number(image: Image.Image) -> int:
    means = np.asarray(image.convert("L")).reshape(32, BITS, 16).mean(axis=(0, 2))
    return sum(int(mean > 128) << bit for bit, mean in enumerate(means))


def video(path: Path, frames: int, first: int = 0) -> None:
    write_video(path, (numbered(first + index) for index in range(frames)), rate=24)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two scenes, the frames of which are numbered through."""
    (tmp_path / "training/videos").mkdir(parents=True)
    for name, frames, first in (("01_001", 20, 0), ("01_002", 10, 100), ("02_001", 30, 200)):
        video(tmp_path / f"training/videos/{name}.avi", frames, first)
    (tmp_path / "testing/test_pixel_mask").mkdir(parents=True)
    for name, anomalous in (("01_0014", [2, 3]), ("02_0128", [0])):
        folder = tmp_path / "testing/frames" / name
        folder.mkdir(parents=True)
        for index in range(5):
            Image.fromarray(numbered(index)).save(folder / f"{index:03d}.jpg")
        masks = np.zeros((5, 32, 144), np.uint8)
        masks[anomalous, 4:8, 10:20] = 1
        np.save(tmp_path / f"testing/test_pixel_mask/{name}.npy", masks)
    return tmp_path


# Path, label and mask of every sample, with train_frames=6 and test_stride=2. Six of 60 frames: the middles of tenths.
TRAIN = ["01_001/000005", "01_001/000015", "01_002/000005", "02_001/000005", "02_001/000015", "02_001/000025"]
TEST = [
    ("01_0014/000.jpg", 0, None),
    ("01_0014/002.jpg", 1, ("01_0014.npy", 2)),
    ("01_0014/004.jpg", 0, None),
    ("02_0128/000.jpg", 1, ("02_0128.npy", 0)),
    ("02_0128/002.jpg", 0, None),
    ("02_0128/004.jpg", 0, None),
]


def listing(root: Path, samples: list[Sample]) -> list[tuple[str, int, tuple[str, int] | None]]:
    """As in TEST."""
    rows: list[tuple[str, int, tuple[str, int] | None]] = []
    for sample in samples:
        frame = sample.mask
        assert frame is None or isinstance(frame, Frame)
        mask = None if frame is None else (str(frame.path.relative_to(root / "testing/test_pixel_mask")), frame.index)
        rows.append((str(sample.path.relative_to(root / "testing/frames")), sample.label, mask))
    return rows


@pytest.mark.parametrize("scene", [None, "01", "02"])
def test_listing(root: Path, scene: str | None) -> None:
    """A scene's own model is fitted to as many frames as one for all: to six of 30, not of 60."""
    reader = STC(root, scene, per_scene=scene is not None, train_frames=6 if scene is None else 3, test_stride=2)
    reader.prepare()
    frames = root / "training/sampled_frames"
    assert reader.train() == [Sample(frames / f"{name}.jpg") for name in TRAIN if scene in (None, name[:2])]
    assert all(sample.path.is_file() for sample in reader.train())
    assert listing(root, reader.test()) == [row for row in TEST if scene in (None, row[0][:2])]
    assert {sample.kind for sample in reader.test()} == {"good", "abnormal"}


def test_a_relative_root(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was joined to itself, and nothing was found."""
    monkeypatch.chdir(root.parent)
    reader = STC(root.name, train_frames=4)
    reader.prepare()
    assert len(reader.train()) == 4
    assert all(sample.path.is_file() for sample in reader.train() + reader.test())


@pytest.mark.parametrize("wanted", [1, 7, 59, 60, 5000])
def test_the_frames_are_those_of_the_videos_and_evenly_spread(root: Path, wanted: int) -> None:
    reader = STC(root, train_frames=wanted)
    reader.prepare()
    first = {"01_001": 0, "01_002": 100, "02_001": 200}
    numbers = [read_number(Image.open(sample.path)) for sample in reader.train()]
    assert numbers == [first[sample.path.parent.name] + int(sample.path.stem) for sample in reader.train()]
    assert len(set(numbers)) == min(wanted, 60)
    gaps = [b - a for a, b in pairwise(numbers) if b - a < 50]
    assert not gaps or max(gaps) <= 60 / wanted + 5


def test_frames_come_in_the_order_in_which_they_are_shown(tmp_path: Path) -> None:
    """B frames are stored after the frame that they precede."""
    with av.open(str(tmp_path / "b.avi"), "w") as container:
        stream = container.add_stream("mpeg4", rate=24)
        stream.height, stream.width, stream.pix_fmt = 32, 144, "yuv420p"
        stream.codec_context.options = {"bf": "2", "qmin": "2", "qmax": "2"}
        for number in range(40):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(numbered(number), format="rgb24")))
        container.mux(stream.encode())
    wanted = [0, 1, 2, 17, 38]
    assert [(index, read_number(image)) for index, image in read_frames(tmp_path / "b.avi", wanted)] == [
        (index, index) for index in wanted
    ]


def test_frames_are_counted_where_the_header_is_silent(tmp_path: Path) -> None:
    video(tmp_path / "v.mkv", 20)
    assert frame_count(tmp_path / "v.mkv") == 20


def test_a_video_without_frames_is_named(root: Path) -> None:
    with av.open(str(root / "training/videos/01_001.avi"), "w") as container:
        stream = container.add_stream("mpeg4", rate=24)
        stream.height, stream.width, stream.pix_fmt = 32, 144, "yuv420p"
        container.start_encoding()
    with pytest.raises(ValueError, match=r"the video .*01_001.avi has no frames; copy it again"):
        STC(root).prepare()


# The process dies in the middle of writing its 20th frame, as if the machine had killed it.
DYING = """
import os, signal, sys
from pathlib import Path
from PIL import Image
from padim.data.stc import STC

save, saved = Image.Image.save, []

def save_or_die(image, path, **options):
    saved.append(path)
    save(image, path, **options)
    if len(saved) == 20:
        os.truncate(path, 300)
        os.kill(os.getpid(), signal.SIGKILL)

Image.Image.save = save_or_die
STC(Path(sys.argv[1]), train_frames=45).prepare()
"""


@pytest.mark.slow
def test_a_killed_extraction_is_completed(root: Path) -> None:
    """No half frame under a frame's name, and what is complete is not written again."""
    killed = subprocess.run([sys.executable, "-c", DYING, str(root)], capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    frames = root / "training/sampled_frames"
    times = {path: path.stat().st_mtime_ns for path in frames.glob("[!.]*/*")}
    assert len(times) == 19
    assert all(read_number(Image.open(path)) % 100 == int(path.stem) for path in times)

    reader = STC(root, train_frames=45)
    reader.prepare()
    paths = [sample.path for sample in reader.train()]
    assert sorted(frames.glob("[!.]*/*")) == sorted(paths)
    assert len(paths) == 45
    assert all(read_number(Image.open(path)) % 100 == int(path.stem) for path in paths)
    assert {path: path.stat().st_mtime_ns for path in times} == times


def test_complete_frames_are_not_decoded_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    STC(root, train_frames=6).prepare()

    def refuse(*arguments: object) -> Iterator[tuple[int, Image.Image]]:
        raise AssertionError

    monkeypatch.setattr("padim.data.stc.read_frames", refuse)
    STC(root, train_frames=6).prepare()


def test_a_test_needs_no_training_videos(root: Path, tmp_path: Path) -> None:
    for path in (root / "training/videos").iterdir():
        path.unlink()
    (root / "training/videos").rmdir()
    reader = STC(root)
    reader.prepare()
    assert len(reader.test()) == 2
    with pytest.raises(FileNotFoundError, match=r"training/videos is missing or empty\nexpected:\n    ROOT/training"):
        reader.train()


def test_frame_1000_comes_after_frame_999(root: Path) -> None:
    folder = root / "testing/frames/01_0014"
    for old, new in zip(sorted(folder.iterdir(), reverse=True), (1001, 1000, 999, 998, 997), strict=True):
        old.rename(folder / f"{new}.jpg")
    names = [sample.path.stem for sample in STC(root, "01", per_scene=True, test_stride=1).test()]
    assert names == ["997", "998", "999", "1000", "1001"]


def test_missing_folders_show_the_expected_tree(root: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"dataset.root=.*nowhere is no folder(?s:.)*ROOT/testing/frames"):
        STC(tmp_path / "nowhere").train()
    with pytest.raises(FileNotFoundError, match=r"no category '07' in .*videos; there is 01, 02"):
        STC(root, 7, per_scene=True).train()
    (root / "testing/test_pixel_mask/01_0014.npy").unlink()
    with pytest.raises(FileNotFoundError, match=r"the frames 01_0014 have no masks .*01_0014.npy(?s:.)*ROOT/testing"):
        STC(root).test()


def test_masks_and_frames_must_be_as_many(root: Path) -> None:
    (root / "testing/frames/01_0014/004.jpg").unlink()
    with pytest.raises(ValueError, match=r"01_0014.npy has the masks of 5 frames and .*01_0014 has 4 frames"):
        STC(root).test()


def test_masks_without_frames_are_named(root: Path) -> None:
    """They were passed over; those of a scene that is not asked for still are."""
    masks = root / "testing/test_pixel_mask/02_0129.npy"
    np.save(masks, np.zeros((5, 32, 144), np.uint8))
    with pytest.raises(ValueError, match=r"the masks .*02_0129.npy have no frames; expected them in .*frames/02_0129"):
        STC(root).test()
    assert STC(root, "01", per_scene=True).test()


def test_two_frames_of_one_number_are_named(root: Path) -> None:
    """Which of them the mask is of, nobody can say."""
    folder = root / "testing/frames/01_0014"
    (folder / "004.jpg").rename(folder / "3.jpg")
    with pytest.raises(ValueError, match=r"two images of one number, .*01_0014/003.jpg and .*01_0014/3.jpg"):
        STC(root).test()


def test_bad_masks_and_frames_are_named(root: Path) -> None:
    cover = root / "testing/frames/01_0014/cover.jpg"
    cover.touch()
    with pytest.raises(ValueError, match=r"cover.jpg is not named by a number"):
        STC(root).test()
    cover.unlink()
    masks = root / "testing/test_pixel_mask/01_0014.npy"
    np.save(masks, np.zeros((32, 144)))
    with pytest.raises(ValueError, match=r"01_0014.npy has shape \(32, 144\), which is not T x H x W"):
        STC(root).test()
    for content in (b"\x93NUMPY", b"", b"PK\3\4 as an .npz begins"):
        masks.write_bytes(content)
        with pytest.raises(ValueError, match=r"cannot read the masks .*01_0014.npy"):
            STC(root).test()


def test_a_video_that_cannot_be_decoded_is_named(root: Path) -> None:
    (root / "training/videos/01_002.avi").write_bytes(b"no video")
    with pytest.raises(ValueError, match=r"cannot decode the video .*01_002.avi .*; copy it again"):
        STC(root).prepare()


def test_a_video_that_was_cut_short_is_named(root: Path) -> None:
    """Its header still promises all frames."""
    path = root / "training/videos/02_001.avi"
    video(path, 300)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    assert frame_count(path) == 300
    with pytest.raises(ValueError, match=r"02_001.avi ends after \d+ frames and its header promises 300 or more"):
        STC(root).prepare()


def test_without_pyav_the_extra_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import_: Callable[..., object] = builtins.__import__

    def without(name: str, *arguments: object, **options: object) -> object:
        if name == "av":
            raise ModuleNotFoundError(name)
        return import_(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"pip install padim\[video\]"):
        STC(root).prepare()


def test_impossible_protocols_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"per_scene=true fits one model to one scene: name it, dataset.category=01"):
        STC(tmp_path, per_scene=True)
    with pytest.raises(ValueError, match=r"category=01 with dataset.per_scene=false, one model for all scenes"):
        STC(tmp_path, "01")
    with pytest.raises(ValueError, match=r"dataset.train_frames=0: it must be 1 or more"):
        STC(tmp_path, train_frames=0)
    with pytest.raises(ValueError, match=r"dataset.test_stride=0: it must be 1 or more"):
        STC(tmp_path, test_stride=0)
