"""``ferkit recognise``, ``compare`` and the ways to ask ``retrieve``, as a user types them."""

import json

import pytest


def test_recognise_writes_a_table_under_either_spelling(ferkit_command, crops, headed_run):
    for verb, out in (("recognise", "a.csv"), ("recognize", "b.csv")):
        done = ferkit_command(verb, "crops", "-e", headed_run, "-o", out)
        assert done.code == 0
        assert f"table: {out}" in done.out
    shown = ferkit_command("recognise", "crops", "-e", headed_run)
    assert "5 faces by" in shown.out
    assert "crops/0.png" in shown.out
    told = json.loads(ferkit_command("recognise", "crops", "-e", headed_run, "--json").out)
    assert {"neutral", "happiness", "surprise", "expression"} <= told["rows"][0].keys()


def test_compare_prints_both_figures(ferkit_command, crops, headed_run):
    done = ferkit_command("compare", "crops/0.png", "crops/1.png", "-e", headed_run)
    assert "same expression with a probability of 0." in done.out
    assert "cosine" in done.out


@pytest.fixture
def embedded(ferkit_command, crops, headed_run):
    assert ferkit_command("embed", "crops", "-e", headed_run).code == 0
    return ferkit_command


@pytest.mark.parametrize(
    "question",
    [
        ["crops/0.png", "crops/1.png", "--not", "crops/2.png", "--combine", "best"],
        ["--like", "surprise"],
        ["--from", "crops/0.png", "--to", "crops/1.png"],
        ["--row", "1", "--row", "2", "--all"],
        ["--source", "crops/3.png", "--face", "1"],
    ],
)
def test_every_way_to_ask(embedded, question):
    done = embedded("retrieve", *question, "-k", 2)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[-3].split()[:4] == ["rank", "score", "same", "above"]
    assert [line.split()[0] for line in lines[-2:]] == ["1", "2"]


def test_no_good_match_is_said_first(embedded):
    found = json.loads(embedded("retrieve", "--row", 0, "--json").out)
    assert found["good"] is (max(hit["probability"] for hit in found["hits"]) >= 0.5)
    first = embedded("retrieve", "--like", "surprise").out.splitlines()[0]
    likely = max(
        hit["probability"] for hit in json.loads(embedded("retrieve", "--like", "surprise", "--json").out)["hits"]
    )
    assert first.startswith("no good match") == (likely < 0.5)
