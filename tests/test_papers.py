"""docs/papers.md is true: its defaults are those of the settings, its files are there, its commands can be typed."""

import re
import shlex
from pathlib import Path

import pytest
import typer
import yaml

from ferkit.cli import app
from ferkit.methods import find_preset
from ferkit.pretraining.recipe import resolve_recipe

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs/papers.md").read_text(encoding="utf-8")
NAMED = re.compile(r"\(`([a-z0-9-]+)`\)")


def rows():
    """(method, cells by the table's head) of every row; the method is the last one named before the table."""
    method, head = None, None
    for line in TEXT.splitlines():
        if not line.startswith("|"):
            head = None
            method = found[1] if (found := NAMED.search(line)) else method
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if head is None:
            head = cells
        elif not set(line) <= set("|-"):
            yield method, dict(zip(head, cells, strict=True))


def stated():
    for method, row in rows():
        for name, value in re.findall(r"`([a-z_.]+)=([^`]+)`", row.get("ferkit", "")):
            yield pytest.param(method, name, value, id=f"{method} {name}")


def plain(value):
    """Tuples as lists, all numbers as floats."""
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def default_of(recipe, name):
    for part in (recipe.settings, recipe.training) if "." not in name else (recipe.settings, recipe):
        value = part
        for key in name.split("."):
            value = getattr(value, key, None)
            if value is None:
                break
        else:
            return value
    raise AssertionError(f"{recipe.method} has no setting {name}")


@pytest.mark.parametrize(("method", "name", "value"), list(stated()))
def test_defaults_are_those_of_the_settings(method, name, value):
    preset = find_preset(method)
    more = {"expression": "runs/first"} if "stage" in preset.settings else {}
    recipe = resolve_recipe(preset.method, more, {}, preset=preset.settings, faces=0, faces_sha256="")
    assert plain(default_of(recipe, name)) == plain(yaml.safe_load(value.replace("e-0", ".0e-0")))


def test_all_papers_and_enough_of_their_settings_are_held():
    methods = {parameter.values[0] for parameter in stated()}
    assert methods >= {"contrawarping", "ssl-fer", "crs-cont", "cycleface", "byol", "byol-paper", "simclr", "mocov2"}
    assert len(list(stated())) > 100


@pytest.mark.parametrize(
    "place", sorted({place for _, row in rows() for place in re.findall(r"`([^`]+)`", row.get("where", ""))})
)
def test_files_are_there(place):
    assert (ROOT / "src/ferkit" / place).is_file()


@pytest.mark.parametrize("command", sorted(set(re.findall(r"`(ferkit [^`]+)`", TEXT))))
def test_commands_are_ones_that_ferkit_takes(command):
    """The names of the command, of its options, methods, presets, layouts and protocols; nothing is run."""
    _, verb, *arguments = shlex.split(command)
    group = typer.main.get_command(app)
    if verb == "models":
        group, verb, arguments = group.commands["models"], arguments[0], arguments[1:]
    given = group.commands[verb].make_context(verb, list(arguments)).params
    if verb == "pretrain":
        from ferkit.methods import find_method, scaled

        find_method(scaled(find_preset(given["method"]), given["preset"]).method)
    if verb == "probe":
        from ferkit.data.sources.layouts import LAYOUTS
        from ferkit.probing.settings import FINETUNES, LINEAR, PROTOCOLS

        for name, _, split in (given[part].partition(":") for part in ("layout", "test_layout")):
            assert split in LAYOUTS[name].splits
        assert set(given["protocol"][0].split(",")) <= set(PROTOCOLS)
        assert given["linear"] in LINEAR
        assert given["finetune"] in FINETUNES
    if verb == "import":
        from ferkit.encoders.importing.origins import ORIGINS

        assert given["origin"] in ORIGINS
