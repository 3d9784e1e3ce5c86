"""The faces of sources: first those of all pictures, then those of one video after the other.

A stream can be left after any batch and taken up there again: pictures are counted, and within a video the batch's
``state`` says at which frame to go on and which faces are being followed.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from ferkit._version import __version__
from ferkit.data.filters import FaceFilter
from ferkit.data.source_records import SourceRecord, record_sources
from ferkit.data.sources import Picture, Sources, Video
from ferkit.errors import UnreadableImageError, UnreadableVideoError
from ferkit.faces.template import CROP_SIZE
from ferkit.faces.tracks import Tracker
from ferkit.pipeline.decoding import Decoded, group_by_pixels, prefetch, read_ahead, read_picture, square_crop
from ferkit.pipeline.face_finder import (
    FILTERED,
    NO_FACE,
    Bookmark,
    FaceBatch,
    Finder,
    PictureFaces,
    Problem,
    VideoFinder,
    batch_of,
    filter_of,
    finder_of,
    with_runtime,
)
from ferkit.pipeline.face_options import FaceOptions
from ferkit.pipeline.fingerprint import digest
from ferkit.progress import Progress

_PHOTOS_A_BATCH, _CROPS_A_BATCH, _FRAMES_A_BATCH = 16, 256, 32
_PHOTOS_AHEAD, _CROPS_AHEAD, _FRAMES_AHEAD = 12, 256, 16
_NOT_THE_RESULT = {"workers"}
"""Options that change how fast the faces come, and not which."""


@dataclass(frozen=True)
class SourceStream:
    """The faces of pictures and videos: found and aligned, or, where they are crops already, taken as they are."""

    sources: Sources  # what is read
    aligned: bool | None  # whether they are face crops already; None: those pictures that are small and square
    options: FaceOptions  # how faces are found and chosen
    device: str | None  # where the detector runs; None takes the best one present
    crop_size: int = CROP_SIZE  # side of the crops in pixels

    @property
    def unit(self) -> str:
        """What `total` counts."""
        return self.sources.unit if len(self.sources.pictures) else "s of video"

    @cached_property
    def total(self) -> float:
        """Steps of the whole job: seconds where there are only videos, else pictures and frames."""
        if len(self.sources.pictures):
            return len(self.sources.pictures) + sum(self.frames)
        return sum(self._seconds)

    def steps(self, pictures_done: int, state: Bookmark) -> float:
        """Steps that are done at a place in the stream, in the unit of `total`."""
        if len(self.sources.pictures) or state is None:
            return float(pictures_done)
        return sum(self._seconds[: state["video"]]) + float(state["time_s"])

    def read_fingerprint(self, progress: Progress) -> str:
        """Read everything; return the digest of the settings and of each source's place, annotation and content."""
        return self.fingerprint_of(record_sources(self.sources, (), progress))

    def fingerprint_of(self, records: Sequence[SourceRecord]) -> str:
        """The same, of what was read before."""
        return digest([self.settings, *(repr(record.identity) for record in records)])

    @cached_property
    def listing(self) -> str:
        """Digest of every source's place, annotation, size and time, and of the settings: equal on every machine."""
        pictures, videos = self.sources.pictures, self.sources.videos
        return digest(
            [self.settings, *_picture_stamps(pictures), *(repr(video) + _stamp(Path(video.source)) for video in videos)]
        )

    @property
    def settings(self) -> str:
        """Digest of how faces are found and chosen."""
        options = {f.name: getattr(self.options, f.name) for f in fields(self.options) if f.name not in _NOT_THE_RESULT}
        size = "" if self.crop_size == CROP_SIZE else f" {self.crop_size} px"
        return digest([f"ferkit {__version__} {sorted(options.items())} aligned={self.aligned}{size}"])

    def batches(self, done: int = 0, state: Bookmark = None) -> Iterator[FaceBatch]:
        """Yield the faces from a place in the stream on; decoding and searching run ahead of whoever takes them.

        Args:
            done: pictures and frames behind us.
            state: of the batch that ended there.
        """
        options = self.options if self.aligned else with_runtime(self.options, self.total)
        find = finder_of(options, self.aligned, self.device, self.crop_size)
        in_video = partial(VideoFinder, options, bool(self.aligned), self.device, self.crop_size)
        return prefetch(self._batches(done, state, find, in_video, filter_of(self.options)), ahead=1)

    def _batches(
        self, done: int, state: Bookmark, find: Finder, in_video: Callable[[Any], VideoFinder], wanted: FaceFilter
    ) -> Generator[FaceBatch]:
        if state is None:
            for group in group_by_pixels(self._pictures(done), _PHOTOS_A_BATCH, _CROPS_A_BATCH):
                yield batch_of(find(group), wanted, self.crop_size)
            state = _beginning(0)
        for number in range(state["video"], len(self.sources.videos)):
            video = self.sources.videos[number]
            followed = _VideoFaces(number, video, bool(self.aligned), in_video, wanted, self.crop_size)
            yield from followed.batches(state if state["video"] == number else _beginning(number))

    def _pictures(self, start: int) -> Iterator[Decoded]:
        read = partial(read_picture, aligned=self.aligned, min_face=self.options.min_face, crop_size=self.crop_size)
        ahead = _CROPS_AHEAD if self.aligned else _PHOTOS_AHEAD
        return read_ahead(self.sources.pictures, start, read, ahead, self.options.workers)

    @cached_property
    def _seconds(self) -> list[float]:
        """Length of each video; 0 where its file does not say, or cannot be read, which is told in its turn."""
        return [_length(video)[0] for video in self.sources.videos]

    @cached_property
    def frames(self) -> list[int]:
        """Frames of each video that are looked at, as its header says; 0 where it cannot be read."""
        return [_length(video)[1] for video in self.sources.videos]


@dataclass(frozen=True)
class _VideoFaces:
    """The faces of one video, linked over its frames into clips."""

    number: int
    video: Video
    aligned: bool
    finder: Callable[[Any], VideoFinder]
    wanted: FaceFilter
    crop_size: int

    def batches(self, state: dict[str, Any]) -> Iterator[FaceBatch]:
        """Yield the faces from a place in the video on; the last batch tells what was wrong with the whole."""
        problem = None
        tracker, find = Tracker(state["tracks"]), self.finder(state["finder"])
        for group in group_by_pixels(
            prefetch(self._frames(state["frame"]), _FRAMES_AHEAD), _FRAMES_A_BATCH, _FRAMES_A_BATCH
        ):
            if group[-1].problem is not None:
                problem = Problem(self.video.source, group.pop().problem or "")
            if group:
                found = [self._linked(item, frame, tracker) for item, frame in zip(find(group), group, strict=True)]
                batch = batch_of(found, self.wanted, self.crop_size)
                state = self._bookmark(state, group, found, batch, tracker) | {"finder": find.state}
                yield replace(batch, state=state, problems=[])  # of the video as a whole, not of its frames
        if problem is None and not state["taken"]:
            problem = Problem(self.video.source, FILTERED + self.wanted.describe() if state["found"] else NO_FACE)
        problems = [problem] if problem else []
        last = batch_of([], self.wanted, self.crop_size)
        yield replace(last, problems=problems, state=_beginning(self.number + 1))

    def _frames(self, start: int) -> Generator[Decoded]:
        """Decode from frame ``start`` on; where that fails, the last item says why."""
        about = Picture(self.video.source, self.video.label, self.video.identity)
        try:
            for frame in self.video.frames(start):
                picture = replace(about, source=f"{self.video.source}#{frame.number}", time_s=frame.time_s)
                if self.aligned:
                    yield Decoded(picture, *square_crop(frame.image, picture.source, self.crop_size), aligned=True)
                else:
                    yield Decoded(picture, frame.image)
        except (UnreadableVideoError, UnreadableImageError) as error:
            yield Decoded.failed(about, error.why)

    def _linked(self, found: PictureFaces, frame: Decoded, tracker: Tracker) -> PictureFaces:
        """Name the clip of every face; a frame without one is no problem of its own."""
        height, width = frame.image.shape[:2]
        boxes = np.array([face.box or (0, 0, width, height) for face in found.faces], np.float64).reshape(-1, 4)
        clips = tracker.link(float(frame.picture.time_s or 0), frame.image, boxes, found.crops)
        named = [f"{self.video.source}@{clip}" for clip in clips]
        return PictureFaces(
            found.crops, [replace(face, clip=clip) for face, clip in zip(found.faces, named, strict=True)]
        )

    def _bookmark(
        self,
        state: dict[str, Any],
        group: list[Decoded],
        found: list[PictureFaces],
        batch: FaceBatch,
        tracker: Tracker,
    ) -> dict[str, Any]:
        """Where to go on behind the frames of ``group``, and what the video has given until then."""
        last = group[-1].picture
        return {
            "video": self.number,
            "frame": int(last.source.rpartition("#")[2]) + 1,
            "time_s": last.time_s,
            "found": state["found"] + sum(len(item.faces) for item in found),
            "taken": state["taken"] + len(batch.faces),
            "tracks": tracker.state,
        }


def _beginning(video: int) -> dict[str, Any]:
    return {"video": video, "frame": 0, "time_s": 0.0, "found": 0, "taken": 0, "tracks": None, "finder": None}


def _length(video: Video) -> tuple[float, int]:
    """Seconds of a video and the frames of it that are looked at, as its header says."""
    try:
        info = video.info()
    except UnreadableVideoError:
        return 0.0, 0
    return info.seconds, min(info.frames, round(info.seconds * video.fps)) if video.fps else info.frames


def _picture_stamps(pictures: Iterable[Picture]) -> Iterator[str]:
    """Each picture with all that its source says of it, and once for each file its size and time."""
    seen = None
    for picture in pictures:
        told = repr(replace(picture, fetch=None))
        yield told if picture.file == seen else told + _stamp(picture.file)
        seen = picture.file


def _stamp(path: Path) -> str:
    try:
        status = path.stat()
    except OSError:  # a link that leads nowhere; reading it will say so
        return f"{path} missing"
    return f"{path} {status.st_size} {status.st_mtime_ns}"
