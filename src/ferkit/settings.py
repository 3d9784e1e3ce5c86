"""Settings that are stated once: the command line and the Python API derive from fields made here.

This file imports nothing of ferkit, so that the command line can state what there is without loading anything else.
"""

from collections.abc import Mapping
from dataclasses import field, fields
from typing import Any, TypeVar

A = TypeVar("A")
B = TypeVar("B")


def setting(default: Any, description: str, **shown: Any) -> Any:  # noqa: ANN401 (as `dataclasses.field`)
    """Declare a field of a dataclass of settings.

    Args:
        default: its value where nobody sets it.
        description: what it does, in one sentence; the help of its option.
        shown: how the command line offers it: ``group`` it stands in, ``flags`` in place of ``--name``, ``kind`` in
            place of its type, ``metavar``, ``min`` of a number, ``default_text`` in place of the default,
            ``completion`` by a name of `ferkit.cli.completion`, ``parser`` of the text, which raises a `ValueError`
            that says what it expects.
    """
    metadata = {"description": description, **shown}
    if isinstance(default, Mapping):
        return field(default_factory=lambda: dict(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def part_settings(options: Mapping[str, Any], own: type[A], rest: type[B]) -> tuple[A, B]:
    """Make a dataclass of settings of those ``options`` that are its fields, and another one of all others."""
    names = {each.name for each in fields(own)}  # type: ignore[arg-type]
    return own(**{name: options[name] for name in options if name in names}), rest(
        **{name: options[name] for name in options if name not in names}
    )
