"""What each layout gives of a tiny tree of its shape; all expectations are derived by hand from the tree."""

import io

import numpy as np
import pytest
from PIL import Image

from ferkit.data.sources import open_sources
from ferkit.data.sources.layouts import LAYOUTS, open_layout

_FACTS = ("label", "identity", "clip", "time_s", "box", "valence", "arousal")

EXPECTED = {
    "aff-wild2": [
        ("cropped_aligned/1-30-1280x720/00001.jpg", {"label": "happiness", "clip": "cropped_aligned/1-30-1280x720"}),
        ("cropped_aligned/1-30-1280x720/00002.jpg", {"clip": "cropped_aligned/1-30-1280x720"}),
        ("cropped_aligned/1-30-1280x720/00003.jpg", {"label": "other", "clip": "cropped_aligned/1-30-1280x720"}),
        ("cropped_aligned/1-30-1280x720/00004.jpg", {"clip": "cropped_aligned/1-30-1280x720"}),
        ("cropped_aligned/unannotated/00009.jpg", {"clip": "cropped_aligned/unannotated"}),
        (
            "cropped_aligned/video2_left/00001.jpg",
            {"clip": "cropped_aligned/video2_left", "valence": 0.5, "arousal": -0.25},
        ),
        ("cropped_aligned/video2_left/00002.jpg", {"clip": "cropped_aligned/video2_left"}),
    ],
    "affectnet": [
        (
            "Manually_Annotated_Images/689/a.jpg",
            {"label": "happiness", "box": (134, 134, 1033, 1033), "valence": 0.785714, "arousal": -0.0555556},
        ),
        ("Manually_Annotated_Images/392/b.jpg", {"box": (20, 30, 60, 80)}),
        ("Manually_Annotated_Images/10/c.jpg", {"box": (1, 2, 4, 6)}),
        (
            "Manually_Annotated_Images/11/d.jpg",
            {"label": "contempt", "box": (1, 2, 4, 6), "valence": -1.0, "arousal": 1.0},
        ),
    ],
    "affectnet-npy": [
        ("train_set/images/2.jpg", {"label": "anger", "valence": -0.5, "arousal": 0.25}),
        ("train_set/images/10.jpg", {}),
        ("val_set/images/0.jpg", {"label": "neutral", "valence": 0.0, "arousal": 0.0}),
    ],
    "ck+": [
        (
            f"cohn-kanade-images/S005/001/S005_001_{number:08}.png",
            {"label": label, "identity": "S005", "clip": "cohn-kanade-images/S005/001", "time_s": (number - 1) / 30},
        )
        for number, label in enumerate(["neutral", None, None, "disgust", "disgust", "disgust"], 1)
    ]
    + [
        (
            "cohn-kanade-images/S010/002/S010_002_00000001.png",
            {"identity": "S010", "clip": "cohn-kanade-images/S010/002", "time_s": 0.0},
        )
    ],
    "expw": [
        ("image/origin/afraid_african_214.jpg", {"label": "fear", "box": (113, 28, 226, 141)}),
        ("image/origin/afraid_african_214.jpg", {"label": "neutral", "box": (2, 1, 3, 4)}),
        ("image/origin/crowd_1.jpg", {"label": "anger", "box": (20, 10, 30, 40)}),
    ],
    "fer2013": [
        ("fer2013.csv#0", {"label": "anger"}),
        ("fer2013.csv#3", {"label": "disgust"}),
        ("fer2013.csv#2", {"label": "neutral"}),
        ("fer2013.csv#1", {"label": "happiness"}),
    ],
    "ferplus": [
        ("fer2013.csv#0", {"label": "neutral"}),
        ("fer2013.csv#2", {"label": "fear"}),
        ("fer2013.csv#1", {}),
    ],
    "kdef": [
        ("KDEF_and_AKDEF/KDEF/AF01/AF01AFS.JPG", {"label": "fear", "identity": "F01"}),
        ("KDEF_and_AKDEF/KDEF/AF01/AF01NEFL.JPG", {"label": "neutral", "identity": "F01"}),
        ("KDEF_and_AKDEF/KDEF/BF01/BF01HAHR.JPG", {"label": "happiness", "identity": "F01"}),
        ("KDEF_and_AKDEF/KDEF/BM31/BM31S.JPG", {"identity": "M31"}),
    ],
    "lfw": [
        ("lfw-deepfunneled/Aaron_Eckhart/Aaron_Eckhart_0001.jpg", {"identity": "Aaron_Eckhart"}),
        ("lfw-deepfunneled/Zoe_Ball/Zoe_Ball_0002.jpg", {"identity": "Zoe_Ball"}),
        ("lfw-deepfunneled/Zoe_Ball/Zoe_Ball_0010.jpg", {"identity": "Zoe_Ball"}),
    ],
    "raf-db": [
        ("Image/aligned/train_00001_aligned.jpg", {"label": "sadness"}),
        ("Image/aligned/train_00002_aligned.jpg", {"label": "neutral"}),
        ("Image/aligned/test_0001_aligned.jpg", {"label": "surprise"}),
    ],
    "sfew": [
        ("Train/Angry/Airheads_000519240_00000005.png", {"label": "anger"}),
        ("Train/Happy/Bridesmaids_000000000_00000001.png", {"label": "happiness"}),
        ("Val/Sad/Aliens_000000000_00000001.png", {"label": "sadness"}),
        ("Test/test_1.png", {}),
    ],
    "voxceleb1": [
        (
            f"unzippedIntervalFaces/data/{clip}/{name}.jpg",
            {"identity": identity, "clip": f"unzippedIntervalFaces/data/{clip}", "time_s": time_s},
        )
        for clip, name, identity, time_s in [
            ("A.J._Buckley/1.6/1zcIwhmdeo4/2", "01", "id10001", 0.0),
            ("A.J._Buckley/1.6/1zcIwhmdeo4/2", "03", "id10001", 0.48),
            ("A.J._Buckley/1.6/1zcIwhmdeo4/10", "01", "id10001", 0.0),
            ("Zoe_Q/1.6/5ablueV_1tw", "0000375", "Zoe_Q", 0.0),
            ("Zoe_Q/1.6/5ablueV_1tw", "0000425", "Zoe_Q", 2.0),
        ]
    ],
    "voxceleb2": [
        (
            f"{split}/{identity}/{video}/00001/0001.jpg",
            {"identity": identity, "clip": f"{split}/{identity}/{video}/00001"},
        )
        for split, identity, video in [("dev", "id00012", "21Uxsk56VDQ"), ("test", "id00017", "01dfn2spqyE")]
    ],
}

SPLITS = {
    ("affectnet", "train"): 2,
    ("affectnet", "val"): 2,
    ("affectnet-npy", "train"): 2,
    ("affectnet-npy", "val"): 1,
    ("fer2013", "train"): 2,
    ("fer2013", "val"): 1,
    ("fer2013", "test"): 1,
    ("ferplus", "train"): 1,
    ("ferplus", "val"): 1,
    ("ferplus", "test"): 1,
    ("raf-db", "train"): 2,
    ("raf-db", "test"): 1,
    ("sfew", "train"): 2,
    ("sfew", "val"): 1,
    ("sfew", "test"): 1,
}


@pytest.fixture(params=LAYOUTS)
def name(request):
    return request.param


def absolute(root, place, facts):
    facts = {fact: facts.get(fact) for fact in _FACTS}
    return str(root / place), rounded({**facts, "clip": facts["clip"] and str(root / facts["clip"])})


def told(picture):
    return picture.source, rounded({fact: getattr(picture, fact) for fact in _FACTS})


def rounded(facts):
    return {fact: round(value, 9) if isinstance(value, float) else value for fact, value in facts.items()}


def test_every_layout_gives_what_its_tree_says(name, tree):
    root = tree(name)
    expected = [absolute(root, place, facts) for place, facts in EXPECTED[name]]
    assert [told(picture) for picture in open_layout(name, root)] == expected


@pytest.mark.parametrize("name", [name for name, layout in LAYOUTS.items() if layout.path and name != "ferplus"])
def test_a_copy_is_known_by_its_paths_at_any_depth(name, tree, tmp_path):
    root = tree(name)
    (tmp_path / "kaggle" / "archive").mkdir(parents=True)
    root = root.rename(tmp_path / "kaggle" / "archive" / "input")
    found = open_sources([tmp_path / "kaggle"])
    assert [told(picture) for picture in found.pictures] == [told(picture) for picture in open_layout(name, root)]
    assert found.labels_from.split(",")[0] == f"layout {name}"


@pytest.mark.parametrize(("name", "split"), SPLITS)
def test_a_split_is_its_part_of_the_whole(name, split, tree):
    root = tree(name)
    splits = LAYOUTS[name].splits
    before = sum(SPLITS[name, earlier] for earlier in splits[: splits.index(split)])
    expected = open_layout(name, root)[before : before + SPLITS[name, split]]
    assert [told(picture) for picture in open_layout(f"{name}:{split}", root)] == list(map(told, expected))


# Other shapes of the same data sets


def test_raf_db_from_the_folder_above_with_original_photos(tree, tmp_path):
    (tree("raf-db") / "Image/aligned").rename(tmp_path / "gone")
    (tmp_path / "data").rename(tmp_path / "basic")
    first = open_layout("raf-db", tmp_path)[0]
    assert first.source == str(tmp_path / "basic/Image/original/train_00001.jpg")


def test_affectnet_with_the_tables_and_images_where_the_archives_put_them(tree):
    root = tree("affectnet")
    (root / "Manually_Annotated_file_lists").mkdir()
    (root / "training.csv").rename(root / "Manually_Annotated_file_lists/training.csv")
    (root / "validation.csv").unlink()
    (root / "Manually_Annotated_Images").rename(root / "x")
    (root / "Manually_Annotated").mkdir()
    (root / "x").rename(root / "Manually_Annotated/Manually_Annotated_Images")
    sources = [picture.source for picture in open_layout("affectnet", root)]
    assert sources == [
        str(root / "Manually_Annotated/Manually_Annotated_Images" / name) for name in ("689/a.jpg", "392/b.jpg")
    ]


def test_affectnet_rows_without_a_box(tree):
    root = tree("affectnet")
    (root / "validation.csv").write_text("10/c.jpg,NULL,NULL,NULL,NULL,NULL,0,0.5,0.5\n")
    (picture,) = open_layout("affectnet:val", root)
    assert (picture.box, picture.label, picture.valence) == (None, "neutral", 0.5)


def test_fer2013_pixels_run_along_the_rows_of_the_picture(tmp_path):
    values = np.arange(2304) % 251
    (tmp_path / "fer2013.csv").write_text(f"emotion,pixels,Usage\n5,{' '.join(map(str, values))},Training\n")
    (picture,) = open_layout("fer2013:train", tmp_path)
    assert (picture.read()[..., 0] == values.reshape(48, 48)).all()
    assert Image.open(io.BytesIO(picture.fetch())).format == "PNG"


def test_fer2013_as_kaggle_names_it(tmp_path):
    rows = f"emotion, Usage, pixels\n2,Training,{' '.join(['9'] * 2304)}\n"
    (tmp_path / "icml_face_data.csv").write_text(rows)
    (picture,) = open_layout("fer2013", tmp_path)
    assert (picture.source, picture.label) == (str(tmp_path / "icml_face_data.csv#0"), "fear")
    assert picture.read()[0, 0, 0] == 9


@pytest.mark.parametrize("box", ["", '"(0, 0, 48, 48)",'])
def test_ferplus_as_folders_of_pictures(tmp_path, save, box):
    folder = tmp_path / "FER2013Valid"
    folder.mkdir()
    (folder / "label.csv").write_text(
        f"fer0028638.png,{box}0,0,0,3,2,0,0,0,0,0\nfer0028639.png,{box}0,0,0,0,0,0,0,0,4,1\n"
    )
    save(folder / "fer0028638.png")
    first, second = open_layout("ferplus:val", tmp_path)
    assert (first.source, first.label) == (str(folder / "fer0028638.png"), "sadness")
    assert second.label is None


def test_aff_wild2_as_archives_nest_it(tree):
    root = tree("aff-wild2")
    (root / "annotations").rename(root / "Third")
    (root / "3rd ABAW Annotations").mkdir()
    (root / "Third").rename(root / "3rd ABAW Annotations/Third")
    assert open_layout("aff-wild2", root)[0].label == "happiness"
