"""What others wrote reaches a terminal, a pipe or a full disk as text, never as a command or a traceback."""

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.table import Table

from ferkit.cli import output
from ferkit.report.montage import Tile, draw_montage

FULL = Path("/dev/full")
ODD = "a\x1b]0;title\x07\x1b[31mred\x9b2J\nb"


@pytest.mark.parametrize("say", ["print", "table", "say"])
def test_nothing_of_others_commands_the_terminal(say, monkeypatch):
    shown = io.StringIO()
    console = output._Terminal(file=shown, force_terminal=True, soft_wrap=True, highlight=False)
    table = Table()
    table.add_row(output.escape(ODD), ODD)
    bar = output.ProgressBar()
    monkeypatch.setattr(bar._bars.live, "console", console)
    ways = {
        "print": lambda: console.print(f"[bold]{output.escape(ODD)}[/] " + ODD),
        "table": lambda: console.print(table),
        "say": lambda: bar.say(ODD),
    }
    ways[say]()
    assert "\x07" not in shown.getvalue()
    assert "\x1b]" not in shown.getvalue()
    assert "\x1b[31m" not in shown.getvalue()
    assert "\x9b" not in shown.getvalue()
    assert r"\x1b" in shown.getvalue()


def run(*arguments, encoding="utf-8", **options):
    command = [sys.executable, "-c", "from ferkit.cli import main; main()", *map(str, arguments)]
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    return subprocess.run(command, env=environment, check=False, **options)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_an_encoding_that_lacks_letters_shows_their_numbers(tmp_path, encoding):
    helped = run("--help", encoding=encoding, capture_output=True)
    assert (helped.returncode, helped.stderr) == (0, b"")
    refused = run("faces", "info", tmp_path / "嬉しい", encoding=encoding, capture_output=True)
    assert refused.returncode == 5
    assert rb"\u5b09" in refused.stderr


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here")
def test_a_full_output_device_is_said_in_a_sentence():
    with FULL.open("wb") as full:
        ended = run("models", "list", stdout=full, stderr=subprocess.PIPE)
    assert ended.returncode == 6
    assert ended.stderr.decode().splitlines() == [
        "error: the output cannot be written: No space left on device; send it elsewhere"
    ]


@pytest.mark.parametrize("name", ["a\nb", "a\rb", "a\u2029b", "a\x85b", "\x1b[1m", "\udce9"])
def test_odd_names_are_drawn(name):
    tile = Tile(np.zeros((8, 8, 3), np.uint8), "0.9", name)
    assert draw_montage(tile, [tile], name, name).width > 0


def test_ctrl_c_while_ferkit_is_imported_is_one_line():
    lines = ["import sys", "sys.modules['typer'] = None", "try:", "    import ferkit.cli"]
    program = "\n".join([*lines, "except ImportError:", "    raise KeyboardInterrupt from None"])
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert ended.returncode not in (0, 1)
    assert ended.stderr == b"interrupted; nothing was begun\n"


def test_off_a_terminal_there_are_plain_lines(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(output, "monotonic", lambda: now[0])
    with output.ProgressBar() as bars:
        bars.start("pre-training", 1200, 100, "steps")
        for second in range(1, 46):
            now[0] = second
            bars.advance(2, note="loss 1.5")
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines] == ["pre-training: 140 of 1", "pre-training: 180 of 1"]
    assert lines[0].endswith(", loss 1.5")
    assert lines[0].startswith("pre-training: 140 of 1,200 steps, ")
