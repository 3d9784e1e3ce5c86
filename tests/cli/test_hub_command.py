import pytest

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # see test_hub_push.py

STATED = ("--license", "MIT", "--data", "nothing, CC0")


@pytest.fixture
def token(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_write")


def test_there_and_back(hub, token, ferkit_command, run_folder, crops):
    pushed = ferkit_command("models", "push", run_folder, "--repo", "ann/toy", *STATED, "--public", "-m", "Hello")
    assert pushed.code == 0
    assert f"pushed (public, {hub.repos['ann/toy'].commits[-1][0]})" in pushed.out
    assert hub.repos["ann/toy"].messages[-1] == "Hello"
    assert "next: ferkit embed faces/ -e hf-hub:ann/toy" in pushed.out

    pulled = ferkit_command("models", "pull", "ann/toy")
    assert pulled.code == 0
    assert "MB fetched (ann/toy at " in pulled.out
    assert "next: ferkit embed faces/ -e hf-hub:ann/toy" in pulled.out
    assert ferkit_command("embed", "crops", "-e", "hf-hub:ann/toy").code == 0

    again = ferkit_command("models", "push", run_folder, "--repo", "ann/toy", *STATED)
    assert "nothing to push, all of it is there" in again.out


@pytest.mark.parametrize("address", ["http://[bad", "http://ann:pa55@127.0.0.1:port"])
def test_an_endpoint_that_is_no_address_is_said(ferkit_command, monkeypatch, address):
    monkeypatch.setenv("HF_ENDPOINT", address)
    outcome = ferkit_command("models", "pull", "ann/toy")
    assert (outcome.code, outcome.out) == (8, "")
    assert outcome.err.startswith("error: HF_ENDPOINT is no address of a hub")
    assert "pa55" not in outcome.err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["pull", "nobody"], 3, "nobody"),
        (["pull", "ann/secret"], 8, "HF_TOKEN"),
        (["push", "RUN", "--repo", "ann/toy"], 2, "--license and --data"),
        (["push", "nowhere/run", "--repo", "ann/toy", *STATED], 2, "nowhere/run"),
    ],
)
def test_mistakes_are_one_sentence(hub, ferkit_command, run_folder, words, code, said):
    hub.add("ann/secret", {"config.json": b"{}"}, private=True)
    outcome = ferkit_command("models", *(run_folder if word == "RUN" else word for word in words))
    assert (outcome.code, outcome.out) == (code, "")
    (line,) = outcome.err.splitlines()
    assert line.startswith("error: ")
    assert said in line
