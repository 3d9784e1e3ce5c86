"""The recipe: every setting of a pre-training run, resolved and checked, as one YAML file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, ValidationError

from ferkit.errors import InputError, TrainingError, UnknownSettingError
from ferkit.methods import MethodSettings, find_method
from ferkit.training.settings import TrainSettings

__all__ = ["Recipe", "parse_assignments", "resolve_recipe"]


class Recipe(BaseModel):
    """What reproduces a run, given the same faces and versions."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: str = Field(description="a name of METHODS")
    backbone: str = Field("resnet18", description="a timm model")
    init: str | None = Field(None, description="encoder whose weights the backbone starts from")
    settings: SerializeAsAny[MethodSettings] = Field(description="of the method")
    training: TrainSettings = Field(description="of the loop")
    faces: int = Field(description="how many faces the set holds")
    faces_sha256: str = Field(description="digest of the faces' content hashes")

    def to_yaml(self) -> str:
        """Write the recipe as YAML, in the order of the fields."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)

    def require_same(self, path: Path) -> None:
        """Check that the recipe saved at ``path`` is this one.

        Raises:
            TrainingError: it differs; the message says in what.
        """
        saved = _flatten(yaml.safe_load(path.read_text()))
        mine = _flatten(self.model_dump(mode="json"))
        changed = [
            f"{key} was {saved.get(key)!r} and is {mine.get(key)!r}"
            for key in sorted(saved.keys() | mine.keys())
            if saved.get(key) != mine.get(key)
        ]
        if changed:
            raise TrainingError(
                f"the run in {str(path.parent)!r} has another recipe ({'; '.join(changed[:5])}); "
                "resume with the same settings or choose another -o"
            )


def parse_assignments(pairs: Iterable[str]) -> dict[str, Any]:
    """Turn ``views.size=64`` and the like into a flat dict; values are YAML.

    Raises:
        InputError: a pair without "=".
    """
    parsed = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise InputError(f"--set takes key=value, such as views.size=64, and not {pair!r}")
        parsed[key.strip()] = yaml.safe_load(value)
    return parsed


def resolve_recipe(
    method: str,
    overrides: Mapping[str, Any],
    training: Mapping[str, Any],
    **rest: Any,  # noqa: ANN401
) -> Recipe:
    """Check all settings against the method's and the loop's tables and fill in the defaults.

    Args:
        method: a name of METHODS.
        overrides: dotted keys of method or training settings, such as ``views.size`` or ``lr``.
        training: settings of the loop that were given by name; they yield to ``overrides``.
        rest: the other fields of `Recipe`.

    Raises:
        UnknownMethodError, UnknownSettingError: a name that is not there, with the nearest ones.
        InputError: a value of the wrong type or out of range.
    """
    kind = find_method(method).settings_type
    known_training, known_method = set(TrainSettings.model_fields), _dotted(kind)
    of_method: dict[str, Any] = {}
    of_training = dict(training)
    for key, value in overrides.items():
        if key in known_training:
            of_training[key] = value
        elif key in known_method:
            _place(of_method, key.split("."), value)
        else:
            raise UnknownSettingError(key, known_training | known_method)
    try:
        return Recipe(method=method, settings=kind(**of_method), training=TrainSettings(**of_training), **rest)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(
            f"the setting {where} cannot be {first['input']!r}: {first['msg'].removeprefix('Value error, ')}"
        ) from error


def _dotted(kind: type[BaseModel], prefix: str = "") -> set[str]:
    keys = set()
    for name, field in kind.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            keys |= _dotted(field.annotation, f"{prefix}{name}.")
        else:
            keys.add(prefix + name)
    return keys


def _place(tree: dict[str, Any], path: list[str], value: object) -> None:
    *parents, leaf = path
    for parent in parents:
        tree = tree.setdefault(parent, {})
    tree[leaf] = value


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {prefix + key: value}
    return flat
