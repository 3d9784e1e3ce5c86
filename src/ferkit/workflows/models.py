"""What is in the zoo. Nothing here loads torch."""

from pathlib import Path

from ferkit.encoders.card import model_card
from ferkit.encoders.registry import ENTRY_NAME, EncoderEntry, load_registry, read_entry
from ferkit.errors import UnknownEncoderError


def list_encoders() -> list[EncoderEntry]:
    """Return the entries of models.yaml, in its order.

    Raises:
        InputError: models.yaml is not valid.
    """
    return list(load_registry().values())


def show_encoder(name_or_path: str | Path) -> EncoderEntry:
    """Return all that is known of an encoder; of weights on the hub also what was recorded when they were pulled.

    Args:
        name_or_path: a name of `list_encoders`, a run folder, or a ``.safetensors`` file with its entry beside it.

    Raises:
        UnknownEncoderError: there is no such name; says the nearest ones.
        InputError: an entry is not valid, or there is none beside the weights.
    """
    entry = _entry_of(name_or_path)
    if entry.weights.kind != "hub":
        return entry
    from ferkit.encoders.hub_repo import pinned_entry  # the hub's client loads only here

    return pinned_entry(entry)


def encoder_card(name_or_path: str | Path) -> str:
    """Return the model card of an encoder: Markdown with the front matter of the Hugging Face Hub.

    Args and errors are those of `show_encoder`.
    """
    return model_card(_entry_of(name_or_path), str(name_or_path))


def _entry_of(name_or_path: str | Path) -> EncoderEntry:
    path, registry = Path(name_or_path), load_registry()
    if (entry := registry.get(str(name_or_path))) is not None:
        return entry
    if path.is_dir():
        return read_entry(path / ENTRY_NAME)
    if path.is_file():
        return read_entry(path.with_suffix(".yaml"))
    raise UnknownEncoderError(str(name_or_path), registry)
