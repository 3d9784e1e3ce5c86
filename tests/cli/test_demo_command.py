from pathlib import Path

import pytest
from typer.testing import CliRunner

import ferkit.workflows.demo as workflow
from ferkit.cli import app
from ferkit.encoders import DEFAULT_ENCODER

OUT = Path("out")


@pytest.fixture
def asked(monkeypatch):
    """Replaces the demo's work; holds the arguments that it was called with."""
    calls = []
    smile, frown = workflow.Answer("Joe Biden", "smile", 0.9), workflow.Answer("Joe Biden", "frown", 0.1)
    hit = workflow.Ranking("Grace Hopper", "smile", (smile, frown))
    miss = workflow.Ranking("Eileen Collins", "smile", (frown, smile))
    paths = (OUT / "faces", OUT / "queries", OUT / "emb.npy", OUT / "gallery.png", OUT / "warp_preview.png")

    def stand_in(out, **options):
        calls.append((out, options["encoder"], options.get("device")))
        rounds = (workflow.Round("as they are", (hit, miss, hit)), workflow.Round("hardly", (miss,)))
        scenes = (
            workflow.Scene("smile", "smile", (1.0, 2.0), (1.1, 2.1)),
            workflow.Scene("fear", "fear", (4, 5), None),
        )
        more = {"film": OUT / "film.mp4", "page": OUT / "demo.html", "scenes": scenes}
        return workflow.DemoResult(OUT, "[odd] name", *paths, rounds=rounds, **more)

    monkeypatch.setattr(workflow, "demo", stand_in)
    return calls


def test_text_tells_result_chance_and_next_step(asked):
    done = CliRunner().invoke(app, ["demo", "-o", "out", "--device", "cpu"])
    assert done.exit_code == 0
    assert asked == [(OUT, DEFAULT_ENCODER, "cpu")]
    assert done.stdout.index("2 of 3 as they are (chance: 1.5)") < done.stdout.index("0 of 1 hardly (chance: 0.5)")
    assert "found at 1.1–2.1 s" in done.stdout
    assert "found nowhere" in done.stdout
    for place in ("gallery.png", "demo.html"):
        assert str(OUT / place) in done.stdout
    assert "[odd] name" in done.stdout  # no markup is made of what users name
    assert "ferkit retrieve query.jpg" in done.stdout


def test_the_page_opens_where_somebody_sees_it(asked, monkeypatch):
    opened = []
    monkeypatch.setattr("ferkit.web.server.has_desktop", lambda: True)
    monkeypatch.setattr("typer.launch", opened.append)
    CliRunner().invoke(app, ["demo", "--json"])
    assert opened == []
    CliRunner().invoke(app, ["demo"])
    assert opened == [(OUT / "demo.html").resolve().as_uri()]
