"""A tiny tree of each known layout, written as its authors hand it out."""

import numpy as np
import pytest
from PIL import Image


def save_picture(path, gray=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (4, 4), gray).save(path)


def save_pictures(folder, *names):
    for name in names:
        save_picture(folder / name)


def write(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")


def raf_db(root):
    write(root / "EmoLabel/list_patition_label.txt", "train_00001.jpg 5", "test_0001.jpg 1", "train_00002.jpg 7")
    for name in ("train_00001", "test_0001", "train_00002"):
        save_pictures(root / "Image", f"aligned/{name}_aligned.jpg", f"original/{name}.jpg")


AFFECTNET_HEADER = (
    "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal"
)


def affectnet(root):
    write(
        root / "training.csv",
        AFFECTNET_HEADER,
        "689/a.jpg,134,134,899,899,181.6;530.9;188.3;627.2,1,0.785714,-0.0555556",
        "392/b.jpg,20,30,40,50,28.8;77.5,8,-2,-2",
    )
    write(root / "validation.csv", "10/c.jpg,1,2,3,4,5.0;6.0,10,-2,-2", "11/d.jpg,1,2,3,4,5.0;6.0,7,-1,1")
    save_pictures(root / "Manually_Annotated_Images", "689/a.jpg", "392/b.jpg", "10/c.jpg", "11/d.jpg")


def affectnet_npy(root):
    values = {"train_set/2": ("6", "-0.5", "0.25"), "train_set/10": (8, -2.0, -2.0), "val_set/0": ("0", "0.0", "0")}
    for place, annotation in values.items():
        folder, name = place.split("/")
        save_picture(root / folder / "images" / f"{name}.jpg")
        (root / folder / "annotations").mkdir(exist_ok=True)
        for kind, value in zip(("exp", "val", "aro"), annotation, strict=True):
            np.save(root / folder / "annotations" / f"{name}_{kind}.npy", np.array(value))


def pixels(gray):
    return " ".join([str(gray)] * 2304)


def fer2013(root):
    write(
        root / "fer2013.csv",
        "emotion,pixels,Usage",
        f"0,{pixels(70)},Training",
        f"3,{pixels(71)},PrivateTest",
        f"6,{pixels(72)},PublicTest",
        f"1,{pixels(73)},Training",
    )


def ferplus(root):
    fer2013(root)
    write(
        root / "fer2013new.csv",
        "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF",
        "Training,fer0000000.png,4,0,0,1,3,2,0,0,0,0",
        "PrivateTest,fer0000001.png,0,0,0,0,0,0,0,5,5,0",
        "PublicTest,fer0000002.png,0,1,0,0,0,0,6,3,0,0",
        "Training,,0,0,0,0,0,0,0,0,0,10",
    )


def ck_plus(root):
    peak = [f"S005/001/S005_001_{number:08}.png" for number in range(1, 7)]
    save_pictures(root / "cohn-kanade-images", *peak, "S010/002/S010_002_00000001.png")
    (root / "cohn-kanade-images/.DS_Store").write_text("")
    write(root / "Emotion/S005/001/S005_001_00000006_emotion.txt", "   3.0000000e+00")
    (root / "Emotion/S010/002").mkdir(parents=True)


def sfew(root):
    train = ("Train/Angry/Airheads_000519240_00000005.png", "Train/Happy/Bridesmaids_000000000_00000001.png")
    save_pictures(root, *train, "Val/Sad/Aliens_000000000_00000001.png", "Test/test_1.png")


def expw(root):
    write(
        root / "label/label.lst",
        "afraid_african_214.jpg 0 28 113 226 141 22.9362 2 ",
        "afraid_african_214.jpg 1 1 2 3 4 50.0 6 ",
        "crowd_1.jpg 0 10 20 30 40 9.5 0 ",
    )
    save_pictures(root / "image/origin", "afraid_african_214.jpg", "crowd_1.jpg")


def kdef(root):
    names = ("AF01/AF01AFS.JPG", "AF01/AF01NEFL.JPG", "BF01/BF01HAHR.JPG", "BM31/BM31S.JPG")
    save_pictures(root / "KDEF_and_AKDEF/KDEF", *names)


def voxceleb1(root):
    write(
        root / "vox1_meta.csv",
        "VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet",
        "id10001\tA.J._Buckley\tm\tIreland\tdev",
    )
    faces = root / "unzippedIntervalFaces/data"
    save_pictures(faces / "A.J._Buckley/1.6/1zcIwhmdeo4", "2/01.jpg", "10/01.jpg", "2/03.jpg")
    save_pictures(faces / "Zoe_Q/1.6/5ablueV_1tw", "0000375.jpg", "0000425.jpg")


def voxceleb2(root):
    write(root / "vox2_meta.csv", "VoxCeleb2 ID ,VGGFace2 ID ,Gender ,Set ", "id00012 ,n000012 ,m ,dev ")
    save_pictures(root, "dev/id00012/21Uxsk56VDQ/00001/0001.jpg", "test/id00017/01dfn2spqyE/00001/0001.jpg")


def lfw(root):
    names = ("Aaron_Eckhart/Aaron_Eckhart_0001.jpg", "Zoe_Ball/Zoe_Ball_0002.jpg", "Zoe_Ball/Zoe_Ball_0010.jpg")
    save_pictures(root / "lfw-deepfunneled", *names)


def aff_wild2(root):
    expressions = "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other"
    challenge = root / "annotations/EXPR_Classification_Challenge"
    write(challenge / "Train_Set/1-30-1280x720.txt", expressions, "4", "-1", "7")
    write(
        root / "annotations/VA_Estimation_Challenge/Validation_Set/video2_left.txt",
        "valence,arousal",
        "0.5,-0.25",
        "-5,-5",
    )
    frames = [f"1-30-1280x720/{number:05}.jpg" for number in (1, 2, 3, 4)]
    others = ("video2_left/00001.jpg", "video2_left/00002.jpg", "unannotated/00009.jpg")
    save_pictures(root / "cropped_aligned", *frames, *others)


TREES = {
    "aff-wild2": aff_wild2,
    "affectnet": affectnet,
    "affectnet-npy": affectnet_npy,
    "ck+": ck_plus,
    "expw": expw,
    "fer2013": fer2013,
    "ferplus": ferplus,
    "kdef": kdef,
    "lfw": lfw,
    "raf-db": raf_db,
    "sfew": sfew,
    "voxceleb1": voxceleb1,
    "voxceleb2": voxceleb2,
}


@pytest.fixture
def tree(tmp_path):
    """Returns a function that writes the tree of a layout and gives its root."""

    def make(name):
        root = tmp_path / "data"
        root.mkdir()
        TREES[name](root)
        return root

    return make


@pytest.fixture
def save():
    """Returns the function that writes a picture of 4 x 4 pixels, with the folders above it."""
    return save_picture
