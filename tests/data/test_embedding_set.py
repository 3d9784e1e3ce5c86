import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ferkit.data.embedding_set import EmbeddingSet, check_embedding_output
from ferkit.data.encoder_stamp import EncoderStamp, require_same_encoder
from ferkit.data.faces import faces_to_table
from ferkit.errors import EncoderMismatchError, OutputError, SetError
from samples import contents, face, unit_rows

STAMP = EncoderStamp("contrawarping-r18", "ab" * 32, 6, "ferkit-128", 112, contract="c0" * 8)


def make(count=9, seed=0, **changes):
    vectors = unit_rows(np.random.default_rng(seed).normal(size=(count, 6)))
    faces = faces_to_table([face(f"/p/{row}.jpg", label="joy") for row in range(count)])
    return replace(EmbeddingSet(vectors, faces, STAMP, faces="/sets/faces"), **changes)


def test_a_set_comes_back_as_it_was_saved(tmp_path):
    saved = make()
    saved.save(tmp_path / "deep" / "emb.npy")
    opened = EmbeddingSet.open(tmp_path / "deep" / "emb.npy")
    np.testing.assert_array_equal(opened.vectors, saved.vectors)
    assert isinstance(opened.vectors, np.memmap)
    assert opened.table.to_pylist() == saved.table.to_pylist()
    assert opened.face(8) == saved.face(8)
    for name in ("encoder", "normalized", "faces", "version"):
        assert getattr(opened, name) == getattr(saved, name)
    assert len(opened) == 9


def test_the_files_are_what_the_format_says_and_equal_sets_have_equal_bytes(tmp_path):
    for name in ("a", "b"):
        make().save(tmp_path / name / "emb.npy")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert sorted(contents(tmp_path / "a")) == ["emb.json", "emb.npy", "emb.parquet"]
    assert np.load(tmp_path / "a" / "emb.npy").shape == (9, 6)
    told = json.loads((tmp_path / "a" / "emb.json").read_text())
    network = {"name": STAMP.name, "sha256": STAMP.sha256, "dim": 6, "crop": "ferkit-128", "size": 112}
    assert told["encoder"] == {**network, "precision": "float32", "calibration": None, "contract": "c0" * 8}
    assert (told["format"], told["count"], told["normalized"], told["faces"]) == (1, 9, True, "/sets/faces")


# What is wrong is said


def spoil_json(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda f: (f / "emb.npy").unlink(), "there is no embedding set .*emb.npy'; make it: `ferkit embed"),
        (lambda f: (f / "emb.json").unlink(), "emb.json is missing beside it; run `ferkit embed` again"),
        (lambda f: (f / "emb.parquet").unlink(), "emb.parquet is missing beside it; run `ferkit embed` again"),
        (lambda f: spoil_json(f / "emb.json", encoder={"name": "x"}), "emb.json cannot be understood"),
        (lambda f: spoil_json(f / "emb.json", format=2), "newer ferkit"),
        (lambda f: pq.write_table(pa.table({"a": [1]}), f / "emb.parquet"), "emb.parquet lacks the column 'source'"),
        (lambda f: (f / "emb.npy").write_bytes((f / "emb.npy").read_bytes()[:-1]), "no .npy array, or cut short"),
        (lambda f: np.save(f / "emb.npy", np.array([{}])), "no .npy array, or cut short"),  # never unpickled
        (lambda f: np.save(f / "emb.npy", np.zeros((9, 6))), r"holds \(9, 6\) float64 and not \(N, D\) float32"),
        (lambda f: np.save(f / "emb.npy", np.zeros((8, 6), np.float32)), "8 vectors for 9 faces"),
        (lambda f: np.save(f / "emb.npy", np.zeros((9, 5), np.float32)), "5 dimensions and its encoder 6"),
        (lambda f: np.save(f / "emb.npy", np.full((9, 6), np.nan, np.float32)), "vector 0 is not made of finite"),
        (lambda f: np.save(f / "emb.npy", make(seed=1).vectors), "emb.npy, emb.parquet and emb.json belong to differ"),
    ],
)
def test_damage_is_named(tmp_path, damage, why):
    make().save(tmp_path / "emb.npy")
    damage(tmp_path)
    with pytest.raises(SetError, match=why) as caught:
        EmbeddingSet.open(tmp_path / "emb.npy")
    assert "ferkit" in str(caught.value).split(";")[-1]


@pytest.mark.parametrize("left", ["emb.npy", "emb.parquet", "emb.json"])
def test_a_file_of_another_set_is_found_out(tmp_path, left):
    make(seed=0).save(tmp_path / "emb.npy")
    old = (tmp_path / left).read_bytes()
    make(seed=1).save(tmp_path / "emb.npy")
    (tmp_path / left).write_bytes(old)
    with pytest.raises(SetError, match="belong to different sets"):
        EmbeddingSet.open(tmp_path / "emb.npy")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_vector_that_is_no_number_is_found_and_not_saved(tmp_path, bad):
    broken = make(20_000)
    broken.vectors[17_000, 3] = bad
    with pytest.raises(SetError, match="vector 17000"):
        broken.save(tmp_path / "emb.npy")
    assert contents(tmp_path) == {}


# Nothing is half replaced


def test_other_peoples_files_beside_it_are_not_replaced(tmp_path):
    pq.write_table(pa.table({"image": [b"x"]}), tmp_path / "train.parquet")
    (tmp_path / "config.json").write_text('{"mine": 1}')
    (tmp_path / "list.json").write_text("[1]")
    np.save(tmp_path / "labels.npy", np.arange(5))
    before = contents(tmp_path)
    for name in ("train", "config", "list", "labels"):
        with pytest.raises(OutputError, match=rf"{name}\.(parquet|json|npy)' is no part of an embedding set"):
            make().save(tmp_path / f"{name}.npy")
    assert contents(tmp_path) == before


def test_the_name_of_the_output(tmp_path):
    (tmp_path / "folder.npy").mkdir()
    for name in ("emb", ".npy", "folder.npy"):
        with pytest.raises(OutputError, match=name):
            check_embedding_output(tmp_path / name)
    check_embedding_output(tmp_path / "new" / "emb.npy")
    assert not (tmp_path / "new").exists()


# Encoders


INT8 = {"precision": "int8", "calibration": "0a" * 8}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *(({}, change) for change in ({"sha256": "cd" * 32}, {"dim": 7}, {"crop": "arcface-112"}, {"size": 128}, INT8)),
        ({}, {"contract": "c1" * 8}),
        ({"contract": None}, {"size": 128}),
        (INT8, INT8 | {"calibration": "0b" * 8}),
    ],
)
def test_vectors_of_two_encoders_are_never_mixed(one, other):
    with pytest.raises(EncoderMismatchError) as caught:
        require_same_encoder(replace(STAMP, **one), replace(STAMP, name="other-r50", **other))
    assert {"'contrawarping-r18'", "'other-r50'"} <= set(str(caught.value).replace(",", " ").split())


def test_vectors_of_the_same_encoder_may_be_compared():
    older = {"contract": None}
    for one, other in (
        ({}, {"name": "runs/x"}),
        ({}, {"precision": "bfloat16"}),
        (older, {}),
        ({}, older),
        (INT8, INT8),
    ):
        require_same_encoder(replace(STAMP, **one), replace(STAMP, **other))


def test_a_set_of_an_older_version_is_read(tmp_path):
    make().save(tmp_path / "emb.npy")
    told = json.loads((tmp_path / "emb.json").read_text())
    for name in ("precision", "calibration", "contract"):
        del told["encoder"][name]
    (tmp_path / "emb.json").write_text(json.dumps(told))
    assert EmbeddingSet.open(tmp_path / "emb.npy").encoder == replace(STAMP, contract=None)


@pytest.mark.parametrize("name", ["emb.npy", "emb.parquet"])
def test_a_single_changed_vector_or_row_is_found(tmp_path, name):
    make(600).save(tmp_path / "emb.npy")
    opened = EmbeddingSet.open(tmp_path / "emb.npy")
    opened.verify()
    make(1).verify()  # in memory
    if name == "emb.npy":
        vectors = np.load(tmp_path / name)
        vectors[[1, 3]] = vectors[[3, 1]]  # none of those that are looked at on opening
        np.save(tmp_path / name, vectors)
    else:
        table = pq.read_table(tmp_path / name)
        changed = table.take([0, 2, 1, *range(3, 600)])
        pq.write_table(changed.replace_schema_metadata(table.schema.metadata), tmp_path / name)
    changed = EmbeddingSet.open(tmp_path / "emb.npy")
    with pytest.raises(SetError, match=rf"{name} has changed since it was written"):
        changed.verify()


def test_a_face_set_below_is_named_from_there_and_moves_along(tmp_path):
    replace(make(), faces=str(tmp_path / "here" / "faces")).save(tmp_path / "here" / "emb.npy")
    assert json.loads((tmp_path / "here" / "emb.json").read_text())["faces"] == "faces"
    (tmp_path / "here").rename(tmp_path / "there")
    assert EmbeddingSet.open(tmp_path / "there" / "emb.npy").faces == str(tmp_path / "there" / "faces")
