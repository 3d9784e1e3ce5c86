import subprocess
import sys
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from ferkit.data.sources import find_picture, video
from ferkit.data.sources.video import Video, frame_picture, frames_at
from ferkit.errors import UnreadableImageError, UnreadableVideoError

LOSSLESS = "FFV1"
CODECS = {
    ".avi": "MJPG",
    ".mp4": "mp4v",
    ".m4v": "mp4v",
    ".mov": "mp4v",
    ".mkv": "mp4v",
    ".webm": "VP80",
    ".mpg": "MPG1",
    ".mpeg": "MPG1",
    **dict.fromkeys((".flv", ".wmv", ".asf"), "FLV1"),
    **dict.fromkeys((".3gp", ".3g2", ".ts", ".mts", ".m2ts", ".vob"), "mp4v"),
    ".mxf": "MPG2",
    ".ogv": "VP80",
}
STEP = 5  # gray levels from one frame to the next


def write_video(path, *, frames=40, fps=25.0, codec=None, size=(64, 48), noise=0):
    """Frame k is gray of level 10 + 5 k (beyond 200, from 10 again), so that a decoded frame tells its number."""
    fourcc = cv2.VideoWriter_fourcc(*(codec or CODECS[path.suffix]))
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, fourcc, fps, size)
    if not writer.isOpened():
        pytest.skip(f"this OpenCV cannot write {path.suffix} with {codec or CODECS[path.suffix]}")
    grain = np.random.default_rng(0).integers(-noise, noise + 1, (frames, size[1], size[0], 3))
    for number, grains in enumerate(grain):
        writer.write((10 + STEP * number % 200 + grains).clip(0, 255).astype(np.uint8))
    writer.release()
    return str(path)


def numbers(video, start=0):
    return [frame.number for frame in video.frames(start)]


def level(frame):
    return (frame.image.mean() - 10) / STEP


@pytest.mark.parametrize("suffix", sorted(CODECS))
def test_reads_every_frame_of_every_container_in_order(tmp_path, suffix):
    frames = list(Video(write_video(tmp_path / f"a{suffix}", frames=30)).frames())
    assert [frame.number for frame in frames] == list(range(30))
    offset = level(frames[0])  # codecs differ in how they read the range of gray levels
    assert [round(level(frame) - offset) for frame in frames] == list(range(30))
    assert [frame.time_s for frame in frames] == pytest.approx([k / 25 for k in range(30)], abs=0.041)
    assert all(before.time_s < after.time_s for before, after in pairwise(frames))


def test_frames_are_rgb(tmp_path):
    writer = cv2.VideoWriter(str(tmp_path / "a.mov"), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"png "), 25.0, (32, 16))
    writer.write(np.full((16, 32, 3), (10, 20, 200), np.uint8))  # blue, green, red
    writer.release()
    [frame] = Video(str(tmp_path / "a.mov")).frames()
    assert frame.image.shape == (16, 32, 3)
    assert (frame.image == [200, 20, 10]).all()


@pytest.mark.parametrize(
    ("stated_fps", "fps", "expected"),
    [
        (25.0, None, [*range(30)]),
        (25.0, 10.0, [0, 3, 5, 8, 10, 13, 15, 18, 20, 23, 25, 28]),  # 0, 0.12, 0.2, 0.32 s, ...
        (25.0, 2.0, [0, 13, 25]),
        (25.0, 0.1, [0]),
        (25.0, 60.0, [*range(30)]),
        (12.5, 5.0, [0, 3, 5, 8, 10, 13, 15, 18, 20, 23, 25, 28]),
        (29.97, 30.0, [*range(30)]),
        (29.97, 10.0, [0, 3, 6, 9, 12, 15, 18, 21, 24, 27]),
        (29.97, 7.0, [0, 5, 9, 13, 18, 22, 26]),  # 1/7 s is frame 4.28, 2/7 s 8.56, 3/7 s 12.84, ...
    ],
)
def test_takes_the_first_frame_at_or_after_each_time(tmp_path, stated_fps, fps, expected):
    source = write_video(tmp_path / "a.mkv", frames=30, fps=stated_fps, codec=LOSSLESS)
    frames = list(Video(source, fps=fps).frames())
    assert [frame.number for frame in frames] == expected
    assert [level(frame) for frame in frames] == pytest.approx(expected, abs=0.5)
    assert [frame.time_s for frame in frames] == pytest.approx([k / stated_fps for k in expected], abs=6e-4)


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".webm", ".mpg"])
@pytest.mark.parametrize("fps", [None, 7.0])
def test_begins_anywhere_with_the_same_frames(tmp_path, suffix, fps):
    video = Video(write_video(tmp_path / f"a{suffix}", noise=9), fps=fps)
    whole = list(video.frames())
    for start in (0, 1, 7, 13, 39, 40, 99):
        rest = [frame for frame in whole if frame.number >= start]
        again = list(video.frames(start))
        assert [(f.number, f.time_s) for f in again] == [(f.number, f.time_s) for f in rest]
        assert all((a.image == b.image).all() for a, b in zip(again, rest, strict=True))


def test_turned_video_is_upright(tmp_path):
    path = tmp_path / "a.mp4"
    write_video(path, frames=3)
    content = bytearray(path.read_bytes())
    matrix = content.find(b"tkhd") + 44  # 9 numbers of 32 bits in the track's header
    assert content[matrix : matrix + 4] == b"\0\1\0\0"
    turned = np.array([0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30], ">i4")  # by 90 degrees
    content[matrix : matrix + 36] = turned.tobytes()
    path.write_bytes(content)
    info = Video(str(path)).info()
    assert (info.width, info.height) == (48, 64)
    assert next(Video(str(path)).frames()).image.shape == (64, 48, 3)


@pytest.mark.parametrize("suffix", [".avi", ".webm", ".mkv"])
def test_tells_of_a_file_cut_short_after_what_could_be_read(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    write_video(path, frames=100, noise=40)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    read = []
    with pytest.raises(UnreadableVideoError, match=r"it ends after [12]\.\d s of 4\.0 s") as caught:
        read.extend(frame.number for frame in Video(str(path)).frames())
    assert read == list(range(len(read)))
    assert 30 <= len(read) <= 60
    assert str(path) in str(caught.value)
    with pytest.raises(UnreadableVideoError, match="ends after"):  # also when taken up behind the last frame
        numbers(Video(str(path)), start=99)


def test_frames_larger_than_any_codec_has_are_not_read(tmp_path):
    source = write_video(tmp_path / "a.avi", frames=1, size=(8448, 4352))
    for read in (Video(source).info, lambda: numbers(Video(source))):
        with pytest.raises(UnreadableVideoError, match="8,448 x 4,352 pixels are larger than the 8,192 x 4,352"):
            read()


def test_refuses_what_is_no_video(tmp_path):
    write_video(tmp_path / "cut.mp4", frames=100, noise=40)
    contents = {b"": "empty", b"no video\n" * 99: "no video", (tmp_path / "cut.mp4").read_bytes()[:20000]: "cut short"}
    for content, why in contents.items():
        (tmp_path / "a.avi").write_bytes(content)
        a_video = Video(str(tmp_path / "a.avi"))
        for read in (a_video.info, lambda video=a_video: numbers(video)):
            with pytest.raises(UnreadableVideoError, match=why):
                read()
    with pytest.raises(UnreadableVideoError, match="no frame"):
        numbers(Video(write_video(tmp_path / "b.avi", frames=0)))


def test_refuses_what_cannot_be_opened(tmp_path):
    with pytest.raises(UnreadableVideoError, match=r"a\.mp4.*No such file"):
        Video(str(tmp_path / "a.mp4")).info()
    with pytest.raises(UnreadableVideoError, match=r"irectory|ermission"):
        Video(str(tmp_path)).info()
    with pytest.raises(UnreadableVideoError, match="not UTF-8; rename it"):
        Video(f"{tmp_path}/a\udcff.mp4").info()


def test_writes_nothing_of_damaged_files_and_leaves_the_log_level(tmp_path):
    path, text = tmp_path / "a.avi", tmp_path / "b.mp4"
    write_video(path, frames=100, noise=40)
    path.write_bytes(path.read_bytes()[:100000])
    text.write_text("no video")
    program = (
        "import sys, cv2\n"
        "from ferkit.data.sources.video import Video\n"
        "level = cv2.getLogLevel if hasattr(cv2, 'getLogLevel') else cv2.utils.logging.getLogLevel\n"
        "before = level()\n"
        "for source in sys.argv[1:]:\n"
        "    try: list(Video(source).frames())\n"
        "    except Exception as error: print(type(error).__name__)\n"
        "assert before == level()\n"
    )
    done = subprocess.run([sys.executable, "-c", program, path, text], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("UnreadableVideoError\n" * 2, "")


def test_frame_picture_is_that_frame_without_loss(tmp_path):
    source = write_video(tmp_path / "a.mp4", noise=9)
    frames = list(Video(source).frames())
    for number in (0, 17, 39):
        picture = frame_picture(Path(source), number)
        assert (picture.source, picture.file) == (f"{source}#{number}", Path(source))
        assert picture.size() == (64, 48)
        np.testing.assert_array_equal(picture.read(), frames[number].image)


@pytest.mark.parametrize("number", [-1, 40])
def test_frame_that_is_not_there_is_unreadable(tmp_path, number):
    source = write_video(tmp_path / "a.mp4")
    with pytest.raises(UnreadableImageError, match=rf"a\.mp4#{number}.*no such frame"):
        frame_picture(Path(source), number).read()


def test_time_is_the_containers_where_frames_come_irregularly(data_dir):
    video = Video(str(data_dir / "video" / "mixed" / "face_noface.mov"), fps=10.0)
    frames = list(video.frames())
    assert video.info().fps == pytest.approx(26.4, abs=0.01)  # the mean of 30 and 24
    assert frames[1].number == 3
    assert frames[1].time_s == pytest.approx(3 / 30, abs=1e-3)
    assert len(frames) == pytest.approx(64, abs=1)
    rest = [(frame.number, frame.time_s) for frame in video.frames(100)]
    assert rest == [(frame.number, frame.time_s) for frame in frames if frame.number >= 100]


@pytest.mark.parametrize("suffix", [".avi", ".mp4", ".webm", ".mpg", ".flv", ".ts"])
def test_single_frames_are_sought_by_their_times_or_decoded_to(tmp_path, suffix):
    path = Path(write_video(tmp_path / f"a{suffix}", frames=400))
    every = list(Video(str(path)).frames())
    times = {number: every[number].time_s for number in (3, 250, 255, 398)}
    for seek in (True, False):
        frames = list(frames_at(path, times | {900: 36.0}, seek=seek))
        assert [(frame.number, frame.time_s) for frame in frames] == list(times.items())
        for frame in frames:
            assert np.abs(frame.image.astype(int) - every[frame.number].image).max() <= 1


def test_a_late_frame_is_not_decoded_to_from_the_beginning(tmp_path, monkeypatch):
    path = Path(write_video(tmp_path / "a.avi", frames=1000))
    grabs = []
    monkeypatch.setattr(video, "_frame_times", lambda *_: grabs.append(1) or iter(()))
    (frame,) = frames_at(path, {900: 36.0})
    assert (frame.number, round(level(frame) - level(next(iter(frames_at(path, {0: 0.0})))))) == (900, 900 % 40)
    np.testing.assert_array_equal(find_picture(f"{path}#900", time_s=36.0).read(), frame.image)
    assert grabs == []


def test_frames_of_a_varying_rate_with_b_frames_have_the_times_of_another_decoder(tmp_path):
    av = pytest.importorskip("av")
    times = [0.0, 0.04, 0.1, 0.13, 0.3, 0.31, 0.4, 0.52, 0.6, 0.75, 0.8, 1.0]
    with av.open(str(tmp_path / "phone.mp4"), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.options = {"bf": "3", "b_strategy": "0", "crf": "1"}
        stream.codec_context.time_base = Fraction(1, 90_000)
        for number, time_s in enumerate(times):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 10 + STEP * number, np.uint8), format="rgb24")
            frame.time_base, frame.pts = Fraction(1, 90_000), round(time_s * 90_000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    with av.open(str(tmp_path / "phone.mp4")) as file:
        others = list(file.decode(video=0))
        kinds = [av.video.frame.PictureType(frame.pict_type).name for frame in others]
        expected = [float(frame.pts * frame.time_base) for frame in others]
        pictures = [frame.to_ndarray(format="rgb24") for frame in others]
    assert "B" in kinds
    frames = list(Video(str(tmp_path / "phone.mp4")).frames())
    assert [frame.time_s for frame in frames] == pytest.approx([time_s - expected[0] for time_s in expected], abs=0.002)
    for frame, picture in zip(frames, pictures, strict=True):
        assert np.abs(frame.image.astype(int) - picture).max() <= 3
    assert [frame.number for frame in frames_at(tmp_path / "phone.mp4", {9: frames[9].time_s})] == [9]
