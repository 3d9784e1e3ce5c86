"""``ferkit pretrain`` as a user types it."""

import pytest

SMALL = ("--backbone", "test_resnet", "--batch-size", 4, "--epochs", 1, "--device", "cpu", "--set", "views.size=32")


@pytest.fixture
def pretrain(ferkit_command, crops):
    """Train for a step in a folder whose name a shell and rich would read otherwise."""
    return lambda *words: ferkit_command("pretrain", *words, "-o", "runs/a [x] b", *SMALL, "--set", "hidden=32")


def test_what_comes_next_can_be_typed_as_it_stands(pretrain, ferkit_command):
    assert ferkit_command("align", "crops", "-o", "my faces").code == 0
    done = pretrain("my faces")
    assert done.code == 0, done.err
    assert "1 step over 5 faces in " in done.out
    probe, embed = done.out.splitlines()[-2:]
    assert probe.startswith("next: ferkit probe 'runs/a [x] b' --data LABELLED")
    assert embed == "next: ferkit embed 'my faces' -e 'runs/a [x] b'"
    again = pretrain("my faces", "--resume")
    assert "1 step over 5 faces, finished already\nnext: " in again.out


def test_photos_are_embedded_as_the_faces_found_in_them(pretrain):
    assert pretrain("crops").out.splitlines()[-1] == "next: ferkit embed 'runs/a [x] b/faces' -e 'runs/a [x] b'"
