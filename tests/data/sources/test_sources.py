import io
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ferkit.data.sources import SourceRules, find_picture, open_sources
from ferkit.errors import InputError, MissingPathError
from samples import png, write_parquet
from samples import save_gray as save

# The sequence


def test_several_sources_are_one_sequence(tmp_path):
    folder = tmp_path / "folder"
    for name in ("1.png", "2.png"):
        save(folder / name)
    path = write_parquet(tmp_path / "x.parquet", pa.array([png(1)] * 4))
    empty = tmp_path / "empty"
    empty.mkdir()
    save(tmp_path / "3.png")
    pictures = open_sources([folder, empty, path, tmp_path / "3.png"]).pictures
    names = [Path(picture.source).name for picture in pictures]
    assert names == ["1.png", "2.png", *(f"x.parquet#{row}" for row in range(4)), "3.png"]
    assert [picture.source for picture in pictures[1:6:2]] == [pictures[i].source for i in (1, 3, 5)]
    assert pictures[-1] == pictures[6]
    for index in (7, -8):
        with pytest.raises(IndexError):
            pictures[index]


# Every kind of source


def as_folder(root, images, labels):
    for name, content in images.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def as_list(root, images, labels):
    as_folder(root, images, labels)
    lines = [f"{name}\t{label}" for name, label in zip(images, labels, strict=True)]
    return text(root / "x.txt", lines)


def as_csv(root, images, labels):
    as_folder(root, images, labels)
    lines = [f'"{name}",{label}' for name, label in zip(images, labels, strict=True)]
    return text(root / "x.csv", ["image,label", *lines])


def as_parquet(root, images, labels):
    values = [{"bytes": content, "path": name} for name, content in images.items()]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    return write_parquet(root / "x.parquet", pa.array(values, kind), label=labels)


def as_parquet_of_paths(root, images, labels):
    as_folder(root, images, labels)
    return write_parquet(root / "x.parquet", [{"path": name} for name in images], label=labels)


def as_zip(root, images, labels):
    with zipfile.ZipFile(root / "x.zip", "w") as archive:
        for name, content in images.items():
            archive.writestr(name, content)
    return root / "x.zip"


def as_tar(root, images, labels):
    with tarfile.open(root / "x.tar", "w") as tar:
        for (name, content), label in zip(images.items(), labels, strict=True):
            for suffix, data in ((".png", content), (".cls", label.encode())):
                header = tarfile.TarInfo(name.removesuffix(".png") + suffix)
                header.size = len(data)
                tar.addfile(header, io.BytesIO(data))
    return root / "x.tar"


def text(path, lines):
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


KINDS = [as_folder, as_list, as_csv, as_parquet, as_parquet_of_paths, as_zip, as_tar]


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def opened(tmp_path, request):
    """The same pictures in a source of each kind."""
    names = ["fear/S2 ü #1.png", "joy/S1 b.png", "joy/S2 a.png", "joy/S10 a%23.png"]
    images = {name: png(value) for value, name in enumerate(names)}
    source = request.param(tmp_path, images, ["fear", "joy", "joy", "joy"])
    return open_sources([source], SourceRules(identity_from=r"(S\d+) "))


def test_every_kind_gives_the_same(opened):
    assert opened.videos == []
    found = [(picture.read()[0, 0, 0], picture.label, picture.identity) for picture in opened.pictures]
    assert found == [(0, "fear", "S2"), (1, "joy", "S1"), (2, "joy", "S2"), (3, "joy", "S10")]


def test_pictures_of_every_kind_are_found_again(opened):
    assert len({picture.source for picture in opened.pictures}) == 4
    for picture in opened.pictures:
        assert Path(picture.source).is_absolute()
        again = find_picture(picture.source)
        assert (again.source, again.file) == (picture.source, picture.file)
        assert picture.file.is_file()
        assert np.array_equal(again.read(), picture.read())


def test_every_kind_is_read_by_several_threads_at_once(opened):
    order = np.random.default_rng(0).permutation(np.repeat(range(4), 40)).tolist()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: int(opened.pictures[number].read()[0, 0, 0]), order))
    assert found == order


# find_picture


def test_a_container_is_opened_once_until_it_changes(tmp_path, monkeypatch):
    opened = []
    parquet_file = pq.ParquetFile
    monkeypatch.setattr(pq, "ParquetFile", lambda path: opened.append(path) or parquet_file(path))
    path = write_parquet(tmp_path / "x.parquet", pa.array([png(1), png(2)]))
    assert [find_picture(f"{path}#{row}").read()[0, 0, 0] for row in (0, 1, 0)] == [1, 2, 1]
    assert opened == [path]
    write_parquet(path, pa.array([png(3), png(4), png(5)]))
    assert find_picture(f"{path}#2").read()[0, 0, 0] == 5
    assert opened == [path, path]


@pytest.mark.parametrize("name", ["a#1.png", "x.zip#1.png"])
def test_a_file_with_a_hash_in_its_name_is_a_file(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("1.png", png(1))
    save(tmp_path / name, gray=9)
    assert find_picture(str(tmp_path / name)).read()[0, 0, 0] == 9


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ("gone.png", MissingPathError, r"gone\.png'; it was there when"),
        ("gone.parquet#3", MissingPathError, r"gone\.parquet#3'; it was there when"),
        ("x.parquet#2", InputError, r"x\.parquet' holds no picture '2' any more"),
        ("x.parquet#-1", InputError, "holds no picture '-1'"),
        ("x.parquet#", InputError, "holds no picture ''"),
        ("1.png#2", InputError, r"1\.png' holds no picture '2'"),
        ("folder#2", InputError, "folder' holds no picture '2'"),
        ("x.mp4#first", InputError, r"x\.mp4' holds no picture 'first'"),
        ("x.zip#2.png", InputError, r"cannot read .*x\.zip' as a zip archive"),
    ],
)
def test_a_picture_that_is_gone(tmp_path, source, error, message):
    write_parquet(tmp_path / "x.parquet", pa.array([png(1)] * 2))
    save(tmp_path / "1.png")
    (tmp_path / "folder").mkdir()
    for name in ("x.mp4", "x.zip"):
        (tmp_path / name).touch()
    with pytest.raises(error, match=message):
        find_picture(f"{tmp_path}/{source}")


# Real data


@pytest.mark.parametrize(
    ("folder", "count", "labels"),
    [("lfw-expressions", 6045, 8), ("studio-smiles", 82, 2), ("ferplus/valid.parquet", 3284, 8)],
)
def test_real_sources(data_dir, folder, count, labels):
    pictures = open_sources([data_dir / folder]).pictures
    assert len(pictures) == count
    assert len({picture.label for picture in pictures} - {None}) == labels
    assert pictures[count // 2].read().dtype == np.uint8
