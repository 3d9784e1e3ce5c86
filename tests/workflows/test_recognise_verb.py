import numpy as np
import pyarrow.csv as csv
import pytest

from ferkit.data.embedding_set import EmbeddingSet
from ferkit.encoders.encoder import load_head
from ferkit.encoders.expression_head import ExpressionHead
from ferkit.errors import NoFaceError, OutputError, WeightsError
from ferkit.workflows.embed import embed
from ferkit.workflows.recognise import recognise

CLASSES = ("neutral", "happiness", "surprise")


def test_a_photo_gives_a_row_a_face_with_all_that_is_known(portraits, headed_run, tmp_path):
    result = recognise(portraits["both"], tmp_path / "faces.csv", encoder=headed_run, device="cpu", min_face=60)
    rows = csv.read_csv(tmp_path / "faces.csv").to_pylist()
    assert (result.faces, result.classes, sum(result.expressions.values())) == (2, CLASSES, 2)
    assert [row["face"] for row in rows] == [1, 2]
    for row, other in zip(rows, result.table.to_pylist(), strict=True):
        shares = [row[name] for name in CLASSES]
        assert sum(shares) == pytest.approx(1, abs=1e-5)
        assert row["expression"] == CLASSES[int(np.argmax(shares))]
        assert row["x0"] < row["left_eye_x"] < row["right_eye_x"] < row["x1"]
        assert row["y0"] < row["nose_y"] < row["left_mouth_y"] < row["y1"]
        assert abs(row["yaw"]) < 45
        assert row["x0"] == pytest.approx(other["x0"])
    assert not (tmp_path / "faces.csv.partial").exists()


def test_probabilities_are_those_of_the_heads_own_reading(crop_folder, headed_run, tmp_path):
    embed(crop_folder(4), tmp_path / "emb.npy", encoder=headed_run, device="cpu")
    vectors = EmbeddingSet.open(tmp_path / "emb.npy").vectors
    expected = load_head(headed_run).probabilities(vectors)
    for sources in (tmp_path / "emb.npy", tmp_path / "crops"):
        table = recognise(sources, encoder=headed_run).table
        found = np.stack([table.column(name).to_numpy() for name in CLASSES], axis=1)
        assert found == pytest.approx(expected, abs=1e-5)
    assert table.column("x0").null_count == 4  # crops have no box


def test_an_own_head_tells_its_own_classes_and_affect(crop_folder, run_folder, tmp_path):
    folder = crop_folder(3)
    embed(folder, tmp_path / "emb.npy", encoder=run_folder, device="cpu")
    found = EmbeddingSet.open(tmp_path / "emb.npy")
    flat = np.zeros((2, 512), np.float32)
    head = ExpressionHead(
        found.encoder.sha256, ("calm", "label"), flat, flat, np.array([0, 1]), affect_weight=flat, affect_bias=[0.5, -1]
    )
    head.save(tmp_path / "own.safetensors")
    table = recognise(tmp_path / "emb.npy", head=tmp_path / "own.safetensors").table
    assert table.column("expression").to_pylist() == ["label"] * 3
    assert table.column("p_label").to_pylist() == pytest.approx([np.e / (1 + np.e)] * 3)  # "label" is the known one
    assert table.column("label").null_count == 3
    assert table.column("arousal").to_pylist() == [-1] * 3
    with pytest.raises(WeightsError, match=r"no expression head.*--save-head"):
        recognise(folder, encoder=run_folder)


def test_bad_input(crop_folder, headed_run, tmp_path):
    folder = crop_folder(2)
    with pytest.raises(OutputError, match=r"\.csv, \.tsv, \.parquet"):
        recognise(folder, tmp_path / "faces.xlsx", encoder=headed_run)
    (tmp_path / "mine.csv").write_text("source,label\na.jpg,happy\n")
    with pytest.raises(OutputError, match="no table of this kind by ferkit"):
        recognise(folder, tmp_path / "mine.csv", encoder=headed_run)
    assert (tmp_path / "mine.csv").read_text().startswith("source,label\na.jpg")
    (tmp_path / "faces.csv.partial").mkdir()
    (tmp_path / "faces.csv.partial" / "mine.txt").touch()
    with pytest.raises(OutputError, match="in the way"):
        recognise(folder, tmp_path / "faces.csv", encoder=headed_run)
    with pytest.raises(NoFaceError):
        recognise(folder, tmp_path / "others.csv", encoder=headed_run, aligned=False)
    assert not list(tmp_path.glob("others*"))


def test_a_killed_run_goes_on(crop_folder, headed_run, tmp_path, listener):
    folder = crop_folder(3)
    kept = {"encoder": headed_run, "device": "cpu", "batch_size": 1}
    with pytest.raises(KeyboardInterrupt):
        recognise(
            folder, tmp_path / "faces.csv", progress=listener(stop_after=4), **kept
        )  # three steps are the look at them
    told = listener()
    recognise(folder, tmp_path / "faces.csv", progress=told, **kept)
    assert any(text.startswith("going on after") for text in told.said)
    assert csv.read_csv(tmp_path / "faces.csv").num_rows == 3
