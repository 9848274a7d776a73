"""ShanghaiTech Campus (STC): 13 static cameras, 12 of them with tests. Table IV of the paper.

    ROOT/training/videos/SS_VVV.avi                 SS: the scene, 01 to 13; VVV: the video
    ROOT/training/sampled_frames/SS_VVV/NNNNNN.jpg  extracted here; NNNNNN: the frame, from 0
    ROOT/testing/frames/SS_VVVV/NNN.jpg
    ROOT/testing/test_pixel_mask/SS_VVVV.npy        T x H x W, one mask a frame, not 0 where anomalous
    ROOT/testing/test_frame_mask/SS_VVVV.npy        not read: the pixel masks say it too

The paper says nothing of its protocol. Public reproductions fit to about 5000 of the 274 515 training frames and test
on every 5th frame (SPADE), by one model for all scenes (OrthoAD); the paper's timings read like one model a scene.

Liu, Luo, Lian, Gao: Future frame prediction for anomaly detection - a new baseline. CVPR 2018, arXiv 1712.09867. To be
had by way of https://github.com/StevenLiuWen/ano_pred_cvpr2018, which names no licence of the videos: ask the authors
before any use but research.
"""

import tempfile
from functools import cached_property
from itertools import accumulate, pairwise
from pathlib import Path

from tqdm import tqdm

from padim.data.decoding import map_masks
from padim.data.layout import Layout
from padim.data.samples import Frame, Sample
from padim.data.video import frame_count, read_frames

LAYOUT = Layout.of(__doc__)
JPEG_QUALITY = 95  # the test frames are JPEG too; lossless would take five times the space


class STC:
    """Reader of one scene or of all.

    Args:
        root: folder with ``training`` and ``testing``.
        category: the scene, such as "01"; None for all of them.
        per_scene: one model for each scene, named by category; else one for all.
        train_frames: how many frames to fit to, spread evenly over the videos; all, where there are fewer.
        test_stride: frames from one that is tested on to the next, in each video; 1 tests on all.
    """

    def __init__(
        self,
        root: str | Path,
        category: str | int | None = None,
        per_scene: bool = False,
        train_frames: int = 5000,
        test_stride: int = 5,
    ) -> None:
        if per_scene and category is None:
            raise ValueError("dataset.per_scene=true fits one model to one scene: name it, dataset.category=01")
        if not per_scene and category is not None:
            raise ValueError(
                f"dataset.category={category} with dataset.per_scene=false, one model for all scenes; for a model of"
                f" this scene alone set dataset.per_scene=true, else leave dataset.category=null"
            )
        for name, value in (("train_frames", train_frames), ("test_stride", test_stride)):
            if value < 1:
                raise ValueError(f"dataset.{name}={value}: it must be 1 or more")
        self.root = Path(root)
        self.scene = None if category is None else str(category).zfill(2)  # Hydra reads 10 as a number
        self.train_frames, self.test_stride = train_frames, test_stride

    def prepare(self) -> None:
        """Extract the training frames that are not there yet. A frame appears under its name when it is complete."""
        if not self._videos.is_dir():
            return  # a test needs none, and train() says what is missing
        plan = {
            video: [index for index in indices if not self._frame(video, index).exists()]
            for video, indices in self._plan.items()
        }
        missing = sum(map(len, plan.values()))
        if not missing:
            return
        self._frames.mkdir(exist_ok=True)
        # A folder for each process, lest two that extract at once write to one file.
        with (
            tempfile.TemporaryDirectory(prefix=".unfinished-", dir=self._frames) as unfinished,
            tqdm(total=missing, desc="extracting training frames", unit="frame") as progress,
        ):
            for video, indices in plan.items():
                self._extract(video, indices, Path(unfinished) / "frame.jpg", progress)

    def train(self) -> list[Sample]:
        return [Sample(self._frame(video, index)) for video, indices in self._plan.items() for index in indices]

    def test(self) -> list[Sample]:
        folder = self.root / "testing" / "frames"
        videos = [path for path in self._of_scene(folder, "[!.]*_*") if path.is_dir()]
        for file in sorted(self._masks.glob("[!.]*.npy")):
            if self.scene in (None, _scene(file)) and not (folder / file.stem).is_dir():
                raise LAYOUT.wrong(f"the masks {file} have no frames; expected them in {folder / file.stem}")
        return [sample for video in videos for sample in self._test_frames(video)]

    @property
    def _videos(self) -> Path:
        return self.root / "training" / "videos"

    @property
    def _frames(self) -> Path:
        """Not training/frames, where others leave frames that are counted from 1."""
        return self.root / "training" / "sampled_frames"

    @property
    def _masks(self) -> Path:
        return self.root / "testing" / "test_pixel_mask"

    def _frame(self, video: Path, index: int) -> Path:
        return self._frames / video.stem / f"{index:06d}.jpg"

    def _extract(self, video: Path, indices: list[int], unfinished: Path, progress: tqdm) -> None:
        for index, image in read_frames(video, indices):
            path = self._frame(video, index)
            path.parent.mkdir(exist_ok=True)
            image.save(unfinished, quality=JPEG_QUALITY)
            unfinished.replace(path)
            progress.update()

    @cached_property  # every video is opened for it
    def _plan(self) -> dict[Path, list[int]]:
        """Which frames of each video to fit to: the middles of equal parts, in number as the video is long."""
        videos = self._of_scene(self._videos, "[!.]*_*.avi")
        counts = [frame_count(video) for video in videos]
        total = sum(counts)
        wanted = min(self.train_frames, total)
        bounds = [wanted * end // total for end in accumulate(counts, initial=0)]
        shares = [end - start for start, end in pairwise(bounds)]
        return {
            video: [(2 * part + 1) * count // (2 * share) for part in range(share)]
            for video, count, share in zip(videos, counts, shares, strict=True)
        }

    def _of_scene(self, folder: Path, pattern: str) -> list[Path]:
        """Videos, or folders of their frames, in order."""
        LAYOUT.root(self.root)
        found = sorted(folder.glob(pattern))  # dots: what macOS leaves beside files
        if not found:
            raise LAYOUT.missing(f"{folder} is missing or empty")
        chosen = [path for path in found if self.scene in (None, _scene(path))]
        if self.scene is not None and not chosen:
            raise LAYOUT.no_category(self.scene, folder, map(_scene, found))
        return chosen

    def _test_frames(self, video: Path) -> list[Sample]:
        """Every ``test_stride``-th frame of one video; its masks are as many as its frames, in the same order."""
        frames = sorted(video.glob("[!.]*.jpg"), key=_number)
        for one, other in pairwise(frames):
            if _number(one) == _number(other):
                raise LAYOUT.wrong(f"two images of one number, {one} and {other}; remove one")
        file = self._masks / f"{video.name}.npy"
        try:
            masks = map_masks(file)  # (T, H, W)
        except FileNotFoundError as error:
            raise LAYOUT.missing(f"the frames {video.name} have no masks {file}") from error
        if masks.ndim != 3:
            raise LAYOUT.wrong(f"{file} has shape {masks.shape}, which is not T x H x W")
        if len(masks) != len(frames):
            raise LAYOUT.wrong(
                f"{file} has the masks of {len(masks)} frames and {video} has {len(frames)} frames; copy both again"
            )
        return [
            Sample(frames[index], "abnormal", Frame(file, index)) if masks[index].any() else Sample(frames[index])
            for index in range(0, len(frames), self.test_stride)
        ]


def _scene(path: Path) -> str:
    return path.name.split("_")[0]


def _number(frame: Path) -> int:
    """1000.jpg comes after 999.jpg."""
    if not frame.stem.isdecimal():
        raise LAYOUT.wrong(f"{frame} is not named by a number, as a frame of a video is; rename it or take it out")
    return int(frame.stem)
