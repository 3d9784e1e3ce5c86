"""What is in the zoo. Nothing here loads torch."""

from __future__ import annotations

from ferkit.encoders.registry import EncoderEntry, load_registry
from ferkit.errors import UnknownEncoderError

__all__ = ["list_encoders", "show_encoder"]


def list_encoders() -> list[EncoderEntry]:
    """Return the entries of models.yaml, in its order.

    Raises:
        InputError: models.yaml is not valid.
    """
    return list(load_registry().values())


def show_encoder(name: str) -> EncoderEntry:
    """Return one entry of models.yaml.

    Raises:
        UnknownEncoderError: there is no such name; says the nearest ones.
        InputError: models.yaml is not valid.
    """
    registry = load_registry()
    if name not in registry:
        raise UnknownEncoderError(name, registry)
    return registry[name]
