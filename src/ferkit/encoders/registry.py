"""What ferkit knows of each encoder: one typed entry, the same in models.yaml and in a run's encoder.yaml."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ferkit.documents import read_yaml
from ferkit.errors import InputError, MissingPathError, UnknownEncoderError

ENTRY_NAME = "encoder.yaml"
"""The file of a run or an import that holds its one entry."""

OWN_MODELS = "FERKIT_MODELS"
"""The environment variable that names the users' own files."""

CROP = "ferkit-128"
"""The template of every encoder's crops, that of `ferkit.faces`; there is no other."""

CROP_SIDE = 128
"""Its side in pixels."""

CROP_SIDES = (128, 160, 256)
"""Sides in which it may be drawn."""


_PACKAGE = Path(__file__).parents[1]

# Lists of YAML become tuples; everything else must have its type already.
Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Rgb = Annotated[tuple[Finite, Finite, Finite], Field(strict=False)]
RgbScale = Annotated[tuple[Positive, Positive, Positive], Field(strict=False)]
Interval = Annotated[tuple[float, float], Field(strict=False)]

# Entries come from strangers too, and a terminal obeys control characters.
Line = Annotated[str, Field(pattern=r"^\P{Cc}+$")]
Text = Annotated[str, Field(pattern=r"^[\P{Cc}\n\t]*$")]

IMAGENET_MEAN: Rgb = (0.485, 0.456, 0.406)
IMAGENET_STD: RgbScale = (0.229, 0.224, 0.225)


def field_of(field: int, side: int) -> int:
    """Side in pixels of what an encoder sees of crops, given what it sees of those of `CROP_SIDE` or fewer pixels."""
    return round(field * side / CROP_SIDE) if side > CROP_SIDE else field


PREFIX = "hf-hub:"
"""How the name of an encoder on the Hugging Face Hub begins."""

PICKLED = frozenset({".pt", ".pth", ".bin", ".ckpt", ".pkl"})
"""Endings of the formats that can run code when they are opened."""


class _Strict(BaseModel):
    """No unknown keys, no silent conversions, no changes afterwards."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)


class WeightsFile(_Strict):
    """Where the weights lie."""

    kind: Literal["bundled", "file", "hub"]
    """``bundled``: inside the ferkit package. ``file``: beside the yaml file that holds this entry. ``hub``: in a
    repository of the Hugging Face Hub."""
    file: str = Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]*/)*[A-Za-z0-9][A-Za-z0-9._-]*\.safetensors$")
    """A file name; for ``file`` also one in folders below the yaml file. No entry reaches outside its own folder."""
    repo: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][\w.-]*/[\w.-]+$")
    """For ``hub``: the repository, such as ``timm/resnet18.a1_in1k``."""
    revision: str | None = Field(default=None, min_length=1)
    """For ``hub``: the commit as 40 hexadecimal digits. A branch or tag stands for the commit that it names when the
    weights are first pulled; that one is kept from then on."""

    @model_validator(mode="after")
    def _names_its_repo(self) -> WeightsFile:
        if (self.kind == "hub") != (self.repo is not None and self.revision is not None):
            raise ValueError("weights of the kind 'hub', and no others, have a repo and a revision")
        if self.kind != "file" and "/" in self.file:
            raise ValueError("only weights of the kind 'file' may lie in a folder")
        return self


class TrainedOn(_Strict):
    """How the weights came about."""

    method: Text
    """A name of METHODS, such as ``contrawarping``."""
    recipe: Text | None = None
    """The file with every setting of the run, relative to the repository or the run folder."""
    data: Text
    """The pictures, in words."""
    faces: int | None = Field(default=None, ge=1)
    """How many different faces were seen."""
    steps: int | None = Field(default=None, ge=0)
    """How many optimiser steps were made."""
    commit: Text | None = None
    """The commit of ferkit that made the run."""


class Metric(_Strict):
    """One measured figure; figures of different protocols are never compared."""

    protocol: Text
    """What was done, such as ``cross-identity triplets, cosine``."""
    data: Text
    """On which faces, with the split."""
    value: float
    """The figure, as a fraction where it is one (0.79, not 79 %)."""
    interval: Interval | None = None
    """Lower and upper end of the 95 % interval."""


class Licences(_Strict):
    """What one may do with it, in words or SPDX names."""

    code: Text
    """Of the code that builds and trains the network."""
    weights: Text
    """Of the weights: what their training pictures allow."""
    data: Text
    """Of the training pictures."""


class HeadFile(_Strict):
    """The `ferkit.encoders.expression_head.ExpressionHead` of an encoder, in the folder of its weights file."""

    file: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\.safetensors$")
    """Its name, without folders."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Of the file; checked before every use."""
    bytes: int = Field(ge=1)
    """Size of the file."""
    data: Text
    """The labelled faces that it was fitted on, and those that calibrated it, in words."""
    metrics: list[Metric] = []
    """What was measured of it."""


class EncoderCard(_Strict):
    """What an encoder is and which images it expects: all but where its weights lie."""

    name: Line
    """Unique in the registry; for a run, the run's name."""
    arch: Line
    """The network's name in timm."""
    dim: int = Field(ge=1)
    """Length of the vectors it gives."""
    input_size: int = Field(default=112, ge=8, le=1024)
    """Side in pixels of the square images that the network is given."""
    field: int = Field(default=112, ge=8)
    """Side in crop pixels of the centre square that these images show; resized to ``input_size`` where they differ."""
    crop: Line = CROP
    """The template that faces are aligned to before; no encoder of another is loaded."""
    gray: bool = False
    """Whether these images are brought to gray first: a network that has only seen gray faces is shown no others."""
    flip: bool = False
    """Whether features are the mean of those of a face and of its mirror image, at twice the cost."""
    mean: Rgb = IMAGENET_MEAN
    """Subtracted from RGB in [0, 1]."""
    std: RgbScale = IMAGENET_STD
    """Divides what is left."""
    supervision: Literal["none", "unsupervised", "weak", "supervised", "unknown"]
    """What it learnt from: nothing (random weights), no labels, coarse labels, or labels (of expressions, or of what
    ``trained_on`` says); ``unknown`` where its makers do not say."""
    trained_on: TrainedOn | None = None
    """How the weights came about; nothing for random weights."""
    metrics: list[Metric] = []
    """What was measured, each with its protocol."""
    licences: Licences | None = None
    """What one may do with it; every entry of models.yaml says so."""
    paper: Text | None = None
    """The paper whose method it is, such as ``arXiv:2303.09034``."""


class EncoderEntry(EncoderCard):
    """An encoder whose weights are in a file."""

    weights: WeightsFile
    """Where the weights lie."""
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    """Of the weights file; checked before every use. Only weights on the hub may lack it: it is recorded when they are
    first pulled."""
    bytes: int | None = Field(default=None, ge=1)
    """Size of the weights file; may be lacking where ``sha256`` may."""
    head: HeadFile | None = None
    """What reads classes of expressions off the vectors; fitted on labels, whatever ``supervision`` says."""

    @property
    def all_metrics(self) -> list[Metric]:
        """Of the encoder and of its head."""
        return [*self.metrics, *(self.head.metrics if self.head else ())]

    @model_validator(mode="after")
    def _has_a_hash(self) -> EncoderEntry:
        if self.weights.kind != "hub" and (self.sha256 is None or self.bytes is None):
            raise ValueError("weights that are not on the hub need their sha256 and bytes")
        return self


class _Zoo(_Strict):
    encoders: list[EncoderEntry] | None = None


_Model = TypeVar("_Model", bound=BaseModel)


def load_registry(path: Path | None = None, own: Sequence[Path] | None = None) -> dict[str, EncoderEntry]:
    """Return the entries of models.yaml and of the users' own files by name, in the files' order.

    Args:
        path: only this file, of the same form as models.yaml; None takes the one that ferkit carries, then ``own``.
        own: files of users, of the same form; None takes `own_files`.

    Raises:
        InputError: a file is missing, not YAML, an entry is wrong, or a name stands twice; says where.
    """
    if path is not None:
        return _read_shipped(path)
    registry = dict(_bundled_registry(_models_yaml()))
    for file in own_files() if own is None else own:
        for name, entry in _read_own(file).items():
            if name in registry:
                raise InputError(f"{str(file)!r} names an encoder {name!r}, which there is already; rename it there")
            registry[name] = entry
    return registry


def require_encoder(name_or_path: str | Path) -> None:
    """Refuse what names no encoder, before anything is loaded or fetched for it.

    Raises:
        UnknownEncoderError: no such name; says the nearest ones.
        MissingPathError: what looks like a path does not exist.
        InputError: a file of users' own encoders is wrong.
    """
    name, registry = str(name_or_path), load_registry()
    if name in registry or name.startswith(PREFIX) or Path(name_or_path).exists():
        return
    is_file_name = Path(name).suffix in PICKLED | {".safetensors"}
    if isinstance(name_or_path, Path) or is_file_name or "/" in name or os.sep in name:
        names = "a name of `ferkit models list`, a run folder, a .safetensors file, or hf-hub:USER/NAME"
        raise MissingPathError(name_or_path, f"give {names}")
    raise UnknownEncoderError(name, registry)


def own_files() -> list[Path]:
    """Return the users' own files of the form of models.yaml: those of ``FERKIT_MODELS``, separated as in ``PATH``."""
    paths = os.environ.get(OWN_MODELS, "").split(os.pathsep)
    return [Path(name).expanduser() for name in paths if name.strip()]


def registered_weights(entry: EncoderEntry) -> Path:
    """Return where the weights of an entry of `load_registry` lie that are not on the hub.

    Those of models.yaml always lie inside the package's weights folder.

    Raises:
        InputError: a link leads out of the folder of the file that holds the entry.
    """
    if entry.weights.kind == "bundled":
        return _PACKAGE / "weights" / entry.weights.file
    folder = next(own.parent for own in own_files() if entry.name in _read_own(own))
    path = folder / entry.weights.file
    if not path.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"the weights {str(path)!r} of {entry.name!r} lie outside {str(folder)!r}; copy them there")
    return path


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


def first_problem(error: ValidationError) -> str:
    """Return where an entry is wrong and how, without a full stop."""
    first, *others = error.errors()
    where = ".".join(str(part) for part in first["loc"]) or "the file"
    more = f" (and {len(others)} more)" if others else ""
    return f"{where}: {first['msg']}{more}"


def _models_yaml() -> Path:
    """The wheel carries models.yaml inside the package; a source tree has it at the top."""
    inside = _PACKAGE / "models.yaml"
    return inside if inside.is_file() else _PACKAGE.parents[1] / "models.yaml"


def _read_shipped(path: Path) -> dict[str, EncoderEntry]:
    registry = _entries(path)
    if not registry:
        raise InputError(f"{str(path)!r} names no encoder; it needs a list of 'encoders'")
    for entry in registry.values():
        if entry.weights.kind == "file" or entry.licences is None:
            raise InputError(
                f"{str(path)!r}: the entry {entry.name!r} needs its licences and weights bundled or on the hub"
            )
    return registry


_bundled_registry = cache(_read_shipped)  # ferkit's own does not change while it runs


def _read_own(path: Path) -> dict[str, EncoderEntry]:
    registry = _entries(path)
    for entry in registry.values():
        if entry.weights.kind == "bundled":
            raise InputError(f"{str(path)!r}: the weights of {entry.name!r} are of the kind 'bundled'; make it 'file'")
    return registry


def _entries(path: Path) -> dict[str, EncoderEntry]:
    entries = _read(path, _Zoo).encoders or []
    registry = {entry.name: entry for entry in entries}
    if len(registry) < len(entries):
        raise InputError(f"{str(path)!r} names an encoder twice; give every entry its own name")
    return registry


def _read(path: Path, model: type[_Model]) -> _Model:
    try:
        content: Any = read_yaml(path, aliases=True)
        return model.model_validate({} if content is None else content)
    except OSError as error:
        raise InputError(f"cannot read {str(path)!r}: {error.strerror or error}") from error
    except ValidationError as error:
        raise InputError(f"{str(path)!r} is not valid: {first_problem(error)}") from error
    except ValueError as error:
        raise InputError(f"cannot read {str(path)!r}: {error}") from error
