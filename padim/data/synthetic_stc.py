"""A drawn stand-in for ShanghaiTech Campus, videos and all: people walk before fixed cameras, and in the test videos a
cyclist or a van, which no training video shows, crosses among them. The masks are exact."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image
from tqdm import tqdm

from padim.data.drawing.campus import HEIGHT, SCENES, WIDTH, scenery
from padim.data.drawing.canvas import quantise
from padim.data.drawing.traffic import intruder, picture, walkers
from padim.data.once import make_once
from padim.data.stc import JPEG_QUALITY, STC
from padim.data.video import write_video

Bytes = npt.NDArray[np.uint8]

VERSION = 1  # of the drawing: raise it with every change of a pixel, lest old pictures be taken for new ones
RATE = 5  # frames a second
INTRUDERS = ("cyclist", "van")  # by turns, one a test video


class Shot(NamedTuple):
    """One frame of a video."""

    image: Bytes  # (136, 240, 3)
    mask: Bytes  # (136, 240), 1 where the intruder shows, else 0


class SyntheticSTC(STC):
    """The synthetic campus, drawn under ``root`` / vVERSION-seed-SEED when it is first asked for.

    Args:
        root: folder of the data set; seeds lie apart in it.
        category, per_scene, train_frames, test_stride: see :class:`padim.data.stc.STC`; the scenes are 01, 02 and 03.
        seed: what the whole data set is drawn from.
    """

    def __init__(
        self,
        root: str | Path,
        category: str | int | None = None,
        per_scene: bool = False,
        train_frames: int = 5000,
        test_stride: int = 5,
        seed: int = 0,
    ) -> None:
        if seed < 0:
            raise ValueError(f"dataset.seed={seed}: it must be 0 or more")
        super().__init__(Path(root) / f"v{VERSION}-seed-{seed}", category, per_scene, train_frames, test_stride)
        self.seed = seed

    def prepare(self) -> None:
        make_once(self.root, lambda folder: generate(folder, self.seed))
        super().prepare()


def generate(
    folder: Path,
    seed: int = 0,
    scenes: tuple[str, ...] = tuple(SCENES),
    videos: int = 2,
    train_frames: int = 60,
    test_frames: int = 40,
) -> None:
    """Write the data set as ShanghaiTech Campus is laid out, see :mod:`padim.data.stc`.

    Args:
        videos: of each scene, for training and again for testing.
        train_frames, test_frames: of each video.
    """
    for name in ("training/videos", "testing/frames", "testing/test_pixel_mask", "testing/test_frame_mask"):
        (folder / name).mkdir(parents=True)
    total = len(scenes) * videos * (train_frames + test_frames)
    with tqdm(total=total, desc="drawing the campus", unit="frame") as progress:
        for scene in scenes:
            for index in range(videos):
                shots = _watched(film(seed, scene, "train", index, train_frames), progress)
                file = folder / "training" / "videos" / f"{scene}_{index + 1:03d}.avi"
                write_video(file, (shot.image for shot in shots), RATE)
                shots = _watched(film(seed, scene, "test", index, test_frames), progress)
                _write_test(folder / "testing", f"{scene}_{index + 1:04d}", list(shots))


def film(seed: int, scene: str, split: str, index: int, frames: int) -> Iterator[Shot]:
    """The frames of a video; a function of the arguments alone, so the order of drawing does not matter.

    The mask is where the picture with and without the intruder differs by a grey level or more, before the noise of the
    sensor; so whoever walks in front of the intruder is not part of it.
    """
    # Not hash(), which differs from process to process.
    place = scenery(SCENES[scene], np.random.default_rng([seed, *scene.encode()]))
    rng = np.random.default_rng([seed, *f"{scene}/{split}/{index}".encode()])
    people, gain = walkers(SCENES[scene], frames, rng), rng.uniform(0.96, 1.04)
    others = [intruder(SCENES[scene], INTRUDERS[index % len(INTRUDERS)], frames, rng)] if split == "test" else []
    for frame in range(frames):
        normal = picture(SCENES[scene], place, people, frame)
        seen = picture(SCENES[scene], place, [*people, *others], frame) if others else normal
        shows = np.abs(seen - normal).max(axis=2) >= 1 / 255  # (136, 240)
        noise = np.float32(0.012) * rng.standard_normal((HEIGHT, WIDTH, 3), np.float32)
        clean = np.where(shows[..., None], seen, normal)
        yield Shot(quantise(np.float32(gain) * clean + noise), shows.astype(np.uint8))


def _watched(shots: Iterator[Shot], progress: tqdm) -> Iterator[Shot]:
    for shot in shots:
        yield shot
        progress.update()


def _write_test(folder: Path, name: str, shots: list[Shot]) -> None:
    """Frames and both kinds of masks of one test video."""
    (folder / "frames" / name).mkdir()
    for index, shot in enumerate(shots):
        Image.fromarray(shot.image).save(folder / "frames" / name / f"{index:03d}.jpg", quality=JPEG_QUALITY)
    masks = np.stack([shot.mask for shot in shots])  # (T, 136, 240)
    np.save(folder / "test_pixel_mask" / f"{name}.npy", masks)
    np.save(folder / "test_frame_mask" / f"{name}.npy", masks.any(axis=(1, 2)).astype(np.uint8))
