import io
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ferkit.data.sources import Picture, looks_aligned, open_sources
from ferkit.errors import InputError, MissingPathError, NoImagesError, UnreadableImageError


def save(path, size=(8, 8), colour=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, colour).save(path)
    return path


def png(colour):
    buffer = io.BytesIO()
    Image.new("L", (4, 4), colour).save(buffer, "PNG")
    return buffer.getvalue()


def below(root, pictures):
    return [str(Path(picture.source).relative_to(root)) for picture in pictures]


def write_parquet(path, images, *, metadata=None, row_group=3, **columns):
    table = pa.table({"image": images, **columns}).replace_schema_metadata(metadata)
    pq.write_table(table, path, row_group_size=row_group)
    return path


def structs(values):
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    return pa.array([{"bytes": value, "path": None} for value in values], kind)


# Folders


def test_natural_order_through_all_folders(tmp_path):
    for name in ("10.jpg", "2.png", "1/9.bmp", "b.TIFF", "B2.webp", "b10.JPEG", "a/x10.tif", "a/x9.jpg"):
        save(tmp_path / name)
    expected = ["1/9.bmp", "2.png", "10.jpg", "a/x9.jpg", "a/x10.tif", "B2.webp", "b10.JPEG", "b.TIFF"]
    pictures = open_sources([tmp_path])
    assert below(tmp_path, pictures) == expected
    assert {picture.label for picture in pictures} == {None}


def test_equal_numbers_have_a_fixed_order(tmp_path):
    for name in ("1.png", "01.png", "001.png"):
        save(tmp_path / name)
    assert below(tmp_path, open_sources([tmp_path])) == ["001.png", "01.png", "1.png"]


def test_hidden_and_other_files_are_passed_over(tmp_path):
    save(tmp_path / ".thumb.png")
    save(tmp_path / ".cache" / "x.png")
    save(tmp_path / "x.png")
    (tmp_path / "notes.txt").write_text("no")
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    assert below(tmp_path, open_sources([tmp_path])) == ["x.png"]


def test_links_may_run_in_circles(tmp_path):
    save(tmp_path / "a" / "x.png")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "b").symlink_to(tmp_path / "a")
    (tmp_path / "self").symlink_to(tmp_path / "self")
    (tmp_path / "self.png").symlink_to(tmp_path / "self.png")
    pictures = open_sources([tmp_path])
    assert below(tmp_path, pictures) == ["a/x.png", "self.png"]
    with pytest.raises(UnreadableImageError, match=r"self\.png"):
        pictures[1].read()


def test_links_to_pictures_keep_their_own_name(tmp_path):
    save(tmp_path / "elsewhere" / "x.png", colour=9)
    (tmp_path / "album").mkdir()
    (tmp_path / "album" / "best.png").symlink_to(tmp_path / "elsewhere" / "x.png")
    (tmp_path / "album" / "gone.png").symlink_to(tmp_path / "elsewhere" / "gone.png")
    pictures = open_sources([tmp_path / "album"])
    assert below(tmp_path, pictures) == ["album/best.png", "album/gone.png"]
    assert pictures[0].read()[0, 0, 0] == 9
    with pytest.raises(UnreadableImageError, match="No such file"):
        pictures[1].read()


def test_sources_are_absolute(tmp_path, monkeypatch):
    save(tmp_path / "in" / "x.png")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    given = [Path("../in"), Path("../in/x.png")]
    assert [picture.source for picture in open_sources(given)] == [str(tmp_path / "in" / "x.png")] * 2


def test_folders_of_classes_label_their_pictures(tmp_path):
    for name in ("joy/1.png", "joy/ana/2.png", "fear/3.png"):
        save(tmp_path / name)
    (tmp_path / "empty").mkdir()
    assert [picture.label for picture in open_sources([tmp_path])] == ["fear", "joy", "joy"]


@pytest.mark.parametrize("names", [("joy/1.png", "joy/2.png"), ("joy/1.png", "fear/2.png", "3.png"), ("1.png",)])
def test_other_layouts_have_no_labels(tmp_path, names):
    for name in names:
        save(tmp_path / name)
    assert {picture.label for picture in open_sources([tmp_path])} == {None}


def test_missing_path(tmp_path):
    with pytest.raises(MissingPathError, match="phtos"):
        open_sources([tmp_path / "phtos"])


def test_a_path_that_cannot_be_looked_into(tmp_path):
    with pytest.raises(InputError, match=r"cannot look into .*File name too long"):
        open_sources([tmp_path / ("x" * 300)])


def test_nothing_found(tmp_path):
    (tmp_path / "notes.txt").write_text("no")
    with pytest.raises(NoImagesError, match=r"no image in .*looked for \.bmp, \.jpeg"):
        open_sources([tmp_path])
    with pytest.raises(NoImagesError, match="no image"):
        open_sources([])


def test_a_folder_of_parquet_files_says_how_to_name_them(tmp_path):
    write_parquet(tmp_path / "x.parquet", pa.array([png(1)]))
    with pytest.raises(NoImagesError, match="parquet files, which are read only when named"):
        open_sources([tmp_path])


def test_a_file_that_is_named_is_a_picture_whatever_it_is(tmp_path):
    (tmp_path / "notes.txt").write_text("no")
    (picture,) = open_sources([tmp_path / "notes.txt"])
    with pytest.raises(UnreadableImageError, match=r"notes\.txt"):
        picture.read()


# Parquet


@pytest.mark.parametrize("make", [structs, pa.array, lambda v: pa.array(v, pa.large_binary())])
def test_parquet_rows(tmp_path, make):
    path = write_parquet(
        tmp_path / "x.parquet",
        make([png(value) for value in range(8)]),
        label=["joy", None, *"abcdef"],
        identity=list(range(8)),
    )
    pictures = open_sources([path])
    assert len(pictures) == 8
    assert [picture.read()[0, 0, 0] for picture in pictures] == list(range(8))
    assert [picture.size() for picture in pictures] == [(4, 4)] * 8
    assert pictures[7].source == f"{path}#7"
    assert [picture.label for picture in pictures[:3]] == ["joy", None, "a"]
    assert pictures[5].identity == "5"


def test_class_numbers_get_the_hubs_names(tmp_path):
    features = {"label": {"names": ["fear", "joy"], "_type": "ClassLabel"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    labels = pa.array([1, 0, None])
    path = write_parquet(tmp_path / "x.parquet", pa.array([png(0)] * 3), label=labels, metadata=metadata)
    assert [picture.label for picture in open_sources([path])] == ["joy", "fear", None]


def test_numbers_without_names_and_nested_labels(tmp_path):
    images = pa.array([png(0)])
    plain = write_parquet(tmp_path / "a.parquet", images, label=[3])
    nested = write_parquet(tmp_path / "b.parquet", images, label=[[1, 2]])
    assert [picture.label for picture in open_sources([plain, nested])] == ["3", None]


def test_parquet_is_read_a_row_group_at_a_time(tmp_path, monkeypatch):
    path = write_parquet(tmp_path / "x.parquet", structs([png(value) for value in range(9)]))
    asked = []
    read = pq.ParquetFile.read_row_group
    monkeypatch.setattr(
        pq.ParquetFile, "read_row_group", lambda self, group, **kw: asked.append(group) or read(self, group, **kw)
    )
    pictures = open_sources([path])
    assert asked == []
    for picture in pictures:
        picture.read()
    assert asked == [0, 1, 2]
    pictures[8].read()
    pictures[4].read()  # both still in memory
    assert asked == [0, 1, 2]
    pictures[0].read()
    assert asked == [0, 1, 2, 0]


def test_parquet_from_several_threads(tmp_path):
    values = list(range(60))
    pictures = open_sources([write_parquet(tmp_path / "x.parquet", structs([png(value) for value in values]))])
    order = np.random.default_rng(0).permutation(np.repeat(values, 5))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda row: int(pictures[int(row)].read()[0, 0, 0]), order))
    assert found == order.tolist()


def test_one_thread_reads_the_parquet_file_at_a_time(tmp_path, monkeypatch):
    inside, most = [], []
    read = pq.ParquetFile.read_row_group

    def watched(self, group, **options):
        inside.append(group)
        most.append(len(inside))
        time.sleep(0.002)
        result = read(self, group, **options)
        inside.remove(group)
        return result

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", watched)
    pictures = open_sources([write_parquet(tmp_path / "x.parquet", structs([png(value) for value in range(24)]))])
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(Picture.read, pictures))
    assert max(most) == 1


def test_a_row_without_bytes(tmp_path):
    path = write_parquet(tmp_path / "x.parquet", structs([png(1), None, b""]))
    pictures = open_sources([path])
    for row, why in ((1, "holds no image bytes"), (2, "it is empty")):
        with pytest.raises(UnreadableImageError, match=rf"x\.parquet#{row}.*{why}"):
            pictures[row].read()


@pytest.mark.parametrize("keep", [0, 10, 0.5])
def test_a_damaged_parquet_file(tmp_path, keep):
    path = write_parquet(tmp_path / "x.parquet", structs([png(1)] * 20))
    data = path.read_bytes()
    path.write_bytes(data[: keep if isinstance(keep, int) else int(len(data) * keep)])
    with pytest.raises(InputError, match=r"cannot read .*x\.parquet' as parquet"):
        open_sources([path])


def test_damage_inside_a_row_group_costs_its_rows_only(tmp_path):
    noise = np.random.default_rng(0).bytes
    path = write_parquet(tmp_path / "x.parquet", pa.array([noise(5000)] * 3 + [png(5)] * 3))
    data = bytearray(path.read_bytes())
    data[4:60] = bytes(56)  # the first page's header
    path.write_bytes(data)
    pictures = open_sources([path])
    with pytest.raises(UnreadableImageError, match=r"#0.*damaged here"):
        pictures[0].read()
    assert pictures[3].read()[0, 0, 0] == 5


@pytest.mark.parametrize("column", [{"picture": [b""]}, {"image": ["x.png"]}, {"image": [{"path": "x.png"}]}])
def test_parquet_without_pictures(tmp_path, column):
    pq.write_table(pa.table(column), tmp_path / "x.parquet")
    with pytest.raises(InputError, match=f"has no column `image` with encoded pictures, only: {next(iter(column))}"):
        open_sources([tmp_path / "x.parquet"])


# The sequence


def test_several_sources_are_one_sequence(tmp_path):
    folder = tmp_path / "folder"
    for name in ("1.png", "2.png"):
        save(folder / name)
    path = write_parquet(tmp_path / "x.parquet", pa.array([png(1)] * 4))
    empty = tmp_path / "empty"
    empty.mkdir()
    pictures = open_sources([folder, empty, path, folder / "1.png"])
    names = [Path(picture.source).name for picture in pictures]
    assert names == ["1.png", "2.png", *(f"x.parquet#{row}" for row in range(4)), "1.png"]
    assert [picture.source for picture in pictures[1:6:2]] == [pictures[i].source for i in (1, 3, 5)]
    assert pictures[-1] == pictures[6]
    for index in (7, -8):
        with pytest.raises(IndexError):
            pictures[index]


# looks_aligned


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([(48, 48)] * 3, True),
        ([(256, 256)], True),
        ([(257, 257)], False),
        ([(48, 48), (48, 49)], False),
        ([(48, 48), (64, 64)], False),
        ([(48, 40)] * 3, False),
    ],
)
def test_looks_aligned(tmp_path, sizes, expected):
    for number, size in enumerate(sizes):
        save(tmp_path / f"{number}.png", size)
    assert looks_aligned(open_sources([tmp_path])) is expected


def test_looks_aligned_passes_over_what_cannot_be_read(tmp_path):
    (tmp_path / "0.png").write_bytes(b"")
    assert looks_aligned(open_sources([tmp_path])) is False
    save(tmp_path / "1.png", (64, 64))
    assert looks_aligned(open_sources([tmp_path])) is True


def test_looks_aligned_asks_64_pictures_at_most():
    asked = []

    def fetch(row):
        asked.append(row)
        return png(0)

    pictures = [Picture(f"x#{row}", fetch=lambda row=row: fetch(row)) for row in range(200)]
    assert looks_aligned(pictures)
    assert asked == list(range(64))


# Real data


@pytest.mark.parametrize(
    ("folder", "count", "labels", "aligned"),
    [("lfw-expressions", 6045, 8, True), ("studio-smiles", 82, 2, False), ("ferplus/valid.parquet", 3284, 8, True)],
)
def test_real_sources(data_dir, folder, count, labels, aligned):
    pictures = open_sources([data_dir / folder])
    assert len(pictures) == count
    assert len({picture.label for picture in pictures} - {None}) == labels
    assert looks_aligned(pictures) is aligned
    assert pictures[count // 2].read().dtype == np.uint8
