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


def test_byol_of_the_paper():
    """arXiv:2006.07733, table 6 (views), appendix C (300 epochs, lr 0.3 * batch / 256, decay 1e-6)."""
    recipe = resolved(PRESETS["byol-paper"])
    settings, views, training = recipe.settings, recipe.settings.views, recipe.training
    assert (views.blur, settings.second_blur, views.solarise, settings.second_solarise) == (1.0, 0.1, 0.0, 0.2)
    assert (views.jitter, views.brightness, views.contrast, views.saturation, views.hue) == (0.8, 0.4, 0.4, 0.2, 0.1)
    assert (views.gray, views.flip, views.size, views.rotation) == (0.2, 0.5, 224, 0)
    assert views.scale == (pytest.approx(0.08**0.5, abs=1e-3), 1)
    assert (training.optimizer, training.weight_decay, training.epochs) == ("lars", 1e-6, 300)
    assert (training.lr, training.batch_size, settings.momentum) == (0.3, 256, 0.99)
    assert training.warmup * training.epochs == pytest.approx(10)


def test_a_scale_comes_on_top_of_a_preset():
    both = scaled(find_preset("ssl-fer-b"), "paper")
    assert (both.settings["parts"], both.settings["epochs"]) == (["time-aug", "hard-neg"], 500)
    assert both.backbone == "resnet50"
    assert scaled(find_preset("byol"), None) == Preset("byol")
    assert scaled(find_preset("crs-cont"), "cpu").settings == find_preset("crs-cont-fast").settings
