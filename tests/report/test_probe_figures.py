import numpy as np
import pytest

from ferkit.evaluation.classification import classification_of
from ferkit.evaluation.few_labels import FewLabelPoint
from ferkit.evaluation.linear import LinearModel
from ferkit.probing.report import (
    ClassifierSection,
    DataStamp,
    EncoderReport,
    FewLabelSection,
    MetricValue,
    ProbedFaces,
    ProbeReport,
)
from ferkit.report import charts as drawing
from ferkit.report import probe_figures as figures
from ferkit.report.probe_figures import draw_figures, nearest_others, picture_paths

LABELS = ("joy", "calm") * 8
PEOPLE = tuple(f"person {row // 4}" for row in range(16))


def crops(rows):
    """Calm faces are gray; of joyful ones the lower left quarter is white."""
    faces = np.full((16, 32, 32, 3), 100, np.uint8)
    faces[::2, 16:, :16] = 255
    return faces[rows]


def brightness(faces):
    return faces[:, 16:, :16].mean(axis=(1, 2, 3))[:, None].astype(np.float32)


MODEL = LinearModel(("calm", "joy"), np.array([[-0.25], [0.25]]), np.array([60.0, -60.0]))


def report_of(name="small", *, with_crops=True, people=PEOPLE):
    vectors = np.random.default_rng(0).normal(size=(16, 5)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[3] = np.nan
    result = classification_of(LABELS, ["joy"] * 16)
    figures = (MetricValue("accuracy", 0.5, (0.25, 0.75), 4), MetricValue("macro_f1", 1 / 3, None, 4))
    points = tuple(FewLabelPoint(share, rows, (result,)) for share, rows in ((0.1, 4), (1.0, 40)))
    sections = {
        "linear": ClassifierSection("linear probe", figures, result, model=MODEL),
        "few-labels": FewLabelSection(
            "few", (MetricValue("10%", 0.4, (0.3, 0.5), 4), MetricValue("100%", 0.5, None, 4)), points
        ),
    }
    faces = (crops, brightness) if with_crops else (None, None)
    asked = ProbedFaces(LABELS, people, vectors, np.zeros((16, 1), np.float32), *faces)
    encoder = EncoderReport(name, name, "ab" * 32, 5, "weak", 15 / 16, sections, asked)
    stamp = DataStamp(("faces",), "cd" * 32, 16, 0, 4, 0, {"calm": 8, "joy": 8}, 0, 0)
    return ProbeReport(stamp, None, "five folds", {}, {}, (), {}, (encoder,), ())


@pytest.fixture
def unsaved(monkeypatch):
    """Draw nothing to disk; the pictures' names are kept."""
    names = []
    monkeypatch.setattr(figures, "_save", lambda picture, folder, name: names.append(name) or folder / name)
    return names


def test_everything_is_drawn_and_the_same_again(tmp_path, monkeypatch):
    monkeypatch.setattr(drawing, "_DPI", 30)  # a sixteenth of the pixels
    first, again = (draw_figures(report_of("../runs/a b"), tmp_path / name, occluded=1) for name in "ab")
    names = ["runs-a-b-linear-confusion", "few-labels", "runs-a-b-map", "runs-a-b-nearest", "runs-a-b-occlusion"]
    assert [figure.path for figure in first] == [tmp_path / "a" / f"{name}.png" for name in names]
    assert {figure.path for figure in first} < picture_paths(tmp_path / "a", {"../runs/a b": ["linear", "few-labels"]})
    assert [figure.path.read_bytes() for figure in first] == [figure.path.read_bytes() for figure in again]
    assert [figure.protocol for figure in first] == ["linear", "few-labels", None, None, "linear"]
    assert {figure.path.read_bytes()[:4] for figure in first} == {b"\x89PNG"}
    assert "15 of the 15 labelled faces" in first[2].caption  # the faceless row is not there


def test_the_probe_looks_where_the_classes_differ(tmp_path, monkeypatch, unsaved):
    seen = {}
    monkeypatch.setattr(figures, "draw_occlusion", lambda maps, faces, title: seen.update(maps))
    draw_figures(report_of(), tmp_path, occluded=4)
    # Logit of joy less that of calm: level / 2 - 120, where a white quarter is 255 and a gray one 100.
    assert seen["joy"].probability == pytest.approx(1 / (1 + np.exp(-7.5)))
    assert seen["calm"].probability == pytest.approx(1)
    # A patch in the quarter, a fourth of it, brings it to 226, and joy to nothing.
    lost = seen["joy"].drop
    np.testing.assert_allclose(lost[22:26, 6:10], 1, atol=0.01)
    # A gray patch takes the mean gray of a gray face: nothing changes. Far from the quarter nothing is lost either.
    assert np.abs(seen["calm"].drop).max() < 1e-6
    assert np.abs(lost[:8]).max() < 1e-6
    assert np.abs(lost[:, 24:]).max() < 1e-6


def test_nearest_faces_are_other_peoples():
    angles = np.radians([0, 5, 10, 40, 90])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    found = nearest_others(vectors, ["x", "x", "y", None, None], [0, 3], 2)
    assert [[row for row, _ in strip] for strip in found] == [[2, 3], [2, 1]]
    assert found[0][0][1] == pytest.approx(np.cos(np.radians(10)))
    assert len(nearest_others(vectors, ["x", "x", "x", "x", "y"], [0], 3)[0]) == 1
