import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import ferkit
from ferkit.errors import InputError, SetError
from ferkit.probing.data import open_data, read_label_map
from ferkit.probing.vector_file import open_vectors
from ferkit.progress import Silent
from samples import save_gray


def opened(source, label_map=None, **options):
    return open_data([Path(source)], options, label_map or {}, "cpu", Silent())


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("FERKIT_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("written", ["happiness=smiling,contempt=", {"happiness": "smiling", "contempt": ""}])
def test_a_label_map_renames_and_drops(make_face_set, noise_crops, written):
    labels = ["happiness", "contempt", "fear", None]
    faces = make_face_set(noise_crops(4), label=lambda row: labels[row])
    data = opened(faces.path, read_label_map(written))
    assert data.labels == ["smiling", None, "fear", None]
    assert data.labelled.tolist() == [0, 2]
    assert data.stamp().labels == {"fear": 1, "smiling": 1}


@pytest.mark.parametrize(("name", "text"), [("map.json", '{"a": "b", "c": null}'), ("map.yaml", "a: b\nc:\n")])
def test_a_label_map_in_a_file(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert read_label_map(tmp_path / name) == {"a": "b", "c": ""}


def test_labels_and_people_from_the_paths_of_a_face_set(make_face_set, noise_crops):
    sources = ["/x/glad/Ann_1.jpg", "/x/sad/Ann_2.jpg", "/x/sad/Bob_1.jpg"]
    faces = make_face_set(noise_crops(3), source=lambda row: sources[row])
    data = opened(faces.path, label_from="([^/]+)/[^/]+$", identity_from="([^/]+)_[0-9]+")
    assert (data.labels, data.people) == (["glad", "sad", "sad"], ["Ann", "Ann", "Bob"])
    assert data.stamp().people == 2
    assert data.column("source") == ["/x/glad", "/x/sad", "/x/sad"]
    with pytest.raises(InputError, match="no label is found"):
        opened(faces.path, label_from="(nothing)")


def test_the_stamp_tells_labels_apart_and_places_not(make_face_set, noise_crops):
    first, moved, other = (
        make_face_set(noise_crops(4), name, source=lambda row, n=name: f"/{n}/{row}.jpg", label=lambda row, o=label: o)
        for name, label in (("a", "x"), ("b", "x"), ("c", "y"))
    )
    digests = [opened(faces.path).stamp().sha256 for faces in (first, moved, other)]
    assert digests[0] == digests[1] != digests[2]


def test_numbers_are_told_apart_by_thirds(make_face_set, noise_crops):
    faces = make_face_set(noise_crops(7), size=lambda row: None if row == 6 else float(row))
    expected = ["low", "low", "middle", "middle", "high", "high", None]
    assert opened(faces.path).column("size") == expected
    with pytest.raises(InputError, match="no column 'gender'"):
        opened(faces.path).column("gender")


def test_labelled_pictures_without_a_face_are_rows_and_photos_are_aligned_once(portraits, tmp_path, listener):
    save_gray(tmp_path / "photos" / "glad" / "wall.png", (200, 200), 128)
    for label, name in (("calm", "hopper"), ("glad", "astronaut")):
        (tmp_path / "photos" / label).mkdir(exist_ok=True)
        shutil.copy(portraits[name], tmp_path / "photos" / label)
    data = opened(tmp_path / "photos", aligned=False, min_face=60)
    assert (data.labels, data.faceless, len(data.face_set)) == (["calm", "glad", "glad"], 1, 2)
    assert len(list((tmp_path / "cache" / "faces").iterdir())) == 1
    told = listener()
    again = open_data([tmp_path / "photos"], {"aligned": False, "min_face": 60}, {}, "cpu", told)
    assert again.labels == data.labels
    assert told.started == [("reading", 3, 0)]


def test_photos_replaced_under_their_names_sizes_and_times_are_other_faces(crop_folder, replace_unseen):
    folder = crop_folder(2, "crops", "bmp")
    before = opened(folder).table.column("sha256").to_pylist()
    replace_unseen(folder / "0.bmp", folder / "1.bmp")
    assert opened(folder).table.column("sha256").to_pylist() == [before[1], before[1]]


def test_an_array_of_another_program(tmp_path):
    path = tmp_path / "mine.npy"
    np.save(path, np.float32([[1, 0], [np.nan, 0], [0, 1]]))
    with pytest.raises(SetError, match=r"mine\.parquet"):
        open_vectors(path)
    pq.write_table(pa.table({"label": ["a", "b", "c"], "identity": [1, 1, 2]}), tmp_path / "mine.parquet")
    file = open_vectors(path)
    assert file.table.column("identity").to_pylist() == ["1", "1", "2"]
    assert (file.dim, file.encoder, file.reference) == (2, None, str(path))
    np.save(path, np.eye(2))
    with pytest.raises(SetError, match="2 vectors and the table beside it 3 rows"):
        open_vectors(path)
    np.save(path, np.arange(3))
    with pytest.raises(SetError, match=r"no \(N, D\) array"):
        open_vectors(path)


def test_the_rows_of_an_embedding_set_are_found_by_their_pixels(make_face_set, noise_crops, run_folder, tmp_path):
    crops = noise_crops(4)
    all_four, two = make_face_set(crops, "four"), make_face_set(crops[[3, 1]], "two")
    ferkit.embed(all_four.path, tmp_path / "emb.npy", encoder=run_folder)
    file = open_vectors(tmp_path / "emb.npy")
    assert file.encoder.name == str(run_folder)
    assert np.array_equal(file.vectors_of(two.table, "two"), file.vectors[[3, 1]])
    mixed = make_face_set(np.concatenate([crops[:1], noise_crops(2)]), "mixed")
    assert np.isfinite(file.vectors_of(mixed.table, "mixed")).all(axis=1).tolist() == [True, False, False]
    with pytest.raises(InputError, match="holds no face of strangers"):
        file.vectors_of(make_face_set(noise_crops(3), "strangers").table, "strangers")
    vectors = np.load(tmp_path / "emb.npy")
    vectors[1] = np.nan
    np.save(tmp_path / "emb.npy", vectors)  # read as an array, since no set has rows that are not finite
    assert np.isnan(open_vectors(tmp_path / "emb.npy").vectors).any(axis=1).tolist() == [False, True, False, False]
