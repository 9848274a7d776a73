"""Frames out of videos and into them, by PyAV (FFmpeg's libraries): only data sets of videos need it."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

QUALITY = 2  # MPEG-4's quantiser: 1 is the best, 31 the worst


def frame_count(video: Path) -> int:
    """How many frames the header promises; where it promises none, how many packets there are."""
    with _opened(video) as (container, stream):
        count = int(stream.frames or sum(packet.size > 0 for packet in container.demux(stream)))
    if not count:
        raise ValueError(f"the video {video} has no frames; copy it again, or take it out of the folder")
    return count


def read_frames(video: Path, wanted: Collection[int]) -> Iterator[tuple[int, Image.Image]]:
    """The frames of these numbers, from 0, in the order in which they are shown, as RGB, each with its number.

    Decodes from the beginning and stops after the last one: seeking would find key frames only.
    """
    index, last = -1, max(wanted, default=-1)
    with _opened(video) as (container, stream):
        for index, frame in enumerate(container.decode(stream) if wanted else ()):
            if index in wanted:
                yield index, frame.to_image()
            if index == last:
                return
    if index < last:
        raise ValueError(
            f"the video {video} ends after {index + 1} frames and its header promises {last + 1} or more; it was cut"
            f" short: copy it again, or take it out of the folder"
        )


def write_video(video: Path, frames: Iterable[npt.NDArray[np.uint8]], rate: int) -> None:
    """Frames (H, W, 3), H and W even, as MPEG-4 in the container that the suffix names, ``rate`` a second."""
    av = _pyav()
    with av.open(str(video), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.pix_fmt = "yuv420p"
        stream.codec_context.options = {"qmin": str(QUALITY), "qmax": str(QUALITY), "threads": "1"}
        for pixels in frames:
            if not stream.codec_context.is_open:  # the first frame says how large they are
                stream.height, stream.width = pixels.shape[:2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())  # those that it held back


@contextmanager
def _opened(video: Path) -> Iterator[tuple[Any, Any]]:
    """The container and its first video stream."""
    av = _pyav()
    try:
        with av.open(str(video)) as container:
            if not container.streams.video:
                raise ValueError(f"{video} holds no video; take it out of the folder")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"  # speed only
            yield container, stream
    except av.FFmpegError as error:
        raise ValueError(
            f"cannot decode the video {video} ({error.strerror}); copy it again, or take it out of the folder"
        ) from error


def _pyav() -> ModuleType:
    """Imported when it is needed: most users have no videos."""
    try:
        import av
    except ImportError as error:
        raise ImportError("videos are read by PyAV, which is not installed: pip install padim[video]") from error
    return av
