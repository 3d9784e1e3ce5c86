import inspect
from collections.abc import Mapping
from dataclasses import dataclass, fields

import pytest
import typer
from typer.testing import CliRunner

from ferkit.cli.options import with_settings
from ferkit.pipeline.face_options import FaceOptions
from ferkit.probing.settings import ProbeSettings
from ferkit.settings import setting


def parse_even(text):
    if int(text) % 2:
        raise ValueError(f"{text!r} is odd; give an even number")
    return int(text)


def parse_table(text):
    return dict(pair.split("=") for pair in text.split(",") if pair)


@dataclass(frozen=True)
class Numbers:
    count: int = setting(2, "How many.", min=1, group="Numbers")
    even: int | None = setting(None, "An even one.", parser=parse_even, default_text="none", group="Numbers")
    names: tuple[str, ...] = setting((), "Names.", flags=("--name",), group="Numbers")
    table: Mapping[str, str] = setting({}, "A table.", parser=parse_table, group="Numbers")


def run(*arguments):
    app, told = typer.Typer(), {}

    @app.command()
    @with_settings(Numbers)
    def command(**options):
        told.update(options)

    return CliRunner().invoke(app, arguments), told


def test_fields_become_options_with_their_defaults():
    assert run()[1] == {"count": 2, "even": None, "names": [], "table": {}}
    given = run("--count", "3", "--even", "4", "--name", "a", "--name", "b", "--table", "x=y")[1]
    assert given == {"count": 3, "even": 4, "names": ["a", "b"], "table": {"x": "y"}}


@pytest.mark.parametrize("kind", [FaceOptions, ProbeSettings])
def test_every_setting_says_what_it_does(kind):
    assert all(field.metadata["description"] for field in fields(kind))
    assert list(inspect.signature(with_settings(kind)(lambda **options: None)).parameters) == [
        field.name for field in fields(kind)
    ]
