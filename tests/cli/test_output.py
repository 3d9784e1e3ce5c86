"""What is printed is what was said, whatever rich would make of it."""

import io

from rich.console import Console

from ferkit.cli import output

HOSTILE = "[/x] [bold]evil[/] :smile:"


def test_bars_show_names_to_the_letter(monkeypatch):
    written = io.StringIO()
    monkeypatch.setattr(output, "err", Console(file=written, force_terminal=True, width=200, color_system=None))
    with output.ProgressBar() as bars:
        bars.start(HOSTILE, 1)
        bars.advance(note="[/y]")
    assert HOSTILE in written.getvalue()
    assert "[/y]" in written.getvalue()


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
