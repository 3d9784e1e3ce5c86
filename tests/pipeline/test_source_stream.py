import numpy as np
import pytest
from PIL import Image

import samples
from ferkit.errors import NoFaceError
from ferkit.pipeline import source_stream
from ferkit.pipeline.face_options import FaceOptions
from ferkit.pipeline.face_stream import open_pictures
from ferkit.progress import Silent
from ferkit.workflows.align import align
from ferkit.workflows.embed import embed
from ferkit.workflows.recognise import recognise


def stream_of(*paths, **options):
    return open_pictures(paths, FaceOptions(**{"min_face": 60, **options}), "cpu", Silent())


@pytest.fixture
def write_video(tmp_path):
    """Write (H, W, 3) RGB frames as a 10 fps video of still pictures."""
    return lambda frames, name="clip.avi": samples.write_video(tmp_path / name, frames, 10)


@pytest.fixture
def still(portraits):
    """A portrait as a frame of 256 x 320."""
    picture = Image.open(portraits["hopper"]).convert("RGB").resize((256, 320))
    return np.asarray(picture)


@pytest.fixture
def nobody():
    return np.full((320, 256, 3), 90, np.uint8)


def test_a_face_that_goes_and_comes_back_makes_two_clips(write_video, still, nobody):
    path = write_video([still] * 4 + [nobody] * 8 + [still] * 3)
    batches = list(stream_of(path).batches())
    faces = [face for batch in batches for face in batch.faces]
    assert [face.clip for face in faces] == [f"{path}@1"] * 4 + [f"{path}@2"] * 3
    assert [face.source for face in faces] == [f"{path}#{n}" for n in (0, 1, 2, 3, 12, 13, 14)]
    assert [face.time_s for face in faces] == pytest.approx([0, 0.1, 0.2, 0.3, 1.2, 1.3, 1.4])
    assert sum(batch.pictures for batch in batches) == 15
    assert [problem for batch in batches for problem in batch.problems] == []


def test_pictures_come_before_videos_and_both_go_on(write_video, still, portraits, monkeypatch):
    monkeypatch.setattr(source_stream, "_FRAMES_A_BATCH", 2)
    monkeypatch.setattr(source_stream, "_PHOTOS_A_BATCH", 1)
    stream = stream_of(write_video([still] * 3), portraits["hopper"], portraits["astronaut"])
    batches = list(stream.batches())
    faces = [face for batch in batches for face in batch.faces]
    assert [face.source.partition("#")[0].rpartition("/")[2] for face in faces] == [
        "hopper.png",
        "astronaut.png",
        *["clip.avi"] * 3,
    ]
    assert (stream.total, stream.unit) == (5, "pictures and frames")
    assert [b.faces for b in stream.batches(1, batches[0].state)] == [b.faces for b in batches[1:]]
    assert [b.faces for b in stream.batches(4, batches[2].state)] == [b.faces for b in batches[3:]]


def test_progress_of_videos_is_told_in_their_seconds(write_video, still, nobody, tmp_path, listener):
    first, second = write_video([still] * 5, "a.avi"), write_video([nobody] * 20, "b.avi")
    stream = stream_of(first, second, fps=5)
    assert (stream.total, stream.unit) == (pytest.approx(2.5), "s of video")
    told = listener()
    result = align([first, second], tmp_path / "faces", min_face=60, fps=5, progress=told)
    assert told.steps == pytest.approx(2 + 2.5)  # two files are read first
    assert (result.pictures, result.unit, result.faces) == (3 + 10, "frames", 3)
    assert "of videos 5 frames a second (--fps 0: every frame)" in told.said
    assert result.faceless == [str(second)]


def test_a_search_reads_two_frames_a_second_and_a_recognition_all(write_video, still, portraits, tmp_path, listener):
    path, told = write_video([still] * 10), listener()
    result = embed([path, portraits["hopper"]], tmp_path / "emb.npy", min_face=60, progress=told)
    assert (result.pictures, result.unit) == (2 + 1, "pictures and frames")
    assert "of videos 2 frames a second (--fps 0: every frame)" in told.said
    assert embed(path, tmp_path / "all.npy", min_face=60, fps=0).pictures == 10
    assert recognise(path, min_face=60).faces == 10


def test_a_stopped_video_goes_on_to_the_same_bytes(write_video, still, nobody, tmp_path, listener, monkeypatch):
    monkeypatch.setattr(source_stream, "_FRAMES_A_BATCH", 2)
    path = write_video([still] * 3 + [nobody] * 7 + [still] * 3)
    align(path, tmp_path / "unbroken", min_face=60)
    for stop in (0.2, 0.4, 0.4):
        with pytest.raises(KeyboardInterrupt):
            align(path, tmp_path / "faces", min_face=60, progress=listener(stop_after=1 + stop))  # it is read first
    told = listener()
    align(path, tmp_path / "faces", min_face=60, progress=told)
    assert told.started[1][2] > 0.9
    for file in (tmp_path / "unbroken").iterdir():
        assert (tmp_path / "faces" / file.name).read_bytes() == file.read_bytes()


def test_a_torn_video_keeps_its_faces_and_is_listed(write_video, still, tmp_path):
    path = write_video([still] * 20)
    torn = tmp_path / "torn.avi"
    torn.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    junk = tmp_path / "junk.mp4"
    junk.write_bytes(b"no video")
    result = align([torn, junk, path], tmp_path / "faces", min_face=60)
    assert 20 < result.faces < 40
    assert {source for source, _ in result.unreadable} >= {str(junk)}
    assert {source for source, _ in result.unreadable} <= {str(junk), str(torn)}


def test_a_video_of_nobody_is_an_error_and_leaves_nothing(write_video, nobody, tmp_path):
    with pytest.raises(NoFaceError):
        align(write_video([nobody] * 3), tmp_path / "faces", min_face=60)
    assert not (tmp_path / "faces").exists()
    assert not (tmp_path / "faces.partial").exists()


def test_a_video_whose_faces_are_all_left_out_says_by_what(write_video, still, portraits, tmp_path):
    path = write_video([still] * 3)
    with pytest.raises(NoFaceError, match="min_size=1000"):
        align(path, tmp_path / "faces", min_face=60, min_size=1000)
    Image.fromarray(still).resize((1024, 1280)).save(tmp_path / "large.png")
    (size,) = [face.size for batch in stream_of(tmp_path / "large.png").batches() for face in batch.faces]
    result = align([path, tmp_path / "large.png"], tmp_path / "faces", min_face=60, min_size=size * 0.9)
    assert (result.faces, result.filtered, result.faceless) == (1, [str(path)], [])
