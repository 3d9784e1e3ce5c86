import csv
import re

import cv2
import numpy as np
import pytest
from PIL import Image

from ferkit.data.embedding_set import EmbeddingSet
from ferkit.encoders.encoder import load_encoder
from ferkit.errors import InputError, OutputError
from ferkit.search.set_encoder import encoder_stamp
from ferkit.workflows.moments import moments
from samples import face, unit_rows, write_set, write_video

FPS = 25


@pytest.fixture
def crops(noise_crops, tmp_path):
    """Two pictures of one "face": the second has another nose, which is no cut to whoever follows the face."""
    usual = cv2.resize(noise_crops(1)[0, :6, :6], (128, 128), interpolation=cv2.INTER_CUBIC)
    pair = np.stack([usual, usual])
    pair[1, 48:80, 44:84] //= 3
    for name, crop in zip("ab", pair, strict=True):
        Image.fromarray(crop).save(tmp_path / f"{name}.png")
    return pair


@pytest.fixture
def save_set(crops, run_folder, tmp_path):
    """Write a set of clips; each is a row of shares, from 0 (picture b) to 1 (picture a), one a frame."""

    def save(*clips, known=True):
        encoder = load_encoder(run_folder, "cpu")
        ends = np.linalg.qr(encoder.embed(crops).astype(np.float64).T)[0].T  # the first as it is, or its opposite
        ends[0] = encoder.embed(crops[:1])[0]
        faces, vectors = [], []
        for number, shares in enumerate(clips, 1):
            source = f"/videos/{number}.mp4"
            for frame, share in enumerate(shares):
                about = {"clip": f"{source}@1", "time_s": frame / FPS} if known else {}
                faces.append(face(f"{source}#{frame}", identity=f"person {number}", **about))
                vectors.append(share * ends[0] + (1 - share) * ends[1])
        return write_set(tmp_path / "emb.npy", unit_rows(np.array(vectors)), faces, encoder_stamp(encoder, run_folder))

    return save


@pytest.fixture
def video(crops, tmp_path):
    """A lossless video: picture b for 20 frames, a for 15, b for 20."""
    return write_video(tmp_path / "clip.avi", [crops[1 - share] for share in PULSE], FPS, "FFV1")


PULSE = [0] * 20 + [1] * 15 + [0] * 20


def ask(path, like="a.png", **options):
    return moments(path, path.parent / like, device="cpu", aligned=True, prominence=0.1, **options)


def test_moments_are_ranked_over_clips_with_times_and_people(save_set):
    weaker = [share * 0.6 for share in PULSE]
    result = ask(save_set(weaker, PULSE))
    assert [(hit.rank, hit.clip, hit.identity) for hit in result.moments] == [
        (1, "/videos/2.mp4@1", "person 2"),
        (2, "/videos/1.mp4@1", "person 1"),
    ]
    first = result.moments[0]
    assert (first.onset_s, first.offset_s) == pytest.approx((19.5 / FPS, 34.5 / FPS), abs=0.2 / FPS)
    assert first.score > result.moments[1].score
    assert 20 <= int(first.source.rpartition("#")[2]) < 35
    assert (result.clips, result.frames, result.reached) == (2, 110, True)
    assert len(ask(save_set(weaker, PULSE), k=1).moments) == 1


def test_a_video_gives_its_moments_sheet_plot_table_and_frames(video, crops, tmp_path):
    files = {name: tmp_path / "out" / f"m.{end}" for name, end in (("sheet", "png"), ("csv", "csv"), ("html", "html"))}
    more = {"plot": tmp_path / "plot.png", "frames": tmp_path / "frames", "keep": tmp_path / "kept.npy"}
    (moment,) = ask(video, **files, **more).moments
    assert (moment.onset_s, moment.offset_s) == pytest.approx((19.5 / FPS, 34.5 / FPS), abs=0.2 / FPS)
    (frame,) = (tmp_path / "frames").iterdir()
    np.testing.assert_array_equal(np.asarray(Image.open(frame)), crops[0])
    assert frame.name == f"001 clip {moment.apex_s:.2f} s.png"
    sheet = np.asarray(Image.open(files["sheet"]).convert("RGB")).astype(int)
    drawn = np.asarray(Image.fromarray(crops[0]).resize((200, 200), Image.Resampling.BICUBIC)).astype(int)
    assert np.abs(sheet[66:246, 550:730] - drawn[10:190, 10:190]).max() <= 1  # the frame of the apex, in its tile
    assert cv2.imread(str(tmp_path / "plot.png")).shape[1] > 1000
    (row,) = csv.DictReader(files["csv"].read_text().splitlines())
    assert (row["clip"], float(row["apex_s"])) == (f"{video}@1", moment.apex_s)
    page = files["html"].read_text()
    assert page.count("data:image/jpeg") == 2  # what was asked with, and the apex
    assert f'href="{video.as_uri()}#t={moment.apex_s:.2f}"' in page
    assert page.count('href="#face-1"') == page.count('id="face-1"') == 1  # the mark on the curve leads to its face
    assert set(re.findall(r"\w+://[\w.]*", page)) == {"file://", "http://www.w3.org"}
    assert len(EmbeddingSet.open(tmp_path / "kept.npy")) == len(PULSE)
    again = ask(tmp_path / "kept.npy", **files, frames=tmp_path / "more")  # what ferkit wrote may be replaced
    assert [hit.source for hit in again.moments] == [moment.source]


def test_where_nothing_is_like_it_the_nearest_are_told_as_such(save_set):
    path = save_set([1.0] * 30)
    found = EmbeddingSet.open(path)
    opposite = EmbeddingSet(-np.asarray(found.vectors), found.table, found.encoder)
    opposite.save(path)
    result = ask(path)
    assert not result.reached
    assert [hit.score for hit in result.moments] == [pytest.approx(-1, abs=1e-5)]


@pytest.mark.parametrize(
    ("options", "kind", "what"),
    [
        ({"k": 0}, InputError, "ask for 1 or more"),
        ({"min_probability": 1.5}, InputError, "between 0 and 1"),
        ({"smooth": -1}, InputError, "smooth must"),
        ({"sheet": "x.jpg"}, OutputError, r"ends in \.png"),
        ({"csv": "x.xlsx"}, OutputError, r"ends in \.csv"),
        ({"html": "x.png"}, OutputError, r"ends in \.html"),
        ({"frames": "."}, OutputError, "new folder"),
    ],
)
def test_bad_options_are_refused_before_any_work(save_set, options, kind, what):
    with pytest.raises(kind, match=what):
        ask(save_set(PULSE), **options)


def test_pictures_have_no_moments(save_set):
    with pytest.raises(InputError, match=r"no video .* `ferkit retrieve`"):
        ask(save_set(PULSE, known=False))


def test_a_smile_that_is_planted_between_two_portraits_is_found_to_the_frame(data_dir, tmp_path):
    people = data_dir / "studio-smiles"
    name = sorted(path.name.partition("_")[0] for path in (people / "smiling").glob("*.jpg"))
    pictures = [Image.open(next((people / look).glob(f"{name[0]}_*"))) for look in ("neutral", "smiling")]
    calm, smile = (np.asarray(each.convert("RGB").resize((192, 192), Image.Resampling.BOX)) for each in pictures)
    fade = [step / 6 for step in range(1, 6)]
    shares = [0] * 12 + fade + [1] * 12 + fade[::-1] + [0] * 8  # half way at the frames 14 and 31
    frames = [cv2.addWeighted(smile, share, calm, 1 - share, 0) for share in shares]
    film = write_video(tmp_path / "planted.mp4", frames, FPS, "mp4v")
    kept, other = tmp_path / "kept.npy", next((people / "smiling").glob(f"{name[1]}_*"))
    for sources, like in ((film, other), (kept, "happy")):
        result = moments(sources, like, min_face=60, **({} if sources == kept else {"keep": kept}))
        (moment,) = result.moments
        assert (moment.onset_s * FPS, moment.offset_s * FPS) == pytest.approx((14, 31), abs=3)
        assert (result.measure, result.reached) == ("probability", True)
