"""A set that is made again: what it knows is taken over, the rest is embedded."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from ferkit.data.embedding_set import EmbeddingSet
from ferkit.encoders.encoder import Encoder
from ferkit.errors import InputError, MissingPathError, NoImagesError
from ferkit.pipeline import reuse, source_stream
from ferkit.workflows.embed import embed
from samples import noise


@pytest.fixture
def embedded(monkeypatch):
    """Numbers of crops that the network was asked for."""
    counts = []
    original = Encoder.embed

    def counting(self, crops, **settings):
        counts.append(len(crops))
        return original(self, crops, **settings)

    monkeypatch.setattr(Encoder, "embed", counting)
    return counts


@pytest.fixture
def update(run_folder, tmp_path, embedded):
    """Embed again; returns how many crops were embedded, and the result."""

    def run(*sources, **options):
        embedded.clear()
        settings = {"encoder": run_folder, "device": "cpu", "aligned": True, **options}
        result = embed(list(sources), tmp_path / "emb.npy", **settings)
        return sum(embedded), result

    return run


def opened(tmp_path):
    return EmbeddingSet.open(tmp_path / "emb.npy")


def save(path, seed):
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(noise(1, seed=seed)[0]).save(path)


def names_and_vectors(made):
    names = [source.rpartition("/")[2] for source in made.column("source").to_pylist()]
    return dict(zip(names, np.asarray(made.vectors), strict=True))


def test_only_new_and_changed_pictures_are_embedded(crop_folder, update, tmp_path):
    folder = crop_folder(5)
    files = sorted(folder.iterdir())
    count, result = update(folder)
    assert (count, result.changes) == (5, None)
    before = names_and_vectors(opened(tmp_path))
    save(folder / "new.png", 100)
    save(files[1], 101)
    files[2].unlink()
    count, result = update(folder)
    assert (count, tuple(result.changes), result.faces) == (2, (1, 1, 1, 3), 5)
    after = names_and_vectors(opened(tmp_path))
    assert after.keys() == {file.name for file in files if file != files[2]} | {"new.png"}
    for file in (files[0], files[3], files[4]):
        np.testing.assert_array_equal(after[file.name], before[file.name])
    assert not np.allclose(after[files[1].name], before[files[1].name])
    count, _ = update(folder, fresh=True)
    assert count == 5
    fresh = names_and_vectors(opened(tmp_path))
    assert all(np.allclose(fresh[name], after[name], atol=1e-5) for name in after)


def test_a_set_that_knows_everything_is_left_alone(crop_folder, update, tmp_path):
    folder = crop_folder(3)
    update(folder)
    before = [(path.name, path.stat().st_mtime_ns) for path in sorted(tmp_path.glob("emb*"))]
    count, result = update(folder)
    assert (count, tuple(result.changes), result.faces, result.pictures) == (0, (0, 0, 0, 3), 3, 3)
    assert [(path.name, path.stat().st_mtime_ns) for path in sorted(tmp_path.glob("emb*"))] == before


def test_moved_and_copied_pictures_are_known_by_their_content(crop_folder, update, tmp_path):
    folder = crop_folder(3)
    update(folder)
    before = opened(tmp_path)
    shutil.move(folder, tmp_path / "moved")
    files = sorted((tmp_path / "moved").iterdir())
    shutil.copy(files[0], tmp_path / "moved" / "copy.png")
    count, result = update(tmp_path / "moved")
    assert (count, tuple(result.changes)) == (0, (0, 0, 0, 4))
    after = names_and_vectors(opened(tmp_path))
    np.testing.assert_array_equal(after["copy.png"], before.vectors[0])
    assert all(source.startswith(str(tmp_path / "moved")) for source in opened(tmp_path).column("source").to_pylist())


def test_a_picture_replaced_with_equal_size_and_time_is_noticed(crop_folder, update, tmp_path, replace_unseen):
    folder = crop_folder(2, suffix="bmp")
    update(folder)
    save(tmp_path / "other.bmp", 7)
    replace_unseen(folder / "0.bmp", tmp_path / "other.bmp")
    count, result = update(folder)
    assert (count, tuple(result.changes)) == (1, (0, 1, 0, 1))


def test_faces_of_photos_are_not_searched_for_again(portraits, update, tmp_path, monkeypatch):
    photos = tmp_path / "photos"
    photos.mkdir()
    shutil.copy(portraits["both"], photos / "a.png")
    Image.new("RGB", (200, 200), "gray").save(photos / "empty.png")
    (photos / "broken.jpg").write_bytes(b"no picture")
    options = {"aligned": False, "min_face": 60}
    _, first = update(photos, **options)
    before = opened(tmp_path).table
    shutil.copy(portraits["both"], photos / "b.png")
    count, result = update(photos, **options)
    assert (count, tuple(result.changes)) == (0, (0, 0, 0, 3))
    assert (result.faces, result.faceless) == (2 * first.faces, first.faceless)
    assert opened(tmp_path).table.slice(0, len(before)).equals(before)
    assert [source for source, _ in result.unreadable] == [source for source, _ in first.unreadable]


@pytest.mark.parametrize("remains", ["nothing", "an empty folder", "an empty folder beside another"])
def test_a_folder_that_is_not_there_deletes_nothing(crop_folder, update, tmp_path, remains):
    folder = crop_folder(3)
    save(tmp_path / "other" / "x.png", 50)
    update(folder, tmp_path / "other")
    before = [(tmp_path / f"emb{suffix}").read_bytes() for suffix in (".npy", ".parquet", ".json")]
    shutil.rmtree(folder)
    sources = [folder, tmp_path / "other"]
    if remains != "nothing":
        folder.mkdir()
    if remains == "an empty folder":
        sources = [folder]
    with pytest.raises((MissingPathError, NoImagesError, InputError)):
        update(*sources)
    assert [(tmp_path / f"emb{suffix}").read_bytes() for suffix in (".npy", ".parquet", ".json")] == before


def test_a_stopped_update_goes_on_to_the_same_bytes(crop_folder, update, tmp_path, monkeypatch, listener):
    monkeypatch.setattr(source_stream, "_CROPS_A_BATCH", 2)
    monkeypatch.setattr(reuse, "_UNITS_A_BATCH", 2)
    folder = crop_folder(5)
    update(folder)
    for number in range(4):
        save(folder / f"new{number}.png", 100 + number)
    kept = {path.name: path.read_bytes() for path in tmp_path.glob("emb*") if path.is_file()}
    update(folder)
    wanted = opened(tmp_path)
    vectors, table = np.array(wanted.vectors), wanted.table
    for name, content in kept.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(KeyboardInterrupt):
        update(folder, progress=listener(stop_after=10))
    count, _ = update(folder)
    assert count == 2
    np.testing.assert_array_equal(opened(tmp_path).vectors, vectors)
    assert opened(tmp_path).table.equals(table)


def test_damaged_records_embed_everything(crop_folder, update, tmp_path):
    folder = crop_folder(2)
    update(folder)
    (tmp_path / "emb.sources.parquet").write_bytes(b"damaged")
    _, result = update(folder)
    assert (result.faces, result.changes) == (2, None)
    assert json.loads((tmp_path / "emb.json").read_text())["count"] == 2
