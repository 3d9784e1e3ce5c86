"""ferkit models import, card, license, list --markdown."""

import pytest
import timm
import torch

from ferkit.encoders.card import model_card
from ferkit.encoders.registry import load_registry, read_entry
from ferkit.workflows.models import show_encoder


@pytest.fixture
def checkpoint(tmp_path):
    """What SSL-FER's code would write, its schedule taken out."""
    state = timm.create_model("resnet10t", num_classes=0).state_dict()
    state |= {"fc.0.weight": torch.ones(512, 512), "fc.2.weight": torch.ones(128, 512)}
    torch.save({"state_dict": {f"backbone.{name}": tensor for name, tensor in state.items()}}, tmp_path / "a.pth.tar")
    return tmp_path / "a.pth.tar"


def test_import_says_what_it_did_and_what_comes_next(ferkit_command, checkpoint):
    outcome = ferkit_command("models", "import", checkpoint, "--from", "ssl-fer")
    assert outcome.code == 0
    assert "ssl-fer-resnet10t: resnet10t, vectors of 512, 112 px" in outcome.out
    assert "left out: 2 of fc" in outcome.out
    assert "next: ferkit embed faces/ -e encoders/ssl-fer-resnet10t" in outcome.out


def test_card_of_a_name_a_run_and_a_file(ferkit_command, run_folder):
    entry = load_registry()["votes-r18"]
    assert ferkit_command("models", "card", "votes-r18").out == model_card(entry)
    of_run = read_entry(run_folder / "encoder.yaml")
    assert ferkit_command("models", "card", run_folder).out == model_card(of_run, str(run_folder))
    weights = run_folder / "encoder.safetensors"
    assert ferkit_command("models", "card", weights).out == model_card(of_run, str(weights))
    assert show_encoder(run_folder) == show_encoder(str(weights)) == of_run
