import pytest

from ferkit.methods import METHODS, PRESETS, SCALES, Preset, find_preset, scaled
from ferkit.pretraining.recipe import resolve_recipe

OF_SCALES = {f"{method} {scale}": preset for scale, some in SCALES.items() for method, preset in some.items()}
NAMED = {**PRESETS, **OF_SCALES}


def resolved(preset, **overrides):
    more = {"expression": "runs/first"} if preset.settings.get("stage") == "identity" else {}
    return resolve_recipe(preset.method, {**more, **overrides}, {}, preset=preset.settings, faces=0, faces_sha256="")


@pytest.mark.parametrize("name", NAMED)
def test_every_preset_is_made_of_settings_of_its_method(name):
    recipe = resolved(NAMED[name])
    assert recipe.method == NAMED[name].method in METHODS


@pytest.mark.parametrize("method", METHODS)
def test_a_laptop_can_do_every_method(method):
    recipe = resolved(scaled(find_preset(method), "cpu"))
    assert recipe.settings.views.size <= 96
    assert recipe.training.precision == "auto"
    assert getattr(recipe.settings, "base", "simclr") == "simclr"


def test_a_scale_comes_on_top_of_a_preset():
    both = scaled(find_preset("ssl-fer-b"), "paper")
    assert (both.settings["parts"], both.settings["epochs"]) == (["time-aug", "hard-neg"], 500)
    assert both.backbone == "resnet50"
    assert scaled(find_preset("byol"), None) == Preset("byol")
    assert scaled(find_preset("crs-cont"), "cpu").settings == find_preset("crs-cont-fast").settings
