import pytest
import yaml

from ferkit.errors import InputError, TrainingError, UnknownMethodError, UnknownSettingError
from ferkit.workflows.recipe import parse_assignments, resolve_recipe

REST = {"faces": 10, "faces_sha256": "0" * 64}


def test_assignments_are_typed_by_yaml():
    pairs = ["views.size=64", "base=simclr", "lr=2e-3", "warps.bumps=[1, 3]", "lr=0.002"]
    assert parse_assignments(pairs) == {"views.size": 64, "base": "simclr", "lr": 0.002, "warps.bumps": [1, 3]}


@pytest.mark.parametrize("pair", ["views.size", "=3", " = "])
def test_assignment_without_key_or_value_is_refused(pair):
    with pytest.raises(InputError, match="key=value"):
        parse_assignments([pair])


def test_settings_find_their_place():
    overrides = {"views.size": 64, "base": "simclr", "lr": "2e-3", "warps.bumps": [1, 3]}
    recipe = resolve_recipe("contrawarping", overrides, {"epochs": 3}, **REST)
    assert recipe.settings.views.size == 64
    assert recipe.settings.base == "simclr"
    assert recipe.settings.warps.bumps == (1, 3)
    assert (recipe.training.lr, recipe.training.epochs) == (0.002, 3)


def test_set_wins_over_the_named_option():
    assert resolve_recipe("byol", {"epochs": 7}, {"epochs": 3}, **REST).training.epochs == 7


@pytest.mark.parametrize(
    ("key", "near"), [("view.size", "views.size"), ("temprature", "temperature"), ("batchsize", "batch_size")]
)
def test_unknown_setting_names_the_nearest(key, near):
    with pytest.raises(UnknownSettingError, match=near):
        resolve_recipe("simclr", {key: 1}, {}, **REST)


def test_setting_of_another_method_is_refused():
    with pytest.raises(UnknownSettingError):
        resolve_recipe("byol", {"margin": 0.1}, {}, **REST)


def test_unknown_method_names_the_nearest():
    with pytest.raises(UnknownMethodError, match="simclr"):
        resolve_recipe("simclrr", {}, {}, **REST)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("lr", "fast"),
        ("views.size", 3),
        ("base", "moco"),
        ("epochs", -1),
        ("views.scale", [1.0, 0.5]),
        ("views.sigma", [0.0, 1.0]),
        ("warps.bumps", [5, 2]),
        ("warps.bumps", [0, 2]),
        ("warps.bumps", [2, 14]),
        ("warps.radius", [0, 0.4]),
        ("warps.strength", [0.2, 1.5]),
    ],
)
def test_value_out_of_range_says_which(key, value):
    with pytest.raises(InputError, match=key.replace(".", r"\.")):
        resolve_recipe("contrawarping", {key: value}, {}, **REST)


def test_changed_recipe_says_what_changed(tmp_path):
    path = tmp_path / "recipe.yaml"
    recipe = resolve_recipe("byol", {}, {"epochs": 3}, **REST)
    path.write_text(recipe.to_yaml())
    recipe.require_same(path)
    with pytest.raises(TrainingError, match=r"training\.epochs was 3\.0 and is 4\.0"):
        resolve_recipe("byol", {}, {"epochs": 4}, **REST).require_same(path)


def test_yaml_holds_every_setting():
    saved = yaml.safe_load(resolve_recipe("contrawarping", {}, {}, **REST).to_yaml())
    assert saved["settings"]["warps"]["radius"] == [0.2, 0.4]
    assert saved["training"]["batch_size"] == 256
    assert set(saved) == {"method", "backbone", "init", "settings", "training", "faces", "faces_sha256"}
