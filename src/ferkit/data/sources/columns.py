"""What a row of a table, or a sample's JSON, says of its picture beside the pixels."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from ferkit.data.sources.rules import COLUMNS, SourceRules
from ferkit.documents import parse_json
from ferkit.errors import InputError

BOX_SIDES = ("x0", "y0", "x1", "y1")
"""The four columns that hold a box where no single one does."""

Value = str | float | None

_USUAL_NAMES: Mapping[str, tuple[str, ...]] = {
    "image": (
        *("image", "img", "path", "file", "filename", "filepath", "file_name", "file_path", "image_path", "img_path"),
        *("image_name", "subdirectory_filepath", "pth", "img_bytes", "image_bytes", "filepaths", "paths", "images"),
    ),
    "label": (
        *("label", "expression", "emotion", "class", "labels", "expressions", "emotions", "target", "targets"),
        *("class_name", "expression_label", "emotion_label"),
    ),
    "identity": ("identity", "subject", "subject_id", "person", "person_id"),
}


class FactColumns:
    """The columns of a table that say something of its pictures, a row at a time.

    Args:
        table: its columns go by the names of `COLUMNS` and `BOX_SIDES`; others are passed over.
        class_names: for a column of class numbers, what each number stands for.
    """

    def __init__(self, table: pa.Table, class_names: Mapping[str, Mapping[Any, str]]) -> None:
        wanted = [name for name in table.column_names if name in (*COLUMNS, *BOX_SIDES) and name != "image"]
        self._columns = {name: table[name] for name in wanted}
        self._class_names = class_names

    def __call__(self, row: int) -> dict[str, Any]:
        """Return what row ``row`` says; `ValueError` where it cannot be understood."""
        values = {name: column[row].as_py() for name, column in self._columns.items()}
        for name, classes in self._class_names.items():
            values[name] = classes.get(values[name], values[name])
        return read_facts(values)


def find_columns(names: Iterable[str], rules: SourceRules, table: Path) -> dict[str, str]:
    """Find what each column of a table holds, by the rules or by the names in common use (capitals do not matter).

    Args:
        names: the table's columns.
        rules: the user's own names; they come first.
        table: the table's file, for the error.

    Returns:
        The table's column for each of `COLUMNS` that it has; four columns that make a box stay under `BOX_SIDES`.

    Raises:
        InputError: the table lacks a column that the rules name.
    """
    names = list(names)
    for ours, theirs in rules.columns.items():
        if theirs not in names:
            raise InputError(
                f"{str(table)!r} has no column {theirs!r} to take the {ours} from, only: {', '.join(names)}"
            )
    by_usual_name = {name.casefold(): name for name in reversed(names)}
    found = {
        ours: next((by_usual_name[name] for name in _USUAL_NAMES.get(ours, (ours,)) if name in by_usual_name), None)
        for ours in (*COLUMNS, *BOX_SIDES)
    }
    return {ours: theirs for ours, theirs in (found | dict(rules.columns)).items() if theirs is not None}


def label_column(columns: Mapping[str, str]) -> str:
    """Say which column of `find_columns` the labels come from; "" where there is none."""
    return f"column {columns['label']!r}" if "label" in columns else ""


def read_facts(values: Mapping[str, Any]) -> dict[str, Any]:
    """Read what a row says, each value as text or as a number.

    Args:
        values: by the names of `COLUMNS`, or `BOX_SIDES`; other keys are passed over.

    Returns:
        The fields of `Picture` that it states. Valence and arousal outside [-1, 1] (as AffectNet writes -2 for "none")
        are None, as is NaN.

    Raises:
        ValueError: a value cannot be understood; the message says which.
    """
    return dict(  # noqa: C408 (the fields of `Picture`)
        label=_text(values.get("label")),
        identity=_text(values.get("identity")),
        clip=_text(values.get("clip")),
        time_s=_number("time_s", values.get("time_s")),
        box=_box(values["box"] if "box" in values else [values.get(side) for side in BOX_SIDES]),
        valence=_rating("valence", values.get("valence")),
        arousal=_rating("arousal", values.get("arousal")),
    )


def _text(value: object) -> str | None:
    if isinstance(value, float) and value.is_integer():  # pandas makes floats of integers beside a gap
        value = int(value)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    return str(value).strip() or None


def _number(name: str, value: Value) -> float | None:
    if value is None or value == "":
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"its {name} {value!r} is no number") from None
    return number if math.isfinite(number) else None


def _rating(name: str, value: Value) -> float | None:
    rating = _number(name, value)
    return rating if rating is not None and -1 <= rating <= 1 else None


def _box(value: Value | Sequence[Value]) -> tuple[float, float, float, float] | None:
    sides = _sides(value)
    if all(side is None or side == "" for side in sides):
        return None
    try:
        x0, y0, x1, y1 = map(float, sides)
    except (TypeError, ValueError):
        raise ValueError(f"its box {value!r} is not four numbers") from None
    if not (x0 < x1 and y0 < y1 and all(map(math.isfinite, (x0, y0, x1, y1)))):
        raise ValueError(f"its box {value!r} is not x0, y0, x1, y1 with x0 < x1 and y0 < y1")
    return x0, y0, x1, y1


def _sides(value: Value | Sequence[Value]) -> Sequence[Any]:
    if not isinstance(value, str):
        return value if isinstance(value, list | tuple) else [value]
    try:
        listed = parse_json(f"[{value}]") if value.strip() else []
    except ValueError:
        return value.replace(",", " ").split()
    return listed[0] if len(listed) == 1 and isinstance(listed[0], list) else listed
