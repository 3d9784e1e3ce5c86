import importlib.util
import re
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard

from ferkit.encoders.card import markdown_table, model_card
from ferkit.encoders.registry import EncoderCard, Licences, Metric, TrainedOn, load_registry

BARE = EncoderCard(name="bare", arch="resnet18", dim=512, supervision="unknown")


@pytest.fixture(scope="module", params=load_registry(own=[]).values(), ids=lambda entry: entry.name)
def entry(request):
    return request.param


def sections(card):
    """The card's Markdown by heading."""
    return dict(re.findall(r"^## (.+)\n\n((?:.*\n)*?)(?=^## |\Z)", card, re.M))


def test_every_card_is_one_that_the_hub_reads(entry):
    card = ModelCard(model_card(entry))
    assert card.data.library_name == "ferkit"
    assert card.data.pipeline_tag == "image-feature-extraction"
    assert card.data.license in {"other", "apache-2.0", "mit"}
    assert (card.data.license == "other") == bool(card.data.get("license_name"))
    assert entry.arch in card.data.tags


def test_every_card_tells_what_the_entry_knows(entry):
    parts = sections(model_card(entry))
    assert list(parts) == ["Images", "Training", "Figures", "Licences", "Limits", "How to use"]
    for metric in entry.metrics:
        assert f"| {metric.protocol} | {metric.data} | {metric.value:.3f} |" in parts["Figures"]
    assert entry.trained_on.data in parts["Training"]
    for licence in dict(entry.licences).values():
        assert licence in parts["Licences"]
    assert f'load_encoder("{entry.name}")' in parts["How to use"]


@pytest.mark.parametrize(
    ("weights", "fields"),
    [
        ("MIT", {"license": "mit"}),
        ("CC-BY-NC-4.0", {"license": "cc-by-nc-4.0"}),
        ("research use only", {"license": "other", "license_name": "research-use-only"}),
    ],
)
def test_licences_in_the_words_of_the_hub(weights, fields):
    entry = BARE.model_copy(update={"licences": Licences(code="MIT", weights=weights, data="ask")})
    front = yaml.safe_load(model_card(entry).split("---")[1])
    assert {key: value for key, value in front.items() if key.startswith("license")} == fields


def test_text_with_bars_stays_in_its_cell_and_yaml_stays_yaml():
    metric = Metric(protocol="a | b\nc", data="d: e", value=0.5)
    trained = TrainedOn(method="yes: [no", data="x")
    card = model_card(BARE.model_copy(update={"metrics": [metric], "trained_on": trained}))
    assert r"| a \| b c | d: e | 0.500 | not stated |" in card
    assert "yes: [no" in ModelCard(card).data.tags


ROOT = Path(__file__).parents[2]


def test_the_readme_holds_the_tables():
    spec = importlib.util.spec_from_file_location("readme_tables", ROOT / "benchmarks" / "readme_tables.py")
    tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tables)
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert markdown_table(load_registry(own=[]).values()) in text
    assert tables.with_tables(text) == text, "run `make table`"
    damaged = text.replace("| .866 (", "| .999 (")
    assert damaged != text == tables.with_tables(damaged)
