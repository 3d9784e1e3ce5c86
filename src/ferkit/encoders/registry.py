"""What ferkit knows of each encoder: one typed entry, the same in models.yaml and in a run's encoder.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ferkit.encoders import DEFAULT_ENCODER
from ferkit.errors import InputError

__all__ = [
    "DEFAULT_ENCODER",
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "EncoderCard",
    "EncoderEntry",
    "Licences",
    "Metric",
    "TrainedOn",
    "WeightsFile",
    "bundled_weights",
    "entry_to_yaml",
    "load_registry",
    "read_entry",
]

_PACKAGE = Path(__file__).parents[1]

# Lists of YAML become tuples; everything else must have its type already.
Rgb = Annotated[tuple[float, float, float], Field(strict=False)]
Interval = Annotated[tuple[float, float], Field(strict=False)]

IMAGENET_MEAN: Rgb = (0.485, 0.456, 0.406)
IMAGENET_STD: Rgb = (0.229, 0.224, 0.225)


class _Strict(BaseModel):
    """No unknown keys, no silent conversions, no changes afterwards."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)


class WeightsFile(_Strict):
    """Where the weights lie."""

    kind: Literal["bundled", "file"]
    """``bundled``: inside the ferkit package. ``file``: beside the yaml file that holds this entry."""
    file: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\.safetensors$")
    """A bare file name: no folder can be named, so no entry reaches outside its own."""


class TrainedOn(_Strict):
    """How the weights came about."""

    method: str
    """A name of METHODS, such as ``contrawarping``."""
    recipe: str | None = None
    """The file with every setting of the run, relative to the repository or the run folder."""
    data: str
    """The pictures, in words."""
    faces: int | None = Field(default=None, ge=1)
    """How many different faces were seen."""
    steps: int | None = Field(default=None, ge=0)
    """How many optimiser steps were made."""
    commit: str | None = None
    """The commit of ferkit that made the run."""


class Metric(_Strict):
    """One measured figure; figures of different protocols are never compared."""

    protocol: str
    """What was done, such as ``cross-identity triplets, cosine``."""
    data: str
    """On which faces, with the split."""
    value: float
    """The figure, as a fraction where it is one (0.79, not 79 %)."""
    interval: Interval | None = None
    """Lower and upper end of the 95 % interval."""


class Licences(_Strict):
    """What one may do with it, in words or SPDX names."""

    code: str
    """Of the code that builds and trains the network."""
    weights: str
    """Of the weights: what their training pictures allow."""
    data: str
    """Of the training pictures."""


class EncoderCard(_Strict):
    """What an encoder is and which images it expects: all but where its weights lie."""

    name: str = Field(min_length=1)
    """Unique in the registry; for a run, the run's name."""
    arch: str
    """The network's name in timm."""
    dim: int = Field(ge=1)
    """Length of the vectors it gives."""
    input_size: int = Field(default=112, ge=8)
    """Side in pixels of the square images that the network is given."""
    field: int = Field(default=112, ge=8)
    """Side in crop pixels of the centre square that these images show; resized to ``input_size`` where they differ."""
    crop: str = "ferkit-128"
    """The template that faces are aligned to before."""
    gray: bool = False
    """Whether these images are brought to gray first: a network that has only seen gray faces is shown no others."""
    mean: Rgb = IMAGENET_MEAN
    """Subtracted from RGB in [0, 1]."""
    std: Rgb = IMAGENET_STD
    """Divides what is left."""
    supervision: Literal["none", "unsupervised", "weak", "supervised"]
    """What it learnt from: nothing (random weights), no labels, coarse labels, or expression labels."""
    trained_on: TrainedOn | None = None
    """How the weights came about; nothing for random weights."""
    metrics: list[Metric] = []
    """What was measured, each with its protocol."""
    licences: Licences | None = None
    """What one may do with it; every entry of models.yaml says so."""
    paper: str | None = None
    """The paper whose method it is, such as ``arXiv:2303.09034``."""


class EncoderEntry(EncoderCard):
    """An encoder whose weights are in a file."""

    weights: WeightsFile
    """Where the weights lie."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Of the weights file; checked before every use."""
    bytes: int = Field(ge=1)
    """Size of the weights file."""


class _Zoo(_Strict):
    encoders: list[EncoderEntry] = Field(min_length=1)


_Model = TypeVar("_Model", bound=BaseModel)


def load_registry(path: Path | None = None) -> dict[str, EncoderEntry]:
    """Return the entries of models.yaml by name, in the file's order.

    Args:
        path: another file of the same form; None takes the one that ferkit carries.

    Raises:
        InputError: the file is missing, not YAML, or an entry is wrong; says where.
    """
    path = path or _models_yaml()
    entries = _read(path, _Zoo).encoders
    registry = {entry.name: entry for entry in entries}
    if len(registry) < len(entries):
        raise InputError(f"{str(path)!r} names an encoder twice; give every entry its own name")
    for entry in entries:
        if entry.weights.kind != "bundled" or entry.licences is None:
            raise InputError(f"{str(path)!r}: the entry {entry.name!r} needs bundled weights and its licences")
    return registry


def read_entry(path: Path) -> EncoderEntry:
    """Return the one entry of an encoder.yaml.

    Raises:
        InputError: the file is missing, not YAML, or the entry is wrong; says where.
    """
    return _read(path, EncoderEntry)


def entry_to_yaml(entry: EncoderEntry) -> str:
    """Return the entry as it stands in an encoder.yaml; `read_entry` gives it back."""
    fields = entry.model_dump(mode="json", exclude_none=True)
    return yaml.safe_dump(fields, sort_keys=False, allow_unicode=True, width=110)


def bundled_weights(entry: EncoderEntry) -> Path:
    """Return where the weights of an entry of models.yaml lie: always inside the package's weights folder."""
    return _PACKAGE / "weights" / entry.weights.file


def _models_yaml() -> Path:
    """The wheel carries models.yaml inside the package; a source tree has it at the top."""
    inside = _PACKAGE / "models.yaml"
    return inside if inside.is_file() else _PACKAGE.parents[1] / "models.yaml"


def _read(path: Path, model: type[_Model]) -> _Model:
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        return model.model_validate(content)
    except OSError as error:
        raise InputError(f"cannot read {str(path)!r}: {error.strerror or error}") from error
    except ValidationError as error:
        raise InputError(f"{str(path)!r} is not valid: {_first_problem(error)}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{str(path)!r} is not YAML: {' '.join(str(error).split())}") from error


def _first_problem(error: ValidationError) -> str:
    first, *others = error.errors()
    where = ".".join(str(part) for part in first["loc"]) or "the file"
    more = f" (and {len(others)} more)" if others else ""
    return f"{where}: {first['msg']}{more}"
