"""Every block of commands in README and docs runs, in order, as a newcomer would paste it.

The photos, videos and data sets that a page speaks of are small ones made here, pre-training takes one epoch of a tiny
network, and probes run one protocol; all else runs as it stands. `SKIPPED` says what cannot run here, and why.
"""

import io
import re
import shlex
import shutil
import sys
import tarfile
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
import uvicorn
from PIL import Image

import ferkit
import ferkit.cli
from ferkit.data.face_set import FaceSetWriter, is_face_set
from ferkit.pretraining.recipe import parse_assignments
from ferkit.workflows import pretrain as pretrain_module
from ferkit.workflows import probe as probe_module
from samples import face, write_video

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

SKIPPED = {
    r"git clone|make ": "sets up an environment; what the targets call has tests of its own",
    r"pip install|apt-get|docker ": "fetches packages",
    r"ray start|.*--engine ray": "needs the extra ray: tests/pipeline",
    r"torchrun|accelerate launch": "several processes: tests/workflows/test_pretrain_together.py",
    r".*hf-hub:|.*models pu(ll|sh)": "the public hub: tests/encoders/test_hub_verbs.py has one of its own",
    r".*imagenet-r|.*dinov2": "the public hub",
    r".*precision int8": "takes 100 faces: tests/pipeline/test_runtimes.py",
    r".*models import|.*-e moco-r50|export FERKIT_MODELS": "checkpoints of others: tests/encoders/importing",
    r".*--method cycleface|.*runs/cycleface": "a large network: tests/workflows/test_pretrain_cycleface.py",
}
"""Commands that are left out, by how they begin, and why."""

SKIPPED_PYTHON = r"PyTorchModelHubMixin|hf-hub:"
"""In a Python block: the public hub."""


class Block(NamedTuple):
    """A fenced block: where it stands, what kind it says it is, and its lines."""

    line: int
    kind: str
    lines: list[str]


def blocks(page):
    kind, lines = None, []
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if not line.startswith("```"):
            lines.append(line)
        elif kind is None:
            kind, lines = line[3:].strip(), []
        else:
            yield Block(number - len(lines), kind, lines)
            kind = None


def commands(block):
    """The commands of a block: the lines behind a prompt, or without any prompt all of them."""
    prompted = [line[2:] for line in block.lines if line.startswith("$ ")]
    script = block.lines[0].startswith("#!")  # of a cluster's scheduler
    plain = [] if prompted or script or block.kind not in ("console", "sh", "bash", "") else block.lines
    return [line for line in prompted or plain if line.strip()]


def reason(text, table):
    return next((why for pattern, why in table.items() if re.match(pattern, text)), None)


def crop(seed):
    """A face crop, far from a face: noise, coarse enough for JPEG."""
    coarse = np.random.default_rng(seed).integers(0, 256, (32, 32, 3), np.uint8)
    return Image.fromarray(coarse).resize((128, 128))


def tree(folder, people=6, classes=("happiness", "neutral", "surprise")):
    """Crops as folder/<class>/<Person>_0001.jpg."""
    for seed in range(people * len(classes)):
        path = folder / classes[seed % len(classes)] / f"Person_{'ABCDEFGH'[seed // len(classes)]}_0001.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        crop(seed).save(path, quality=95)
    return folder


def face_set(folder):
    """Labelled faces of several people, measured as detected ones are."""
    classes, crops = ("anger", "fear", "happiness", "neutral"), [np.asarray(crop(seed)) for seed in range(48)]
    rows = [
        face(
            f"/photos/trip/{row}.jpg",
            crop=crops[row],
            identity=f"person {row // 4}",
            label=classes[row % 4],
            box=(10.0, 10.0, 130.0, 130.0),
            landmarks=(44.0, 44.0, 84.0, 44.0, 64.0, 66.0, 47.0, 90.0, 80.0, 90.0),
            **{"score": 0.99, "size": 120.0, "sharpness": 0.65},
            **{"yaw": row - 24.0, "pitch": 0.0, "roll": 0.0, "clipped": 0.2},
        )
        for row in range(len(crops))
    ]
    with FaceSetWriter(folder, "ferkit-128", 128, fingerprint=str(folder)) as writer:
        writer.append(np.stack(crops), rows, pictures_done=len(rows))


def film(path, picture, frames=16, fps=5.0):
    """A video in which a portrait moves a little."""
    write_video(path, [np.roll(picture, number, axis=1) for number in range(frames)], fps, "mp4v")


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory, portraits):
    """A folder with all that the pages speak of."""
    home = tmp_path_factory.mktemp("newcomer")
    (home / "photos").mkdir()
    for name, path in portraits.items():
        with Image.open(path) as picture:
            picture.convert("RGB").resize((picture.width // 2, picture.height // 2)).save(
                home / "photos" / f"{name}.jpg"
            )
    for name in ("query", "smile", "laugh", "face", "a"):
        shutil.copy(home / "photos" / "hopper.jpg", home / f"{name}.jpg")
    for name in ("b", "c", "neutral"):
        shutil.copy(home / "photos" / "astronaut.jpg", home / f"{name}.jpg")
    astronaut, hopper = (np.asarray(Image.open(home / "photos" / f"{name}.jpg")) for name in ("astronaut", "hopper"))
    for folder in ("videos", "interviews"):
        film(home / folder / "a.mp4", astronaut)
        film(home / folder / "b.mp4", hopper[:256, :256])
    film(home / "holiday.mp4", astronaut, frames=4)
    for name in ("clip", "party", "interview"):
        shutil.copy(home / "holiday.mp4", home / f"{name}.mp4")
    for name in ("lfw", "labelled", "rafdb-train", "rafdb-test"):
        tree(home / name)
    tree(home / "own-labels", classes=("smirk", "neutral", "happiness"))
    with zipfile.ZipFile(home / "faces.zip", "w") as archive:
        for path in sorted((home / "labelled").rglob("*.jpg")):
            archive.write(path, f"set/{path.parent.name}/{path.name}")
    paths = sorted(path.relative_to(home) for path in (home / "labelled").rglob("*.jpg"))
    (home / "train.csv").write_text("pth,emo\n" + "".join(f"{path},{path.parent.name}\n" for path in paths))
    for number in range(100):
        with tarfile.open(home / f"shards-{number:03d}.tar", "w") as shard:
            shard.add(home / paths[number % len(paths)], f"{number:05d}.jpg")
    aligned = home / "data" / "RAF-DB" / "Image" / "aligned"
    aligned.mkdir(parents=True)
    labels = home / "data" / "RAF-DB" / "EmoLabel" / "list_patition_label.txt"
    labels.parent.mkdir()
    rows = [(split, number, 1 + number % 7) for split in ("train", "test") for number in range(8)]
    for split, number, _ in rows:
        crop(number).resize((100, 100)).save(aligned / f"{split}_{number:05d}_aligned.jpg")
    labels.write_text("".join(f"{split}_{number:05d}.jpg {label}\n" for split, number, label in rows))
    return home


@pytest.fixture
def small_training(monkeypatch):
    """Pre-training as the commands ask for it, but of a tiny network for an epoch."""
    train, probe = pretrain_module.pretrain, probe_module.probe

    def quick(*arguments, **options):
        return probe(*arguments, **options | {"protocol": "linear", "pictures": False})

    def small(*arguments, settings=None, **options):
        assigned = parse_assignments(settings) if isinstance(settings, list) else settings
        shrunk = {"views.size": 32, "monitor.every": 0, **(assigned or {})}
        if options.get("recipe"):
            return train(*arguments, settings=settings, **options)
        asked = options.get("batch_size")
        options |= {"epochs": 1, "batch_size": asked and min(asked, 8), "backbone": "test_resnet"}
        return train(*arguments, settings=shrunk, **options)

    monkeypatch.setattr(uvicorn.Server, "run", lambda *_, **__: None)  # a page that is served until it is stopped
    monkeypatch.setattr(pretrain_module, "pretrain", small)
    monkeypatch.setitem(vars(ferkit), "pretrain", small)
    monkeypatch.setattr(probe_module, "probe", quick)
    monkeypatch.setitem(vars(ferkit), "probe", quick)


@pytest.fixture
def typed(monkeypatch, capsys):
    """Run a command line through the real entry of the program."""

    def run(line):
        if variable := re.match(r"export (\w+)=(\S+)", line):
            monkeypatch.setenv(variable[1], str(Path(variable[2]).expanduser()))
            return
        if piped := re.match(r"cat (\S+) \| (.*)", line):
            monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(Path(piped[1]).read_bytes())))
            line = piped[2]
        words = shlex.split(line.replace("/data/RAF-DB", "data/RAF-DB"), comments=True)
        output = words.pop() if ">" in words else None
        words = [word for word in words if word != ">"]
        monkeypatch.setattr(sys, "argv", words)
        capsys.readouterr()
        code = None
        try:
            ferkit.cli.main()
        except SystemExit as stop:
            code = stop.code
        assert not code, f"{line!r} ended with {code}: {capsys.readouterr().err}"
        if output:
            Path(output).write_text(capsys.readouterr().out)

    return run


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_blocks_of_a_page_run(page, newcomer, tmp_path, monkeypatch, typed, small_training):
    home = tmp_path / "home"
    shutil.copytree(newcomer, home)
    monkeypatch.chdir(home)
    names = {}
    for block in blocks(page):
        where = f"{page.name}:{block.line}"
        if block.kind == "python":
            text = "\n".join(block.lines)
            if re.search(SKIPPED_PYTHON, text):
                continue
            prepare(text, typed)
            exec(compile(text, where, "exec"), names)
        for line in commands(block):
            if reason(line, SKIPPED):
                continue
            assert re.match("ferkit |export |cat ", line), f"{where}: {line!r} is no command that can be run here"
            prepare(line, typed)
            typed(line)


def prepare(text, typed):
    """Make the face set, the embedding set or the run that a page takes for granted, if the text names it."""
    words = re.findall(r"[\w./-]+", text)
    asks = "align" not in words[:2] and "embed" not in words[:2]
    reads = "align" not in words[:2] and any(re.match("faces(/|$)", word) for word in words[2:])
    if reads and not Path("faces").exists():
        face_set(Path("faces"))
    if words[1:3] in (["faces", "info"], ["faces", "filter"]) and not is_face_set(Path(words[3])):
        shutil.rmtree(words[3])
        face_set(Path(words[3]))
    if "party.jpg" in words:
        shutil.copy("photos/both.jpg", "party.jpg")
        typed("ferkit embed party.jpg -o emb.npy")
    if "own.npy" in words:
        typed("ferkit embed own-labels/ -o own.npy")
    if "clips" in text and not Path("clips").exists() and asks:
        typed("ferkit align interviews/ -o clips/")
    if asks and "emb/" in words and not Path("emb").exists():
        typed("ferkit embed photos/ -o emb/ --parts 2")
    for name in ("emb.npy", "train.npy", "test.npy"):
        if asks and (name in words or "retrieve" in words) and not Path(name).exists():
            prepare("ferkit embed faces/", typed)
            typed(f"ferkit embed faces/ -o {name}")
    for name in ("runs/mine", "runs/contrawarping"):
        if name in words and not Path(name).exists() and f"-o {name}" not in text:
            prepare("ferkit pretrain faces/", typed)
            typed(f"ferkit pretrain faces/ -o {name}")


def test_every_reason_to_skip_is_used():
    lines = [line for page in PAGES for block in blocks(page) for line in commands(block)]
    assert [pattern for pattern in SKIPPED if not any(re.match(pattern, line) for line in lines)] == []
