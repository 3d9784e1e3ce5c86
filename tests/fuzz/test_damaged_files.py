"""Files of every kind, damaged at random: what comes of them is right, or one sentence; never a crash, never a mixture.

A seed decides all. The suite takes some mutations of each file; ``make fuzz`` goes on for as long as it is let, with
``FERKIT_FUZZ`` mutations of each.
"""

import csv
import hashlib
import io
import json
import os
import random
import shutil
import tarfile
import zipfile
from contextlib import suppress
from functools import partial

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from PIL import Image

from ferkit.data.embedding_set import EmbeddingSet, EncoderStamp
from ferkit.data.embedding_writer import EmbeddingSetWriter
from ferkit.data.face_set import FaceSet, FaceSetWriter
from ferkit.data.sources import SourceRules, open_sources
from ferkit.encoders.encoder import load_encoder, random_encoder, save_encoder
from ferkit.encoders.hub_repo import config_of, pull_encoder
from ferkit.encoders.registry import EncoderCard, EncoderEntry, WeightsFile, load_registry
from ferkit.errors import FerkitError
from ferkit.pretraining.recipe import RecipeFile, resolve_recipe
from ferkit.training import checkpoint
from ferkit.training.metrics import MetricsFile
from samples import face, write_parquet, write_set, write_video

MUTATIONS = int(os.environ.get("FERKIT_FUZZ", "4"))
STAMP = EncoderStamp("e", "0" * 64, 4, "ferkit-128", 112)
RANDOM = np.random.default_rng(0)
CROPS = RANDOM.integers(0, 256, (9, 8, 8, 3), dtype=np.uint8)
KNOWN = {"label": "happy", "box": (0, 1, 2, 3), "score": 0.5}
FACES = [face(f"/p/{row}.jpg", crop=crop, identity=f"i{row}", **KNOWN) for row, crop in enumerate(CROPS)]
VECTORS = RANDOM.normal(size=(9, 4)).astype(np.float32)

HOSTILE = [
    b"",
    b"\0" * 64,
    b"[" * 50_000,
    b'{"a": ' * 20_000,
    b"1e309",
    b"-" + b"9" * 5000,
    b"Infinity",
    b"\xff\xfe\x00",
    b"2024-13-45",
    b"'" * 3000,
    b"\n\n\r\r",
    b"null",
    b"[]",
    b"{}",
    b"!!python/object/apply:os.system [id]",
    b"&a [*a]",
]


def mutated(data, random):
    """Bytes with one or a few changes of any of the kinds that disks, transfers and people make."""
    data = bytearray(data)
    place = random.randrange(len(data) + 1)
    kind = random.randrange(8)
    if kind == 0:
        return bytes(data[:place])
    if kind == 1:
        return random.choice(HOSTILE)
    if kind == 2:
        data[place:place] = random.choice(HOSTILE)
    elif kind == 3:
        del data[place : place + random.randrange(1, 40)]
    elif kind == 4:
        end = random.randrange(len(data) + 1)
        data[place:place] = data[min(place, end) : max(place, end)][:4096]
    elif kind == 5:
        digits = [at for at, byte in enumerate(data) if 48 <= byte <= 57]
        if digits:
            data[random.choice(digits)] = random.choice(b"0123456789-.e")
    else:
        for _ in range(random.choice([1, 1, 2, 20])):
            if data:
                data[random.randrange(len(data))] ^= 1 << random.randrange(8)
    return bytes(data)


# Each kind: make the files in a folder; use them, and return what must not silently differ, or None.


def make_set(folder):
    write_set(folder / "emb.npy", VECTORS, FACES, STAMP)


def use_set(folder):
    opened = EmbeddingSet.open(folder / "emb.npy")
    opened.verify()
    return opened.vectors.tobytes(), *(opened.table.column(name).to_pylist() for name in ("source", "sha256"))


def write_faces(folder, stop=9):
    with FaceSetWriter(folder / "faces", "ferkit-128", 8, fingerprint="job", shard=4) as writer:
        for row in range(writer.pictures_done, stop):
            writer.append(CROPS[row : row + 1], FACES[row : row + 1], pictures_done=row + 1)
        if stop < 9:
            raise KeyboardInterrupt


def use_faces(folder):
    opened = FaceSet.open(folder / "faces")
    return opened.crops(range(len(opened))).tobytes(), opened.column("sha256").to_pylist()


def make_half_faces(folder):
    with suppress(KeyboardInterrupt):
        write_faces(folder, stop=6)


def finish_faces(folder):
    write_faces(folder)
    return use_faces(folder)


def write_vectors(folder, stop=9):
    with EmbeddingSetWriter(folder / "emb.npy", STAMP, {"job": 1}) as writer:
        for row in range(writer.pictures_done, stop):
            writer.append(VECTORS[row : row + 1], FACES[row : row + 1], pictures_done=row + 1)
        if stop < 9:
            raise KeyboardInterrupt


def make_half_vectors(folder):
    with suppress(KeyboardInterrupt):
        write_vectors(folder, stop=6)


def finish_vectors(folder):
    write_vectors(folder)
    return use_set(folder)


def make_recipe(folder):
    recipe = resolve_recipe("contrawarping", {}, {}, faces=10, faces_sha256="0")
    (folder / "recipe.yaml").write_text(recipe.to_yaml() + "options:\n  min_face: 40\n  columns: {image: path}\n")


def use_recipe(folder):
    file = RecipeFile.read(folder / "recipe.yaml")
    resolve_recipe(file.choice("method", None) or "contrawarping", {}, {}, file, faces=1, faces_sha256="")


def make_encoder(folder):
    encoder = random_encoder("resnet10t", 32)
    card = EncoderCard(name="x", arch="resnet10t", dim=512, input_size=32, supervision="none")
    save_encoder(folder, encoder.backbone.state_dict(), card)


def use_encoder(folder):
    load_encoder(folder, "cpu")


def make_zoo(folder):
    make_encoder(folder)
    text = (folder / "encoder.yaml").read_text()
    (folder / "encoder.safetensors").unlink()
    (folder / "encoder.yaml").unlink()
    lines = [("- " if number == 0 else "  ") + line for number, line in enumerate(text.splitlines())]
    (folder / "models.yaml").write_text("encoders:\n" + "\n".join(lines) + "\n")


def use_zoo(folder):
    load_registry(own=[folder / "models.yaml"])


def _learner():
    torch.manual_seed(0)
    network = torch.nn.Linear(3, 3)
    optimizer = torch.optim.Adam(network.parameters(), 0.1)
    network(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    return checkpoint.Learner(network, optimizer, step=3)


def make_checkpoint(folder):
    checkpoint.save_best(folder, _learner(), 0.5, "faces")
    metrics = MetricsFile(folder / "metrics.csv", 0)
    for step in range(5):
        metrics.append({"step": step, "loss": f"{1 / (step + 1):.3f}"})


def use_checkpoint(folder):
    learner = _learner()
    checkpoint.load_checkpoint(folder / "best", learner)
    checkpoint.best_value(folder, "faces")
    MetricsFile(folder / "metrics.csv", 3)
    return [tensor.tolist() for tensor in learner.method.state_dict().values()]


def _picture(format="JPEG"):
    file = io.BytesIO()
    Image.fromarray(RANDOM.integers(0, 256, (40, 30, 3), dtype=np.uint8)).save(file, format)
    return file.getvalue()


def make_table(folder):
    (folder / "0.jpg").write_bytes(_picture())
    with (folder / "rows.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [["image", "label", "box"], ["0.jpg", "happy", "1,2,20,30"], ["0.jpg", "sad", "[1, 2, 3, 9]"]]
        )


def make_zip(folder):
    with zipfile.ZipFile(folder / "x.zip", "w") as archive:
        for name in ("happy/0.jpg", "sad/1.png", "sad/2.webp"):
            archive.writestr(name, _picture({"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}[name.rpartition(".")[2]]))


def make_tar(folder):
    with tarfile.open(folder / "x.tar", "w") as archive:
        for name, data in (("0.jpg", _picture()), ("0.json", json.dumps({"label": "happy"}).encode()), ("0.cls", b"3")):
            header = tarfile.TarInfo(name)
            header.size = len(data)
            archive.addfile(header, io.BytesIO(data))


def make_parquet(folder):
    info = json.dumps({"info": {"features": {"label": {"names": ["happy", "sad"]}}}})
    images = [{"bytes": _picture(), "path": "0.jpg"}] * 3
    write_parquet(folder / "x.parquet", images, label=[0, 1, 0], metadata={"huggingface": info})


def make_pictures(folder):
    for name, format in (("0.jpg", "JPEG"), ("1.png", "PNG"), ("2.webp", "WEBP"), ("3.tif", "TIFF"), ("4.bmp", "BMP")):
        (folder / name).write_bytes(_picture(format))


def make_video(folder):
    write_video(folder / "x.avi", RANDOM.integers(0, 256, (6, 32, 48, 3), dtype=np.uint8), 10)


def use_video(folder):
    """Frames of a damaged file may differ, as its codec makes of them what it can; there are no more than it states."""
    [video] = open_sources([folder / "x.avi"], SourceRules()).videos
    for count, frame in enumerate(video.frames()):
        assert frame.image.size <= 8192 * 4352 * 3
        if count == 20:
            break


def use_source(folder):
    path = folder if len(list(folder.iterdir())) > 2 else max(folder.iterdir())
    opened = open_sources([path], SourceRules())
    for index in range(min(len(opened.pictures), 20)):
        with suppress(FerkitError):  # one bad picture ends no job
            opened.pictures[index].read()


KINDS = {
    "embedding set": (make_set, use_set),
    "face set": (write_faces, use_faces),
    "unfinished face set": (make_half_faces, finish_faces),
    "unfinished embedding set": (make_half_vectors, finish_vectors),
    "recipe": (make_recipe, use_recipe),
    "encoder": (make_encoder, use_encoder),
    "zoo": (make_zoo, use_zoo),
    "checkpoint": (make_checkpoint, use_checkpoint),
    "csv": (make_table, use_source),
    "zip": (make_zip, use_source),
    "tar": (make_tar, use_source),
    "parquet": (make_parquet, use_source),
    "pictures": (make_pictures, use_source),
    "video": (make_video, use_video),
}


@pytest.mark.filterwarnings("default")
@pytest.mark.usefixtures("instant_disk")
@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_are_right_or_one_sentence(tmp_path, kind):
    make, use = KINDS[kind]
    (tmp_path / "good").mkdir()
    make(tmp_path / "good")
    shutil.copytree(tmp_path / "good", tmp_path / "used")
    right = use(tmp_path / "used")
    files = sorted(path.relative_to(tmp_path / "good") for path in (tmp_path / "good").rglob("*") if path.is_file())
    for file in files:
        for seed in range(MUTATIONS):
            folder = tmp_path / "bad"
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(tmp_path / "good", folder)
            data = mutated((folder / file).read_bytes(), random.Random(f"{kind} {file} {seed}"))
            (folder / file).write_bytes(data)
            require_right_or_one_sentence(partial(use, folder), right, f"{kind}: {file}, mutation {seed}")


def require_right_or_one_sentence(use, right, what):
    try:
        result = use()
    except FerkitError as error:
        sentence = str(error)
    except Exception as error:
        raise AssertionError(what) from error
    else:
        assert result == right, f"{what} was taken in silence"
        return
    assert "\n" not in sentence
    assert len(sentence) < 6100


HEADERS = ("ETag", "X-Repo-Commit", "X-Linked-Etag", "X-Linked-Size", "Location", "Content-Range", "Content-Encoding")
VALUES = (
    "",
    "x",
    '"../../../x"',
    "9" * 300,
    "-1",
    "%00%2e%2e/",
    "http://127.0.0.1:1/x",
    "file:///etc/passwd",
    "W/",
    "gzip",
)


def test_damaged_answers_of_a_hub_are_right_or_one_sentence(hub):
    """Bytes changed on their way, hostile headers, and a repository whose owner put other files into it."""
    weights = RANDOM.bytes(3000)
    fields = {"name": "x", "arch": "resnet10t", "dim": 512, "input_size": 32, "supervision": "none"}
    place = WeightsFile(kind="hub", file="model.safetensors", repo="ann/faces", revision="main")
    entry = EncoderEntry(**fields, weights=place, sha256=hashlib.sha256(weights).hexdigest(), bytes=len(weights))
    files = {"model.safetensors": weights, "config.json": json.dumps(config_of(entry)).encode()}

    def pull():
        shutil.rmtree(constants.HF_HUB_CACHE, ignore_errors=True)
        pulled = pull_encoder("ann/faces")
        return pulled.entry.sha256, pulled.path.read_bytes()

    hub.add("ann/faces", files)
    right = pull()
    for seed in range(10 * MUTATIONS):
        chosen = random.Random(f"hub {seed}")
        file, ways = chosen.choice(list(files)), ("GET", "HEAD")
        if seed % 3 == 0:
            hub.repos["ann/faces"].commit({file: mutated(files[file], chosen)})
        elif seed % 3 == 1:
            hub.faults = {f"GET {file}": [("mutate", partial(mutated, random=random.Random(seed)))] * 9}
        else:
            hostile = {chosen.choice(HEADERS): chosen.choice(VALUES)}
            hub.faults = {f"{way} {file}": [("headers", hostile)] * 9 for way in ways}
        require_right_or_one_sentence(pull, right, f"hub, mutation {seed}")
        hub.faults = {}
        hub.repos["ann/faces"].commit(files)
