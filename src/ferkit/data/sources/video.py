"""Videos: frames in order, sampled by time."""

import hashlib
import math
import os
import threading
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ferkit.data.images import DECODING
from ferkit.data.sources.picture import Picture
from ferkit.errors import UnreadableImageError, UnreadableVideoError

_USUAL_FPS = 25.0  # of files that state none; ferkit default
_MAX_FPS = 1000.0
_TICK_S = 0.001  # Matroska and WebM keep whole milliseconds: what is due at 66.7 ms may be stamped 66
_NEAR_S, _JUMP_BACK_S = 2.0, 2.0  # nearer than this is decoded on; a jump that leads too far is begun earlier
# What the decoded frames may fall short of the stated length, which some containers only estimate; ferkit defaults.
_SHORT_SHARE, _SHORT_LEAST_S, _SHORT_MOST_S = 0.05, 0.5, 5.0

_MOST_PIXELS = 8192 * 4352
"""Of a frame: the most that any level of H.264, HEVC, VP9 and AV1 has. OpenCV makes frames as large as the header says,
whatever they hold."""

_SILENT = 0
_set_log_level = cv2.setLogLevel if hasattr(cv2, "setLogLevel") else cv2.utils.logging.setLogLevel  # OpenCV 4, 5
_opening = threading.Lock()


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What a video's header states."""

    fps: float  # frames per second: the mean where they come at varying times, 25 where the header states none
    # how many there are; 0 where it is not known. Exact as a rule in AVI, and in MP4 and MOV unless an editor has
    # trimmed them without writing them anew; an estimate in MPG, WebM and MKV
    frames: int
    seconds: float  # frames / fps, an estimate where either of them is one
    width: int  # pixels of the upright frame
    height: int  # pixels of the upright frame


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a video."""

    number: int  # its place among all frames of the file, from 0
    time_s: float  # seconds from the video's beginning, by the container's clock
    image: NDArray[np.uint8]  # (H, W, 3) uint8 RGB, upright


@dataclass(frozen=True, slots=True)
class Video:
    """One video file, and what its source says of all its frames."""

    source: str  # absolute path
    label: str | None = None  # class or expression
    identity: str | None = None  # who it is
    fps: float | None = None  # frames per second to look at; None takes every frame

    def sha256(self) -> str:
        """Hex digest of the file; `OSError` if it cannot be read."""
        with Path(self.source).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def info(self) -> VideoInfo:
        """Return what the header states, without decoding; `UnreadableVideoError` if the file cannot be opened."""
        with _open_capture(self.source) as capture:
            return _header(capture)

    def frames(self, start: int = 0) -> Generator[Frame]:
        """Decode the frames to look at, in order.

        A frame is looked at if it is the first at or after one of the times 0, 1/fps, 2/fps, ... Which ones these are,
        and their times, does not depend on ``start``: OpenCV's seeking is inexact for some codecs, so the frames before
        are decoded too, only not converted to RGB. One frame is in memory at a time, besides what the codec keeps.

        Args:
            start: number of the first frame wanted, counted from 0 in the file.

        Yields:
            The frames; times rise.

        Raises:
            UnreadableVideoError: the file cannot be opened or holds no frame; or, after all frames that could be
                decoded were yielded, it ends well before its stated length (by more than 5 %, at least 0.5 s and at
                most 5 s): cut short, damaged, or trimmed without being written anew.
        """
        number, ends_s, taken, late_s = -1, 0.0, -1, 0.0
        with _open_capture(self.source) as capture:
            stated = _header(capture)
            for number, time_s in enumerate(_frame_times(capture, stated.fps)):
                late_s = _first_stamp(capture, stated.fps) if number == 0 else late_s
                place = number if self.fps is None else math.floor((time_s + _TICK_S) * self.fps)
                if place > taken and number >= start:
                    yield Frame(number, time_s, _frame_pixels(capture, self.source, number))
                taken, ends_s = place, time_s + 1 / stated.fps
            if number < 0:
                raise UnreadableVideoError(self.source, _why_no_frame(capture))
        _check_complete(self.source, ends_s, stated.seconds - late_s)


def frame_picture(path: Path, number: int, time_s: float | None = None) -> Picture:
    """Return frame ``number`` (from 0) of a video as a picture that is decoded when it is read.

    Args:
        path: the video, absolute.
        number: the frame's place in the file.
        time_s: when it is shown, as of `Frame`: then it is jumped to, as by `frames_at`; None decodes up to it.

    Returns:
        The picture; reading it raises `UnreadableImageError` where the video has no such frame.
    """
    return Picture(f"{path}#{number}", fetch=partial(_frame_png, path, number, time_s))


def frames_at(path: Path, times: Mapping[int, float], *, seek: bool = True) -> Iterator[Frame]:
    """Yield some frames of a video, in its order; those that it does not have are left out.

    Args:
        path: the video.
        times: when each is shown, in seconds as of `Frame`, by its number.
        seek: jump to frames that lie far ahead, where the container's clock confirms that the jump led there; what it
            does not confirm is decoded from the beginning on, in one pass. Frames that depend on others across a jump
            may still differ: codecs promise nothing.
    """
    left = dict(times)
    with suppress(UnreadableVideoError), _open_capture(str(path)) as capture:
        for number, time_s in sorted(times.items()) if seek else ():
            if _seek(capture, time_s):
                del left[number]
                yield Frame(number, time_s, _frame_pixels(capture, str(path), number))
    if not left:
        return
    with suppress(UnreadableVideoError), _open_capture(str(path)) as capture:
        for number, time_s in enumerate(_frame_times(capture, _header(capture).fps)):
            if left.pop(number, None) is not None:
                yield Frame(number, time_s, _frame_pixels(capture, str(path), number))
            if not left:
                return


def frame_png(image: NDArray[np.uint8]) -> bytes:
    """Return an (H, W, 3) uint8 RGB image as PNG."""
    _, png = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    return bytes(png)


def _seek(capture: cv2.VideoCapture, time_s: float) -> bool:
    """Go on to the frame that is shown at ``time_s``, by a jump if it is far; False where no frame has this time."""
    for back in (0.0, _JUMP_BACK_S, 5 * _JUMP_BACK_S):
        at = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        if back or not 0 <= time_s - at <= _NEAR_S:
            capture.set(cv2.CAP_PROP_POS_MSEC, 1000 * max(0.0, time_s - back))
        stamp = -math.inf
        while stamp < time_s - _TICK_S / 2 and capture.grab():
            stamp = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        if abs(stamp - time_s) < _TICK_S / 2:
            return True
    return False


def _frame_png(path: Path, number: int, time_s: float | None) -> bytes:
    name = f"{path}#{number}"
    sought = None if time_s is None else next(frames_at(path, {number: time_s}), None)
    if sought is not None:
        return frame_png(sought.image)
    try:
        with closing(Video(str(path)).frames(number)) as frames:
            frame = next(frames, None)
    except UnreadableVideoError as error:
        raise UnreadableImageError(name, error.why) from error
    if frame is None or frame.number != number:
        raise UnreadableImageError(name, "the video has no such frame")
    return frame_png(frame.image)


@contextmanager
def _open_capture(source: str) -> Iterator[cv2.VideoCapture]:
    _check_readable(source)
    # FFmpeg would write to stderr what it finds damaged. OpenCV 4 asks at every file, so this stays set.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    with _silent_opencv():
        capture = cv2.VideoCapture(source, cv2.CAP_FFMPEG)
    try:
        if not capture.isOpened():
            raise UnreadableVideoError(source, "its content is no video, or it is cut short")
        info = _header(capture)
        if info.width * info.height > _MOST_PIXELS:
            size = f"{info.width:,} x {info.height:,}"
            raise UnreadableVideoError(
                source, f"its frames of {size} pixels are larger than the 8,192 x 4,352 that are read"
            )
        capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
        yield capture
    finally:
        capture.release()


def _check_readable(source: str) -> None:
    try:
        source.encode()  # OpenCV crashes on the escapes that stand for bytes that are not UTF-8
        if Path(source).exists() and not (Path(source).is_file() or Path(source).is_dir()):
            raise UnreadableVideoError(source, "it is a pipe or device, no file")
        with Path(source).open("rb") as file:
            empty = not file.read(1)
    except UnicodeEncodeError as error:
        raise UnreadableVideoError(source, "OpenCV cannot open a path that is not UTF-8; rename it") from error
    except OSError as error:
        raise UnreadableVideoError(source, error.strerror or type(error).__name__) from error
    if empty:
        raise UnreadableVideoError(source, "it is empty")


@contextmanager
def _silent_opencv() -> Iterator[None]:
    with _opening:  # the level is one for the process: never put back what another thread had set in between
        before = _set_log_level(_SILENT)
        try:
            yield
        finally:
            _set_log_level(before)


def _header(capture: cv2.VideoCapture) -> VideoInfo:
    fps = float(capture.get(cv2.CAP_PROP_FPS))
    fps = fps if 0 < fps <= _MAX_FPS else _USUAL_FPS
    frames = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
    width, height = (int(capture.get(side)) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    return VideoInfo(fps, frames, frames / fps, width, height)


def _frame_times(capture: cv2.VideoCapture, fps: float) -> Iterator[float]:
    """Go from frame to frame and yield when each is shown, in seconds: by the container, where that goes forward."""
    time_s = None
    while capture.grab():
        stamp = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        after = 0.0 if time_s is None else time_s + 1 / fps
        # Some containers leave times out (0 then), and joined files begin anew.
        time_s = stamp if stamp > (time_s or 0.0) else after
        yield round(time_s, 6)


def _frame_pixels(capture: cv2.VideoCapture, source: str, number: int) -> NDArray[np.uint8]:
    info = _header(capture)
    with DECODING.reserve(info.width * info.height * (3 + 3)):
        ok, bgr = capture.retrieve()
        if not ok:
            raise UnreadableVideoError(source, f"frame {number} cannot be decoded")
        rgb: NDArray[np.uint8] = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
    return rgb


def _first_stamp(capture: cv2.VideoCapture, fps: float) -> float:
    """Seconds at which the container's clock stands at the frame just grabbed; its stated length counts them in."""
    return max(0.0, float(capture.get(cv2.CAP_PROP_PTS)) / fps) if hasattr(cv2, "CAP_PROP_PTS") else 0.0


def _why_no_frame(capture: cv2.VideoCapture) -> str:
    codec = int(capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little").decode("ascii", "replace").upper()
    if codec != "AV01":
        return "it holds no frame that can be decoded"
    return "it holds AV1, which this OpenCV cannot decode: `ffmpeg -i IN -c:v libx264 OUT.mp4` converts it"


def _check_complete(source: str, ends_s: float, stated_s: float) -> None:
    allowed = min(max(_SHORT_SHARE * stated_s, _SHORT_LEAST_S), _SHORT_MOST_S)
    if stated_s - ends_s > allowed:
        why = f"it ends after {ends_s:.1f} s of {stated_s:.1f} s: cut short, damaged or trimmed"
        raise UnreadableVideoError(source, why)
