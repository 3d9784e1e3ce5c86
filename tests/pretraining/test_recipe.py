import pytest
import yaml

from ferkit.errors import InputError, TrainingError, UnknownSettingError
from ferkit.pretraining.recipe import RecipeFile, parse_assignments, resolve_recipe

REST = {"faces": 10, "faces_sha256": "0" * 64}


def test_assignments_are_typed_by_yaml():
    pairs = ["views.size=64", "base=simclr", "lr=2e-3", "warps.bumps=[1, 3]", "lr=0.002"]
    assert parse_assignments(pairs) == {"views.size": 64, "base": "simclr", "lr": 0.002, "warps.bumps": [1, 3]}


@pytest.mark.parametrize(
    ("key", "near"), [("view.size", "views.size"), ("temprature", "temperature"), ("batchsize", "batch_size")]
)
def test_unknown_setting_names_the_nearest(key, near):
    with pytest.raises(UnknownSettingError, match=near):
        resolve_recipe("simclr", {key: 1}, {}, **REST)


def test_layers_win_in_order(tmp_path):
    """Defaults, the file, a preset, the named options, and --set."""
    file = written(
        tmp_path, "settings: {views: {size: 48, rotation: 5}, temperature: 0.3}\ntraining: {lr: 0.02, epochs: 3}"
    )
    preset = {"views.size": 64, "lr": 0.3, "epochs": 9, "batch_size": 8}
    recipe = resolve_recipe("simclr", {"lr": 0.5}, {"epochs": 4, "lr": 0.4}, file, preset=preset, **REST)
    views = recipe.settings.views
    assert (views.size, views.rotation, recipe.settings.temperature) == (64, 5, 0.3)
    assert (recipe.training.lr, recipe.training.epochs, recipe.training.batch_size) == (0.5, 4, 8)
    assert recipe.training.warmup == 0.1


def test_the_preset_that_a_file_names_lies_below_its_settings(tmp_path):
    file = written(tmp_path, "method: crs-cont-fast\ntraining: {lr: 0.02}\nsettings: {views: {rotation: 3}}")
    recipe = resolve_recipe("crs-cont", {}, {}, file, **REST)
    assert (recipe.training.lr, recipe.training.ema, recipe.training.milestones) == (0.02, 0.999, None)
    assert (recipe.settings.views.size, recipe.settings.views.rotation) == (96, 3)


@pytest.mark.parametrize(
    ("key", "values"),
    [
        *(("lr", ["fast"]), ("views.size", [3]), ("base", ["moco"]), ("epochs", [-1])),
        *(("views.scale", [[1.0, 0.5]]), ("views.sigma", [[0.0, 1.0]]), ("warps.bumps", [[5, 2], [0, 2], [2, 14]])),
        *(("warps.radius", [[0, 0.4]]), ("warps.strength", [[0.2, 1.5]])),
    ],
)
def test_value_out_of_range_says_which(key, values):
    for value in values:
        with pytest.raises(InputError, match=key.replace(".", r"\.")):
            resolve_recipe("contrawarping", {key: value}, {}, **REST)


def test_changed_recipe_says_what_changed_but_looking_logging_and_saving_may(tmp_path):
    path = tmp_path / "recipe.yaml"
    recipe = resolve_recipe("byol", {}, {"epochs": 3}, **REST)
    path.write_text(recipe.to_yaml())
    free = {"log_steps": 3, "checkpoint_steps": 5, "checkpoints": 9, "monitor.every": 1, "trackers": ["wandb"]}
    for changes in ({}, free):
        resolve_recipe("byol", changes, {"epochs": 3}, **REST).require_same(path)
    with pytest.raises(TrainingError, match=r"training\.epochs was 3\.0 and is 4\.0"):
        resolve_recipe("byol", {}, {"epochs": 4}, **REST).require_same(path)


def written(tmp_path, text):
    (tmp_path / "mine.yaml").write_text(text)
    return RecipeFile.read(tmp_path / "mine.yaml")


def test_defaults_of_the_method_lie_below_all_that_is_said(tmp_path):
    file = written(tmp_path, "training: {lr: 0.002, epochs: 3}")
    training = resolve_recipe("cycleface", {}, {"epochs": 4}, file, **REST).training
    assert (training.optimizer, training.batch_size, training.lr, training.epochs) == ("adam", 16, 0.002, 4)
    assert resolve_recipe("simclr", {}, {}, **REST).training.optimizer == "adamw"


def test_saved_recipe_resolves_to_itself(tmp_path):
    overrides = {"views.size": 48, "base": "simclr", "monitor.every": 2, "trackers": ["wandb"], "clip": 1}
    recipe = resolve_recipe("contrawarping", overrides, {"epochs": 3}, options={"min_size": 40.0}, **REST)
    file = written(tmp_path, recipe.to_yaml())
    assert resolve_recipe("contrawarping", {}, {}, file, options=dict(file.options), **REST) == recipe


def test_name_of_both_method_and_loop_must_say_which():
    with pytest.raises(InputError, match=r"say settings\.momentum or training\.momentum"):
        resolve_recipe("byol", {"momentum": 0.5}, {}, **REST)
    recipe = resolve_recipe("byol", {"settings.momentum": 0.5, "training.momentum": 0.8}, {}, **REST)
    assert (recipe.settings.momentum, recipe.training.momentum) == (0.5, 0.8)


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("metod: byol", UnknownSettingError, "method"),
        ("settings: {views: {sise: 3}}", UnknownSettingError, r"settings\.views\.size"),
        ("training: {batchsize: 3}", UnknownSettingError, r"training\.batch_size"),
        ("options: {min_sise: 3}", UnknownSettingError, "min_size"),
        ("training: {lr: fast}", InputError, "lr cannot be 'fast'"),
        ("training: {lr: .inf}", InputError, "lr cannot be inf"),
        ("training: 3", InputError, "training cannot be 3"),
        ("method: simclr", InputError, "leave method out"),
        ("- method", InputError, "no recipe"),
        ("a: [", InputError, "cannot read the recipe"),
    ],
)
def test_file_that_is_no_recipe(tmp_path, text, error, says):
    with pytest.raises(error, match=says):
        resolve_recipe("byol", {}, {}, written(tmp_path, text), **REST)


def test_older_recipe_lacks_only_settings_that_have_their_default(tmp_path):
    path = tmp_path / "recipe.yaml"
    saved = yaml.safe_load(resolve_recipe("byol", {}, {}, **REST).to_yaml())
    del saved["training"]["ema"], saved["training"]["clip"], saved["options"]
    path.write_text(yaml.safe_dump(saved))
    resolve_recipe("byol", {}, {}, **REST).require_same(path)
    with pytest.raises(TrainingError, match=r"training\.ema was 0\.0 and is 0\.9"):
        resolve_recipe("byol", {"ema": 0.9}, {}, **REST).require_same(path)
