import json
import shutil

import numpy as np
import pytest
from PIL import Image

from ferkit.data.embedding_set import EmbeddingSet
from ferkit.encoders.encoder import load_encoder
from ferkit.errors import (
    EncoderMismatchError,
    InputError,
    OutputError,
    SetError,
)
from ferkit.workflows.embed import embed
from ferkit.workflows.retrieve import retrieve
from samples import save_run, write_video


@pytest.fixture
def people(make_face_set, noise_crops, run_folder, tmp_path):
    """Six crops of Ann and Bob in turn, embedded as emb.npy; crop 2 is also the picture query.png."""
    crops = noise_crops(6)
    faces = make_face_set(crops, identity=lambda row: ("Ann", "Bob")[row % 2])
    embed(faces.path, tmp_path / "emb.npy", encoder=run_folder, device="cpu")
    Image.fromarray(crops[2]).save(tmp_path / "query.png")
    return tmp_path


def ask(folder, query="query.png", **settings):
    return retrieve(folder / query, folder / "emb.npy", device="cpu", **settings)


def test_hits_are_the_cosines_sorted(people, run_folder, noise_crops):
    vectors = load_encoder(run_folder, "cpu").embed(noise_crops(6)).astype(np.float64)
    cosines = vectors @ vectors[2]
    expected = [row for row in np.argsort(-cosines) if row != 2][:4]
    result = ask(people, k=4)
    assert [hit.row for hit in result.hits] == expected
    assert [hit.score for hit in result.hits] == pytest.approx(cosines[expected], abs=1e-5)
    assert [hit.rank for hit in result.hits] == [1, 2, 3, 4]
    assert [hit.source for hit in result.hits] == [f"/photos/{row}.jpg" for row in expected]
    assert result.searched == 5


def test_the_query_itself_is_left_out_unless_asked_for(people):
    assert 2 not in [hit.row for hit in ask(people).hits]
    first = ask(people, exclude_query=False).hits[0]
    assert (first.row, first.score) == (2, pytest.approx(1, abs=1e-5))


def test_a_copy_of_the_queried_photo_is_left_out(portraits, run_folder, tmp_path):
    # Searched together with another photo, the copy's crop may differ by rounding: its landmarks still tell. Of the
    # portrait within another picture the crop tells, whose other face is left.
    shutil.copy(portraits["hopper"], tmp_path / "copy.png")
    embed([portraits["both"], tmp_path / "copy.png"], tmp_path / "emb.npy", encoder=run_folder, min_face=60)
    assert len(EmbeddingSet.open(tmp_path / "emb.npy")) == 3
    found = [(hit.source, hit.face) for hit in retrieve(portraits["hopper"], tmp_path / "emb.npy", min_face=60).hits]
    assert found == [(str(portraits["both"]), 1)]


def test_a_condition_on_the_columns_decides_who_may_be_found(people):
    assert {hit.identity for hit in ask(people, where="identity = 'Bob'").hits} == {"Bob"}
    assert [hit.source for hit in ask(people, where="source like '%/5.jpg' or face = 9").hits] == ["/photos/5.jpg"]
    with pytest.raises(InputError, match="'face = 9'"):
        ask(people, where="face = 9")


def test_of_several_faces_the_largest_is_taken_unless_told(portraits, run_folder, tmp_path, listener):
    embed(portraits["both"], tmp_path / "emb.npy", encoder=run_folder, min_face=60)
    areas = [
        np.prod(np.subtract(face.box[2:], face.box[:2]))
        for face in map(EmbeddingSet.open(tmp_path / "emb.npy").face, (0, 1))
    ]
    told = listener()
    result = retrieve(portraits["both"], tmp_path / "emb.npy", min_face=60, progress=told)
    assert (result.face, result.faces) == (1 + int(np.argmax(areas)), 2)
    assert any("--face" in text and "2 faces" in text for text in told.said)
    chosen = [retrieve(portraits["both"], tmp_path / "emb.npy", min_face=60, face=face).hits for face in (1, 2)]
    assert [[hit.face for hit in hits] for hits in chosen] == [[2], [1]]
    for wrong in (0, 3):
        with pytest.raises(InputError, match=f"no face {wrong} .* 2 faces"):
            retrieve(portraits["both"], tmp_path / "emb.npy", min_face=60, face=wrong)


def test_another_encoder_is_refused(people, tmp_path):
    with pytest.raises(EncoderMismatchError, match=r"untrained.*other"):
        ask(people, encoder=save_run(tmp_path / "other", "resnet18", seed=1))


def test_the_same_weights_with_another_contract_are_refused(crop_folder, run_folder, tmp_path):
    folder, run, out = crop_folder(3), tmp_path / "run", tmp_path / "emb.npy"
    shutil.copytree(run_folder, run)
    embed(folder, out, encoder=run, device="cpu")
    yaml = run / "encoder.yaml"
    yaml.write_text(yaml.read_text().replace("gray: false", "gray: true"))
    with pytest.raises(EncoderMismatchError, match=r"contract [0-9a-f]{16}\) cannot .*contract"):
        retrieve(folder / "0.png", out, device="cpu")
    told = json.loads(out.with_suffix(".json").read_text())
    del told["encoder"]["contract"]  # as before there was one
    out.with_suffix(".json").write_text(json.dumps(told))
    assert len(retrieve(folder / "0.png", out, device="cpu").hits) == 2


def test_an_encoder_that_moved_is_asked_for_and_taken_from_its_new_place(crop_folder, run_folder, tmp_path):
    shutil.copytree(run_folder, tmp_path / "old")
    embed(crop_folder(3), tmp_path / "emb.npy", encoder=tmp_path / "old", device="cpu")
    (tmp_path / "old").rename(tmp_path / "new")
    with pytest.raises(SetError, match="encoder"):
        ask(tmp_path, "crops/0.png")
    assert len(ask(tmp_path, "crops/0.png", encoder=tmp_path / "new").hits) == 2


def test_a_montage_replaces_an_earlier_one_and_no_photo(people, noise_crops):
    for k in (1, 2):
        ask(people, k=k, montage=people / "found.png")
    Image.fromarray(noise_crops(1)[0]).save(people / "photo.png")
    for name in ("query.png", "photo.png"):
        before = (people / name).read_bytes()
        with pytest.raises(OutputError, match=name):
            ask(people, montage=people / name)
        assert (people / name).read_bytes() == before


def test_a_place_that_was_printed_asks(people, noise_crops, tmp_path, run_folder):
    clip = write_video(tmp_path / "clip.avi", noise_crops(4), 5)
    embed(clip, tmp_path / "frames.npy", encoder=run_folder, device="cpu", aligned=True, fps=0)
    place = EmbeddingSet.open(tmp_path / "frames.npy").face(2).source
    assert place.endswith("clip.avi#2")
    hits = retrieve(place, tmp_path / "frames.npy", device="cpu", aligned=True, exclude_query=False).hits
    assert (hits[0].source, hits[0].score) == (place, pytest.approx(1, abs=1e-4))
    assert [hit.source for hit in retrieve(place, tmp_path / "frames.npy", device="cpu", aligned=True).hits].count(
        place
    ) == 0
