"""What the shell completes."""

import os
import subprocess
import sys

import pytest

from ferkit.cli import completion
from ferkit.data.sources.layouts import LAYOUTS
from ferkit.methods import METHODS, PRESETS


def test_names_are_those_of_the_tables(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "votes").mkdir(parents=True)
    assert sorted({*METHODS, *PRESETS}) == completion.METHOD_NAMES
    assert completion.layouts("") == list(LAYOUTS)
    assert completion.encoders("votes") == ["votes-r18"]
    assert completion.encoders("runs/") == ["runs/votes/"]
    assert completion.protocols("linear,le") == ["linear,leakage"]


@pytest.mark.parametrize(
    ("words", "completed"), [("embed --encoder vot", "votes-r18"), ("pretrain --method contra", "contrawarping")]
)
def test_the_shell_is_told_without_torch(words, completed, tmp_path):
    environment = os.environ | {
        "_FERKIT_COMPLETE": "complete_bash",
        "COMP_WORDS": f"ferkit {words}",
        "COMP_CWORD": str(len(words.split())),
    }
    code = "import sys; sys.modules['torch'] = None; from ferkit.cli import app; app(prog_name='ferkit')"
    done = subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.split() == [completed], done.stderr
