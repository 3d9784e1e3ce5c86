"""What is printed is what was said, whatever rich would make of it."""

import io

from rich.console import Console

from ferkit.cli import output

HOSTILE = "[/x] [bold]evil[/] :smile:"


def test_messages_are_printed_to_the_letter(capsys):
    with output.ProgressBar() as bars:
        bars.say(HOSTILE)
    assert capsys.readouterr().err == f"{HOSTILE}\n"


def test_bars_show_names_to_the_letter(monkeypatch):
    written = io.StringIO()
    monkeypatch.setattr(output, "err", Console(file=written, force_terminal=True, width=200, color_system=None))
    with output.ProgressBar() as bars:
        bars.start(HOSTILE, 1)
        bars.advance(note="[/y]")
    assert HOSTILE in written.getvalue()
    assert "[/y]" in written.getvalue()
