"""The recipe: every setting of a pre-training run, resolved and checked, as one YAML file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, TypeAdapter, ValidationError

from ferkit.data.face_set import FaceSet
from ferkit.documents import parse_yaml, read_yaml
from ferkit.errors import InputError, MissingPathError, TrainingError, UnknownSettingError
from ferkit.methods import METHODS, MethodSettings, Preset, find_method, find_preset, scaled
from ferkit.pipeline.face_options import FaceOptions
from ferkit.pipeline.fingerprint import digest
from ferkit.pretraining.settings import PretrainSettings
from ferkit.printable import shortened
from ferkit.training.settings import MonitorSettings, TrainSettings

DEFAULT_METHOD = "contrawarping"
DEFAULT_BACKBONE = "resnet18"

_FREE = frozenset(
    {f"training.{name}" for name in ("checkpoint_steps", "checkpoint_minutes", "checkpoints", "log_steps", "trackers")}
    | {f"training.monitor.{name}" for name in MonitorSettings.model_fields}
)
"""Settings that change no weight: a run may go on with other ones."""


class Recipe(BaseModel):
    """What reproduces a run, given the same faces and versions."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: str = Field(description="a name of METHODS")
    backbone: str = Field(DEFAULT_BACKBONE, description="a timm model")
    init: str | None = Field(None, description="encoder whose weights the backbone starts from")
    settings: SerializeAsAny[MethodSettings] = Field(description="of the method")
    training: TrainSettings = Field(description="of the loop")
    options: dict[str, Any] = Field(default_factory=dict, description="fields of FaceOptions that are not the default")
    faces: int = Field(0, description="how many faces the set holds")
    faces_sha256: str = Field("", description="digest of the faces' content hashes")

    def with_faces(self, faces: FaceSet, *, batch_size: int) -> Recipe:
        """Complete it by the faces to learn from: their number and digest, and their labels where the method has any.

        Raises:
            TrainingError: the method cannot learn from these labels.
        """
        settings = self.settings
        if "label" in find_method(self.method).batch_fields:
            settings = settings.for_labels(faces.column("label").to_pylist())
        hashes = "".join(faces.column("sha256").to_pylist())
        update = {
            "settings": settings,
            "training": self.training.model_copy(update={"batch_size": batch_size}),
            "faces": len(faces),
            "faces_sha256": hashlib.sha256(hashes.encode()).hexdigest(),
        }
        return self.model_copy(update=update)

    def to_yaml(self) -> str:
        """Write the recipe as YAML, in the order of the fields."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)

    def require_same(self, path: Path) -> None:
        """Check that the recipe saved at ``path`` gives the same weights as this one.

        How often a run is looked at, logged and saved may differ. A setting that the saved recipe does not name, as it
        is older, must have its default.

        Raises:
            TrainingError: it differs; the message says in what.
        """
        saved = _flatten(RecipeFile.read(path).model_dump(exclude_unset=True))
        mine, usual = _flatten(self.model_dump(mode="json")), self._defaults()
        changed = [
            f"{key} was {saved.get(key, usual.get(key))!r} and is {mine.get(key)!r}"
            for key in sorted((saved.keys() | mine.keys()) - _FREE)
            if saved.get(key, usual.get(key)) != mine.get(key)
        ]
        if changed:
            raise TrainingError(
                f"the run in {str(path.parent)!r} has another recipe ({'; '.join(changed[:5])}); "
                "resume with the same settings or choose another -o"
            )

    def _defaults(self) -> dict[str, Any]:
        """What each setting is where nobody sets it."""
        usual = {
            "settings": type(self.settings)(),
            "training": TrainSettings(**find_method(self.method).train_defaults),
        }
        return _flatten({name: model.model_dump(mode="json") for name, model in usual.items()})


class RecipeFile(BaseModel):
    """A recipe as written, whole or in part: a run's ``recipe.yaml``, or a few settings of one; fields as in `Recipe`.

    All of it is checked but the values of ``settings`` and ``training``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: str | None = None
    backbone: str | None = None
    init: str | None = None
    settings: dict[str, Any] = {}
    training: dict[str, Any] = {}
    options: dict[str, Any] = {}
    faces: int | None = None
    faces_sha256: str | None = None

    @classmethod
    def read(cls, path: Path) -> RecipeFile:
        """Read a YAML file.

        Raises:
            InputError: it is missing, not YAML, or no recipe.
            UnknownSettingError: it says something that a recipe does not; names what is near.
        """
        try:
            content = read_yaml(path) or {}
        except FileNotFoundError:
            raise MissingPathError(path, "give a run's recipe.yaml") from None
        except (OSError, ValueError) as error:
            raise InputError(f"cannot read the recipe {str(path)!r}: {' '.join(str(error).split())}") from error
        if not isinstance(content, dict):
            raise InputError(f"{str(path)!r} is no recipe: it holds no names with values, as a run's recipe.yaml does")
        _require_settings(content, cls.model_fields)
        try:
            file = cls.model_validate(content)
            _require_settings(file.options, [option.name for option in fields(FaceOptions)])
            TypeAdapter(FaceOptions).validate_python(file.options)
        except ValidationError as error:
            problem = _first_problem("options", error)
            raise InputError(f"in the recipe {str(path)!r}, {problem}; see a run's recipe.yaml") from error
        return file

    def choice(self, name: str, override: str | None) -> str | None:
        """``method``, ``backbone`` or ``init``: as given, else what the file says."""
        stated: str | None = getattr(self, name)
        return override if override is not None else stated

    @property
    def face_options(self) -> dict[str, Any]:
        """How the run's sources were read, with tuples for lists."""
        return {name: tuple(value) if isinstance(value, list) else value for name, value in self.options.items()}

    @property
    def dotted(self) -> dict[str, Any]:
        """Dotted settings of the method and the loop: of the preset that the file names, then its own."""
        own = _flatten({"settings": self.settings, "training": self.training})
        return {**find_preset(self.method or "").settings, **own}


def _require_settings(names: Iterable[object], known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            raise UnknownSettingError(str(name), known)


def draft_recipe(settings: PretrainSettings, reading: FaceOptions, file: RecipeFile) -> Recipe:
    """Resolve what a run is told, over what a recipe file says; `Recipe.with_faces` completes it.

    Raises:
        UnknownMethodError, UnknownSettingError: a name that is not there, with the nearest ones.
        InputError: a setting, the preset, the parts or the backbone cannot be had with the method.
    """
    name = file.choice("method", settings.method) or DEFAULT_METHOD
    own = find_preset(name)
    preset = scaled(own if settings.method is not None else Preset(own.method), settings.preset)
    kind = find_method(preset.method)
    backbone = settings.backbone or preset.backbone or file.choice("backbone", None)
    if kind.network is not None and backbone not in (None, kind.network):
        raise InputError(
            f"{preset.method} learns a network of its own, {kind.network}, and no {backbone}; leave --backbone out"
        )
    if settings.parts is not None and "parts" not in kind.settings_type.model_fields:
        having = [name for name, each in METHODS.items() if "parts" in each.settings_type.model_fields]
        raise InputError(
            f"{preset.method} has no parts to choose; leave --parts out, or take --method {' or '.join(having)}"
        )
    by_name: dict[str, Any] = {name: getattr(settings, name) for name in ("epochs", "batch_size", "seed")}
    by_name["monitor.data"] = settings.monitor and str(settings.monitor)
    parts = {} if settings.parts is None else {"parts": settings.parts}
    options = {name: value for name, value in {**file.face_options, **reading.changed()}.items() if name != "workers"}
    return resolve_recipe(
        preset.method,
        {**parts, **_assignments(settings)},
        {name: value for name, value in by_name.items() if value is not None},
        file,
        preset=preset.settings,
        backbone=kind.network or backbone or DEFAULT_BACKBONE,
        init=file.choice("init", settings.init),
        options=options,
    )


def is_batch_stated(settings: PretrainSettings, file: RecipeFile) -> bool:
    """Whether somebody said how many faces a step takes."""
    stated = {*_assignments(settings), *file.dotted}
    return settings.batch_size is not None or not stated.isdisjoint({"batch_size", "training.batch_size"})


def _assignments(settings: PretrainSettings) -> Mapping[str, Any]:
    return settings.settings if isinstance(settings.settings, Mapping) else parse_assignments(settings.settings or ())


def parse_assignments(pairs: Iterable[str]) -> dict[str, Any]:
    """Turn ``views.size=64`` and the like into a flat dict; values are YAML.

    Raises:
        InputError: a pair without "=", or a value that is not YAML.
    """
    parsed = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise InputError(f"--set takes key=value, such as views.size=64, and not {pair!r}")
        try:
            parsed[key.strip()] = parse_yaml(value)
        except ValueError as error:
            raise InputError(f"the value of --set {pair!r} is not YAML; quote it, such as 'key=[0.1, 0.2]'") from error
    return parsed


def resolve_recipe(
    method: str,
    overrides: Mapping[str, Any],
    training: Mapping[str, Any],
    file: RecipeFile | None = None,
    preset: Mapping[str, Any] | None = None,
    **rest: Any,  # noqa: ANN401
) -> Recipe:
    """Check all settings against the method's and the loop's tables and fill in the defaults.

    Layers, the later ones winning: the loop's defaults, the method's, ``file``, ``preset``, ``training``,
    ``overrides``.

    Args:
        method: a name of METHODS.
        overrides: dotted keys of method or training settings, such as ``views.size`` or ``lr``; where both have one of
            that name, it needs ``settings.`` or ``training.`` in front, as in the recipe.
        training: settings of the loop that were given by name.
        file: a recipe to start from.
        preset: dotted settings of `ferkit.methods.presets`.
        rest: the other fields of `Recipe`.

    Raises:
        UnknownMethodError, UnknownSettingError: a name that is not there, with the nearest ones.
        InputError: a value of the wrong type or out of range, or a recipe of another method.
    """
    kind, usual, file = find_method(method).settings_type, find_method(method).train_defaults, file or RecipeFile()
    if (theirs := find_preset(file.method or method).method) != method:
        raise InputError(f"the recipe is of the method {theirs!r}, not {method!r}; leave --method out")
    settings_of = {"settings": _dotted_names(kind), "training": _dotted_names(TrainSettings)}
    tree: dict[str, Any] = {"settings": {}, "training": {}}
    methods, training_by_name = (
        {f"training.{key}": value for key, value in layer.items()} for layer in (usual, training)
    )
    for layer in (methods, file.dotted, preset or {}, training_by_name, overrides):
        for key, value in layer.items():
            *parents, leaf = _find(key, settings_of).split(".")
            branch = tree
            for parent in parents:
                branch = branch.setdefault(parent, {})
            branch[leaf] = value
    try:
        settings, loop = kind(**tree["settings"]), TrainSettings(**tree["training"])
        return Recipe(method=method, settings=settings, training=loop, **rest)
    except ValidationError as error:
        raise InputError(f"the setting {_first_problem('of the method', error)}") from error


def _first_problem(of_all: str, error: ValidationError) -> str:
    """Where a value is wrong, the value, shortened, and why."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or of_all
    return f"{where} cannot be {shortened(first['input'])}: {first['msg'].removeprefix('Value error, ')}"


def _find(key: str, settings_of: Mapping[str, set[str]]) -> str:
    """The setting's full name, with ``settings.`` or ``training.`` in front."""
    full = {f"{part}.{name}" for part, names in settings_of.items() for name in names}
    if key in full:
        return key
    matches = sorted(f"{part}.{key}" for part, names in settings_of.items() if key in names)
    if len(matches) > 1:
        raise InputError(f"both the method and the loop have a setting {key!r}; say {' or '.join(matches)}")
    if not matches:
        in_front = key.partition(".")[0] in settings_of
        raise UnknownSettingError(key, full if in_front else set().union(*settings_of.values()))
    return matches[0]


def _dotted_names(kind: type[BaseModel], prefix: str = "") -> set[str]:
    keys = set()
    for name, entry in kind.model_fields.items():
        if isinstance(entry.annotation, type) and issubclass(entry.annotation, BaseModel):
            keys |= _dotted_names(entry.annotation, f"{prefix}{name}.")
        else:
            keys.add(prefix + name)
    return keys


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def seedless_digest(run: Path) -> str | None:
    """Digest of the recipe of a run, or of its ``best``, but for its seed and how its faces were read; None: no run."""
    path = next((path for path in (run / "recipe.yaml", run.parent / "recipe.yaml") if path.is_file()), None)
    if path is None or not run.is_dir():
        return None
    recipe = RecipeFile.read(path).model_dump(exclude_unset=True)
    same = {name: value for name, value in recipe.items() if name != "options"}
    same["training"] = {**recipe.get("training", {}), "seed": None}
    return digest([json.dumps(same, sort_keys=True, default=str)])
