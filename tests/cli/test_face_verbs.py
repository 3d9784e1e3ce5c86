"""``ferkit align``, ``embed`` and ``retrieve`` as a user types them."""

import inspect
import json
from dataclasses import MISSING, fields

import pytest
from PIL import Image

import ferkit
from ferkit.cli import align, embed, pretrain, retrieve, warp_preview
from ferkit.pipeline.engine import PartSettings
from ferkit.pipeline.face_options import FaceOptions
from ferkit.pretraining.settings import PretrainSettings
from ferkit.search.retrieve_settings import RetrieveSettings


@pytest.fixture
def photos(portraits, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("astronaut", "both"):
        (folder / f"{name}.png").write_bytes(portraits[name].read_bytes())
    (folder / "torn.png").write_bytes(portraits["hopper"].read_bytes()[:5000])
    return folder


def test_the_defaults_of_the_three_verbs_fit_together(ferkit_command, photos, portraits, run_folder, tmp_path):
    aligned = ferkit_command("align", "photos", "--min-face", 60)
    assert aligned.code == 0
    assert "faces: 3 faces of 3 pictures" in aligned.out
    assert "1 unreadable" in aligned.out
    assert "\n  photos/torn.png (" in aligned.out
    embedded = ferkit_command("embed", "-e", run_folder)
    assert "emb.npy: 3 faces of 2 pictures" in embedded.out
    found = ferkit_command("retrieve", portraits["hopper"], "--montage", "found.png", "--min-face", 60, "--all")
    assert found.code == 0
    lines = [line.split() for line in found.out.splitlines()]
    assert lines[1] == ["rank", "score", "above", "face", "picture"]
    assert [line[0] for line in lines[2:5]] == ["1", "2", "3"]
    scores = [float(line[1]) for line in lines[2:5]]
    assert scores == sorted(scores, reverse=True)
    assert {line[4] for line in lines[2:5]} == {"photos/astronaut.png", "photos/both.png"}  # as seen from here
    with Image.open(tmp_path / "found.png") as picture:
        assert picture.format == "PNG"


def test_json_is_the_only_thing_on_standard_output(ferkit_command, crops, run_folder):
    told = json.loads(ferkit_command("align", "crops", "--json").out)
    assert (told["path"], told["faces"], told["faceless"], told["unreadable"]) == ("faces", 5, [], [])
    told = json.loads(ferkit_command("embed", "faces", "-e", run_folder, "--json").out)
    assert (told["path"], told["faces"], told["encoder"]) == ("emb.npy", 5, str(run_folder))
    told = json.loads(ferkit_command("retrieve", "crops/0.png", "-k", 2, "--json").out)
    assert [hit["rank"] for hit in told["hits"]] == [1, 2]
    known = {"source", "face", "identity", "label", "time_s", "row"}
    assert set(told["hits"][0]) == {"rank", "score", "probability", "percentile", "count"} | known


def test_what_comes_next_can_be_typed_as_it_stands(ferkit_command, crops, run_folder):
    aligned = ferkit_command("align", "crops", "-o", "my [x] faces")
    assert "next: ferkit embed 'my [x] faces' -o emb.npy\n" in aligned.out
    embedded = ferkit_command("embed", "my [x] faces", "-e", run_folder, "-o", "my [x].npy")
    assert "next: ferkit retrieve QUERY.jpg --set 'my [x].npy'\n" in embedded.out


IN_PARTS = {field.name for field in fields(PartSettings)}  # of `ferkit.align_parts` and `ferkit.embed_parts`


@pytest.mark.parametrize(
    ("command", "function", "own"),
    [
        (align.align, ferkit.align, {"json", *IN_PARTS}),
        (embed.embed, ferkit.embed, {"sources", "json", *IN_PARTS}),
        (retrieve.retrieve, ferkit.retrieve, {"json"}),
        (pretrain.pretrain, ferkit.pretrain, {"sources", "json", "seeds"}),
        (warp_preview.warp_preview, ferkit.warp_preview, {"json", "out"}),
    ],
)
def test_command_and_function_take_the_same_arguments_with_the_same_defaults(command, function, own):
    """What a function takes as ``**options`` are fields of settings, all of which a command has or none."""
    shared = {
        field.name: field.default_factory() if field.default is MISSING else field.default
        for kind in (FaceOptions, PretrainSettings, RetrieveSettings)
        for field in fields(kind)
    }
    taken = dict(inspect.signature(function).parameters)
    assert taken.pop("options").kind is inspect.Parameter.VAR_KEYWORD
    for name, parameter in inspect.signature(command).parameters.items():
        if name in own:
            continue
        default = taken[name].default if name in taken else shared[name]
        assert str(parameter.default or None) == str(default or None), name
    assert set(taken) - set(inspect.signature(command).parameters) <= {"progress", "views", "warps"}
