import cv2
import numpy as np
import pyarrow.csv as csv
import pytest

from ferkit.encoders.encoder import load_encoder
from ferkit.errors import InputError, OutputError, WeightsError
from ferkit.search.set_encoder import encoder_stamp
from ferkit.workflows.recognise import recognise
from ferkit.workflows.timeline import timeline
from samples import face, unit_rows, write_set


@pytest.fixture
def clips(headed_run, tmp_path):
    """A set of clips: (name, first second, last second, person), four frames a second."""

    def make(*known):
        encoder = load_encoder(headed_run, "cpu")
        faces = [
            face(f"{name.partition('@')[0]}#{step}", clip=name, identity=person, time_s=step / 4)
            for name, first, last, person in known
            for step in range(4 * first, 4 * last + 1)
        ]
        vectors = unit_rows(np.random.default_rng(0).normal(size=(len(faces), encoder.dim)))
        return write_set(tmp_path / "emb.npy", vectors, faces, encoder_stamp(encoder, headed_run))

    return make


@pytest.fixture
def lanes(monkeypatch):
    """The lanes that are drawn."""
    from ferkit.report import time_charts

    drawn, draw = [], time_charts.draw_timeline

    def keep(given, *others):
        drawn.extend((lane.title, [stretch.name for stretch in lane.stretches]) for lane in given)
        return draw(given, *others)

    monkeypatch.setattr(time_charts, "draw_timeline", keep)
    return drawn


def test_faces_one_after_the_other_share_a_panel_and_faces_side_by_side_do_not(clips, lanes, headed_run, tmp_path):
    path = clips(("/v/a.mp4@1", 0, 3, None), ("/v/a.mp4@2", 1, 2, None), ("/v/a.mp4@3", 4, 6, None))
    result = timeline(path, tmp_path / "t.png")
    assert lanes == [("a.mp4", ["face 1", "face 3"]), ("a.mp4", ["face 2"])]
    assert (result.clips, result.lanes, result.frames) == (3, 2, 27)
    assert cv2.imread(str(tmp_path / "t.png")).shape[1] > 1000


def test_the_table_is_that_of_recognise(clips, tmp_path):
    path = clips(("/v/a.mp4@1", 0, 3, None))
    timeline(path, tmp_path / "t.png", csv=tmp_path / "t.csv")
    recognise(path, tmp_path / "r.csv")
    assert (tmp_path / "t.csv").read_bytes() == (tmp_path / "r.csv").read_bytes()
    assert csv.read_csv(tmp_path / "t.csv").num_rows == 13


def test_what_cannot_be_drawn_is_said(crop_folder, headed_run, run_folder, tmp_path):
    with pytest.raises(InputError, match="no video"):
        timeline(crop_folder(2), tmp_path / "t.png", encoder=headed_run, aligned=True)
    with pytest.raises(OutputError, match=r"ends in \.png"):
        timeline(tmp_path, tmp_path / "t.jpg")
    with pytest.raises(WeightsError, match="head"):
        timeline(tmp_path / "crops", tmp_path / "t.png", encoder=run_folder)
