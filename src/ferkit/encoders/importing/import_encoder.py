"""Weights that others published, made into an encoder folder: read safely, renamed, fitted, saved with an entry."""

import re
import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from ferkit.atomic import atomic_path, output_errors
from ferkit.documents import parse_yaml
from ferkit.encoders.encoder import WEIGHTS_NAME, save_encoder
from ferkit.encoders.hashes import sha256_of
from ferkit.encoders.importing.checkpoint import read_checkpoint
from ferkit.encoders.importing.mapping import fit_network, networks_to_try, take_encoder
from ferkit.encoders.importing.origins import Supervision, pick_origin
from ferkit.encoders.registry import (
    ENTRY_NAME,
    OWN_MODELS,
    EncoderCard,
    EncoderEntry,
    TrainedOn,
    WeightsFile,
    entry_to_yaml,
    first_problem,
    load_registry,
    own_files,
    read_entry,
)
from ferkit.errors import InputError
from ferkit.locks import output_lock

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class ImportResult:
    """What an import gave."""

    folder: Path  # what `load_encoder` takes
    entry: EncoderEntry  # as written to its encoder.yaml
    dropped: dict[str, int]  # how many tensors were left out, by the first part of their names
    registered: Path | None  # the models file that has the entry now, if it was to


def import_encoder(
    file: str | Path,
    origin: str,
    out: str | Path | None = None,
    *,
    arch: str | None = None,
    name: str | None = None,
    input_size: int | None = None,
    supervision: Supervision | None = None,
    register: bool = False,
) -> ImportResult:
    """Make an encoder folder of a file of weights that another code base wrote; no code in the file is ever run.

    Args:
        file: a .safetensors file, or one of ``torch.save``.
        origin: a name of ORIGINS, which decides how tensors' names are read.
        out: the folder; None takes ``encoders/NAME``, with ``register`` the folder NAME beside your models file.
        arch: a timm name; None takes the network whose shapes fit.
        name: the encoder's name; None joins origin and arch.
        input_size: side of the images that the network is given, in pixels; None takes what it was trained with.
        supervision: what it learnt from; None takes what the origin's method learns from.
        register: add it to your own models file, the first of ``FERKIT_MODELS``, so that its name is enough.

    Raises:
        UnknownNameError: no such origin.
        UnknownBackboneError: timm has no network of this name.
        MissingPathError: there is no such file.
        WeightsError: the file is damaged or would run code, or its tensors do not fit.
        InputError: the file is a folder, what is in it cannot be an encoder, the folder exists, the name is taken, or
            there is no models file of yours to register in.
        OutputError: the result cannot be written; nothing was changed.
    """
    source, path = pick_origin(origin), Path(file)
    checkpoint = read_checkpoint(path, source.holders)
    state, dropped = take_encoder(checkpoint.tensors, source)
    fitted = fit_network(state, source, networks_to_try(state, source, arch, checkpoint.arch), input_size)
    name = name or f"{origin}-{fitted.arch}"
    if not _NAME.fullmatch(name):
        raise InputError(f"{name!r} cannot be an encoder's name; take letters, digits, '.', '_' and '-'")
    data = f"not stated; imported from {path.name} (SHA-256 {checkpoint.sha256})"
    try:
        card = EncoderCard(
            name=name,
            arch=fitted.arch,
            dim=fitted.dim,
            input_size=fitted.input_size,
            supervision=supervision or source.supervision,
            trained_on=TrainedOn(method=origin, data=data),
            paper=source.paper,
        )
    except ValidationError as error:
        raise InputError(f"{str(path)!r} cannot be an encoder: {first_problem(error)}") from error
    own = _own_file(card) if register else None
    folder = Path(out) if out is not None else (own.parent if own else Path("encoders")) / name
    if own is not None:
        _weights_below(folder, own)  # refuses a folder that the models file cannot name
    with output_errors(folder), output_lock(folder):
        entry = _earlier_import(folder, card)
        if entry is None:
            with atomic_path(folder) as temporary:
                temporary.mkdir()
                entry = save_encoder(temporary, fitted.state, card, half=False)
        if own is not None:
            with output_lock(own, wait=True):
                _register(entry, folder, own)
    return ImportResult(folder, entry, dict(Counter(dropped) + Counter(fitted.dropped)), own)


def _own_file(card: EncoderCard) -> Path:
    """The user's models file to write to, which may not exist yet, and in which the name is free or the card's own."""
    files = own_files()
    if not files:
        raise InputError(f"there is no models file of yours to register {card.name!r} in; set {OWN_MODELS} to its path")
    there = load_registry(own=[file for file in files if file != files[0] or file.is_file()]).get(card.name)
    if there is not None and not _says(there, card):
        raise InputError(f"there is an encoder {card.name!r} already; choose another --name")
    return files[0]


def _says(entry: EncoderEntry, card: EncoderCard) -> bool:
    return {name: getattr(entry, name) for name in dict(card)} == dict(card)


def _earlier_import(folder: Path, card: EncoderCard) -> EncoderEntry | None:
    """The entry in a folder that the same import has made; None where the folder is free."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return None
    if (folder / ENTRY_NAME).is_file() and (folder / WEIGHTS_NAME).is_file():
        entry = read_entry(folder / ENTRY_NAME)
        if _says(entry, card) and entry.sha256 == sha256_of(folder / WEIGHTS_NAME):
            return entry
    raise InputError(f"{str(folder)!r} exists already; choose another --out or remove it")


def _weights_below(folder: Path, own: Path) -> WeightsFile:
    """The folder's weights as an entry of the models file names them: by a path below its own folder."""
    try:
        relative = (folder / WEIGHTS_NAME).absolute().relative_to(own.parent.absolute())
        return WeightsFile(kind="file", file=relative.as_posix())
    except ValueError as error:  # pydantic's too
        raise InputError(
            f"{str(folder)!r} is not below {str(own.parent)!r}, the folder of your models file, in folders whose names "
            "are of letters, digits, '.', '_' and '-'; choose another --out"
        ) from error


def _register(entry: EncoderEntry, folder: Path, own: Path) -> None:
    """Add the entry at the end of the models file, unless it is there; all that stands there stays as it is."""
    if own.is_file() and entry.name in load_registry(own=[own]):
        return
    added = entry.model_copy(update={"weights": _weights_below(folder, own)})
    before = own.read_text(encoding="utf-8").rstrip("\n") if own.is_file() else ""
    if not _items(before):  # comments, which stay, or nothing at all
        before = (re.sub(r"^encoders:( *\[ *\])?", "", before, flags=re.MULTILINE) + "\nencoders:").lstrip("\n")
    first_item = re.search(r"^( *)- ", before, re.MULTILINE)
    item = "- " + textwrap.indent(entry_to_yaml(added), "  ").lstrip(" ")
    after = before + "\n" + textwrap.indent(item, first_item[1] if first_item else "  ")
    if _items(after) != [*_items(before), *_items("encoders:\n" + item)]:
        raise InputError(
            f"{str(own)!r} does not end in a list that lines can be added to; the encoder is in {str(folder)!r}, add "
            "the lines of its encoder.yaml by hand"
        )
    with atomic_path(own) as temporary:
        temporary.write_text(after, encoding="utf-8")


def _items(text: str) -> Sequence[object]:
    try:
        return (parse_yaml(text, aliases=True) or {}).get("encoders") or []
    except ValueError:
        return []
