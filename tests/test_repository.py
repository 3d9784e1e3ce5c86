"""Promises of the repository itself: what is never committed, and that its texts and its code agree."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import typer

from ferkit._version import __version__
from ferkit.cli import app

ROOT = Path(__file__).parents[1]
FOUR_LINES = (
    "pip install ferkit",
    "ferkit pretrain --method contrawarping",
    "ferkit embed faces/ -o emb.npy",
    "ferkit retrieve query.jpg",
)
LIMIT = 25 * 2**20
PHOTOS_AND_VIDEOS = {".jpg", ".jpeg", ".webp", ".heic", ".mp4", ".mov", ".avi", ".mpg", ".webm", ".parquet"}
PICKLES = {".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle", ".joblib"}


@pytest.fixture(scope="module")
def files():
    """Everything that git tracks, or would track."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a git checkout")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def documents():
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "examples").glob("*.md"))]


def code_lines(document):
    """The lines of a document's fenced code blocks, without prompts."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", document.read_text(encoding="utf-8"), re.M | re.S)
    return [line.removeprefix("$ ").strip() for block in blocks for line in block.splitlines()]


def test_no_large_file_photo_video_pickle_or_link_out_of_the_repository(files):
    assert [path for path in files if path.stat().st_size > LIMIT] == []
    assert [path for path in files if path.suffix.lower() in PHOTOS_AND_VIDEOS | PICKLES] == []
    assert [path for path in files if not path.resolve().is_relative_to(ROOT.resolve())] == []


@pytest.mark.parametrize("line", FOUR_LINES)
def test_readme_shows_the_four_lines(line):
    assert line in [code.split("  ")[0] for code in code_lines(ROOT / "README.md")]


def test_changelog_begins_with_this_version():
    versions = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    assert versions[0] == __version__


@pytest.mark.parametrize("document", documents(), ids=lambda path: path.name)
def test_links_lead_somewhere_and_documented_commands_exist(document):
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text(encoding="utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []
    assert [line for line in code_lines(document) if line.startswith("ferkit ") and not _is_command(line)] == []


def _is_command(line):
    """Whether the verb, and every option given to it, exist."""
    words = line.split(" #")[0].split()[1:]
    command = typer.main.get_command(app)
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    options = {option for parameter in command.params for option in parameter.opts + parameter.secondary_opts}
    given = {word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)}
    return (not hasattr(command, "commands") and given <= options | {"--help", "-h"}) or words == ["--version"]


def test_documented_make_targets_exist():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    named = {word for document in documents() for word in re.findall(r"`make ([a-z]+)", document.read_text("utf-8"))}
    assert named
    assert named <= targets


def test_ci_runs_lint_and_tests():
    script = ROOT / ".ci" / "run"
    subprocess.run(["bash", "-n", script], check=True)
    assert os.access(script, os.X_OK)
    steps = [line.partition(" ||")[0] for line in script.read_text().splitlines() if line.startswith("make ")]
    assert steps == ["make lint", "make browser", "make test"]
