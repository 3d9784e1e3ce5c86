import json
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
    hit = workflow.Ranking("Grace Hopper", "smile", ("smile", "frown"), (0.9, 0.1))
    miss = workflow.Ranking("Eileen Collins", "smile", ("frown", "smile"), (0.9, 0.1))
    paths = (OUT / "faces", OUT / "queries", OUT / "emb.npy", OUT / "gallery.png", OUT / "warp_preview.png")

    def stand_in(out, **options):
        calls.append((out, options["encoder"], options["device"]))
        return workflow.DemoResult(OUT, "[odd] name", *paths, rankings=(hit, miss, hit))

    monkeypatch.setattr(workflow, "demo", stand_in)
    return calls


def test_text_tells_result_chance_and_next_step(asked):
    done = CliRunner().invoke(app, ["demo", "-o", "out", "--device", "cpu"])

    assert done.exit_code == 0
    assert asked == [(OUT, DEFAULT_ENCODER, "cpu")]
    assert "2 of 3 queries find the same expression first (chance: 0.5)" in done.stdout
    assert "mean rank is 1.33 (chance: 3.5)" in done.stdout
    assert str(OUT / "gallery.png") in done.stdout
    assert "[odd] name" in done.stdout  # no markup is made of what users name
    assert "ferkit retrieve query.jpg" in done.stdout


def test_json_is_one_object(asked):
    done = CliRunner().invoke(app, ["demo", "--json", "-e", "runs/x"])

    told = json.loads(done.stdout)
    assert asked[0][1] == "runs/x"
    assert (told["queries"], told["first"], told["mean_rank_by_chance"]) == (3, 2, 3.5)
    assert told["rankings"][1]["rank"] == 2
