import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ferkit.data.sources import Picture, SourceRules, open_sources
from ferkit.errors import InputError, UnreadableImageError
from samples import png, write_parquet

STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def structs(values):
    return pa.array([{"bytes": value, "path": None} for value in values], STRUCT)


@pytest.mark.parametrize("make", [structs, pa.array, lambda v: pa.array(v, pa.large_binary())])
def test_parquet_rows(tmp_path, make):
    path = write_parquet(
        tmp_path / "x.parquet",
        make([png(value) for value in range(8)]),
        label=["joy", None, *"abcdef"],
        identity=list(range(8)),
    )
    pictures = open_sources([path]).pictures
    assert len(pictures) == 8
    assert [picture.read()[0, 0, 0] for picture in pictures] == list(range(8))
    assert [picture.size() for picture in pictures] == [(4, 4)] * 8
    assert pictures[7].source == f"{path}#7"
    assert [picture.label for picture in pictures[:3]] == ["joy", None, "a"]
    assert pictures[5].identity == "5"


def test_class_numbers_get_the_hubs_names_or_stay_and_nested_labels_are_none(tmp_path):
    features = {"label": {"names": ["fear", "joy"], "_type": "ClassLabel"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    named = write_parquet(
        tmp_path / "x.parquet", pa.array([png(0)] * 3), label=pa.array([1, 0, None]), metadata=metadata
    )
    plain = write_parquet(tmp_path / "a.parquet", pa.array([png(0)]), label=[3])
    nested = write_parquet(tmp_path / "b.parquet", pa.array([png(0)]), label=[[1, 2]])
    labels = [picture.label for picture in open_sources([named, plain, nested]).pictures]
    assert labels == ["joy", "fear", None, "3", None]


def test_a_row_without_bytes(tmp_path):
    path = write_parquet(tmp_path / "x.parquet", structs([png(1), None, b""]))
    pictures = open_sources([path]).pictures
    for row, why in ((1, "holds no image bytes"), (2, "it is empty")):
        with pytest.raises(UnreadableImageError, match=rf"x\.parquet#{row}.*{why}"):
            pictures[row].read()


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:10],
        lambda data: data[: len(data) // 2],
        lambda data: data.replace(b"label", b"\xffabel"),  # a column whose name is no text
    ],
)
def test_a_damaged_parquet_file(tmp_path, damage):
    path = write_parquet(tmp_path / "x.parquet", structs([png(1)] * 20), label=["joy"] * 20)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=r"x\.parquet"):
        open_sources([path])


def test_damage_inside_a_row_group_costs_its_rows_only(tmp_path):
    noise = np.random.default_rng(0).bytes
    path = write_parquet(tmp_path / "x.parquet", pa.array([noise(5000)] * 3 + [png(5)] * 3))
    data = bytearray(path.read_bytes())
    data[4:60] = bytes(56)  # the first page's header
    path.write_bytes(data)
    pictures = open_sources([path]).pictures
    with pytest.raises(UnreadableImageError, match=r"#0.*damaged here"):
        pictures[0].read()
    assert pictures[3].read()[0, 0, 0] == 5


@pytest.mark.parametrize("column", [{"picture": [b""]}, {"image": [3]}, {"image": [{"shape": 3}]}, {"image": [[1, 2]]}])
def test_parquet_without_pictures(tmp_path, column):
    pq.write_table(pa.table(column), tmp_path / "x.parquet")
    with pytest.raises(InputError, match=f"`image`.* {next(iter(column))}"):
        open_sources([tmp_path / "x.parquet"])


@pytest.mark.parametrize("in_struct", [True, False])
def test_paths_in_place_of_bytes_start_from_the_files_folder(tmp_path, in_struct):
    names = ["joy/1 ü.png", "joy/gone.png", None, "../secret.png", str(tmp_path / "secret.png")]
    (tmp_path / "set" / "joy").mkdir(parents=True)
    for place in ("set/joy/1 ü.png", "secret.png"):
        (tmp_path / place).write_bytes(png(7))
    images = [{"path": name} for name in names] if in_struct else names
    path = write_parquet(tmp_path / "set" / "x.parquet", images, label=list("abcde"))
    pictures = open_sources([path]).pictures
    assert pictures[0] == Picture(str(tmp_path / "set" / "joy" / "1 ü.png"), "a")
    assert pictures[0].read()[0, 0, 0] == 7
    reasons = ["No such file", "names no picture", "leads out of", "leads out of"]
    for picture, why in zip(pictures[1:], reasons, strict=True):
        with pytest.raises(UnreadableImageError, match=why):
            picture.read()


def test_other_columns(tmp_path):
    path = write_parquet(
        tmp_path / "x.parquet",
        pa.array([png(0)] * 3),
        clip=["a", None, "b"],
        time_s=[0.5, None, float("nan")],
        valence=[0.25, -2.0, 1.0],
        arousal=pa.array([-1.0, 0.0, None], pa.float32()),
        box=[[1.0, 2.0, 3.0, 4.0], None, [3.0, 0.0, 1.0, 1.0]],
        extra=[[1], [2], [3]],
    )
    first, second, third = open_sources([path]).pictures
    assert (first.clip, first.time_s, first.valence, first.arousal, first.box) == ("a", 0.5, 0.25, -1, (1, 2, 3, 4))
    assert (second.clip, second.time_s, second.valence, second.arousal, second.box) == (None, None, None, 0, None)
    with pytest.raises(UnreadableImageError, match=r"x\.parquet#2.*its box \[3\.0, .*x0 < x1"):
        third.read()


@pytest.mark.parametrize(
    ("name", "labels", "expected"),
    [
        ("labels", pa.array(["joy", "fear"]), ["joy", "fear"]),
        ("emotions", pa.array(["joy", "fear"], pa.string_view()), ["joy", "fear"]),
        ("target", pa.array(["joy", "fear"]).dictionary_encode(), ["joy", "fear"]),
        ("label", pa.array([0.0, None]), ["0", None]),
    ],
)
def test_labels_go_by_several_names_and_types(tmp_path, name, labels, expected):
    path = write_parquet(tmp_path / "x.parquet", pa.array([png(1), png(2)], pa.binary_view()), **{name: labels})
    found = open_sources([path])
    assert [picture.label for picture in found.pictures] == expected
    assert found.pictures[1].read()[0, 0, 0] == 2
    assert found.labels_from == f"column {name!r}"


def test_a_label_within_a_struct_is_reached_by_its_path(tmp_path):
    annotation = pa.array([{"emotion": "joy", "age": 3}])
    path = write_parquet(tmp_path / "x.parquet", pa.array([png(1)]), annotation=annotation)
    rules = SourceRules(columns={"label": "annotation.emotion"})
    assert open_sources([path], rules).pictures[0].label == "joy"


def test_a_folder_of_the_hub_is_read_as_its_files(tmp_path):
    (tmp_path / "data").mkdir()
    for part in range(2):
        write_parquet(tmp_path / "data" / f"train-0000{part}-of-00002.parquet", pa.array([png(part)]), label=["joy"])
    pictures = open_sources([tmp_path]).pictures
    assert [int(picture.read()[0, 0, 0]) for picture in pictures] == [0, 1]
    assert {picture.label for picture in pictures} == {"joy"}
