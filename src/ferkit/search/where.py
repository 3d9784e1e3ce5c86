"""Conditions on the columns of a set, as SQL writes them: ``label = 'happiness' and abs(yaw) < 20``.

sqlglot parses them and pyarrow computes them; what is not in the tables below is refused, and nothing is ever run.
"""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlglot
from numpy.typing import NDArray
from sqlglot import exp
from sqlglot.errors import SqlglotError

from ferkit.data.face_table import WithColumns
from ferkit.errors import InputError

WHERE_HELP = "such as \"label = 'happiness' and abs(yaw) < 20 and source like '%trip%'\""

_LONGEST = 10_000

_COMPARISONS: Mapping[type[exp.Condition], Callable[..., Any]] = {
    exp.EQ: pc.equal,
    exp.NEQ: pc.not_equal,
    exp.LT: pc.less,
    exp.LTE: pc.less_equal,
    exp.GT: pc.greater,
    exp.GTE: pc.greater_equal,
}
_JUNCTIONS: Mapping[type[exp.Condition], Callable[..., Any]] = {exp.And: pc.and_kleene, exp.Or: pc.or_kleene}
_ARGUMENTS = {"this", "expression", "expressions", "low", "high", "negate"}


def rows_where(condition: str, faces: WithColumns) -> NDArray[np.bool_]:
    """Say which rows meet a condition, as SQL would: one that lacks a value meets no comparison with it.

    Args:
        condition: comparisons of columns with numbers, ``'text'`` or each other, ``in (…)``, ``[i]like``, ``between``,
            ``is [not] null``, ``abs()``, joined by ``and``, ``or``, ``not`` and parentheses.
        faces: a face set or an embedding set; only the columns that the condition names are read.

    Returns:
        (N,) booleans.

    Raises:
        InputError: the condition cannot be understood, or names no column; says which ones there are.
    """
    try:
        tree = _parse(condition)
        named = {column.name for column in tree.find_all(exp.Column)}
        if unknown := sorted(named.difference(faces.column_names)):
            near = get_close_matches(unknown[0], faces.column_names, n=1)
            raise _RefusalError(f"there is no column {unknown[0]!r}{f', did you mean {near[0]}?' if near else ''}")
        if not named:
            raise _RefusalError("it compares no column")
        truth = _truth(tree, faces.columns(sorted(named)))
    except (_RefusalError, RecursionError) as error:
        why = "it is nested too deep" if isinstance(error, RecursionError) else str(error)
        names = ", ".join(faces.column_names)
        raise InputError(
            f"--where {condition[:200]!r} cannot be used: {why}; compare the columns {names} with numbers or 'text', "
            f"{WHERE_HELP}"
        ) from None
    met: NDArray[np.bool_] = np.asarray(truth.fill_null(False).combine_chunks().to_numpy(zero_copy_only=False))
    return met


class _RefusalError(Exception):
    """Why a condition is not taken."""


def _parse(condition: str) -> exp.Condition:
    if len(condition) > _LONGEST:
        raise _RefusalError(f"it is longer than {_LONGEST:,} characters")
    try:
        return sqlglot.parse_one(condition, into=exp.Condition)
    except SqlglotError:
        raise _RefusalError("it is no condition as SQL writes them") from None


def _truth(node: exp.Condition, table: pa.Table) -> pa.ChunkedArray:
    """Return what is true of each row: true, false, or null where a value is missing."""
    kind = type(node)
    if kind is exp.Paren:
        return _truth(node.this, table)
    if kind is exp.Not:
        return pc.invert(_truth(node.this, table))
    if kind in _JUNCTIONS:
        return _JUNCTIONS[kind](_truth(node.this, table), _truth(node.expression, table))
    if kind in _COMPARISONS:
        return _compared(_COMPARISONS[kind], node.this, node.expression, table)
    if kind not in _TESTS or any(value for name, value in node.args.items() if name not in _ARGUMENTS):
        raise _RefusalError(f"{_shown(node)} is none of the comparisons that are known here")
    truth = _TESTS[kind](node, table)
    return pc.invert(truth) if node.args.get("negate") else truth


def _between(node: exp.Condition, table: pa.Table) -> pa.ChunkedArray:
    least = _compared(pc.greater_equal, node.this, node.args["low"], table)
    return pc.and_kleene(least, _compared(pc.less_equal, node.this, node.args["high"], table))


def _in(node: exp.Condition, table: pa.Table) -> pa.ChunkedArray:
    if not node.expressions:
        raise _RefusalError(f"{_shown(node)} lists no values")
    truth = _compared(pc.equal, node.this, node.expressions[0], table)
    for value in node.expressions[1:]:
        truth = pc.or_kleene(truth, _compared(pc.equal, node.this, value, table))
    return truth


def _is_null(node: exp.Condition, table: pa.Table) -> pa.ChunkedArray:
    if type(node.this) is not exp.Column or type(node.expression) is not exp.Null:
        raise _RefusalError(f"{_shown(node)} is not COLUMN is null")
    return pc.is_null(table.column(node.this.name))


def _like(node: exp.Condition, table: pa.Table) -> pa.ChunkedArray:
    values, pattern = _value(node.this, table), node.expression
    is_text = isinstance(values, pa.ChunkedArray) and _is_text(values)
    if type(pattern) is not exp.Literal or not pattern.is_string or not is_text:
        raise _RefusalError(f"{_shown(node)} is not COLUMN like 'text', the column one of text")
    return pc.match_like(values, pattern.this, ignore_case=type(node) is exp.ILike)


_TESTS: Mapping[type[exp.Condition], Callable[[exp.Condition, pa.Table], pa.ChunkedArray]] = {
    exp.Between: _between,
    exp.In: _in,
    exp.Is: _is_null,
    exp.Like: _like,
    exp.ILike: _like,
}


def _compared(
    compare: Callable[..., Any], left: exp.Condition, right: exp.Condition, table: pa.Table
) -> pa.ChunkedArray:
    a, b = _value(left, table), _value(right, table)
    if _is_text(a) != _is_text(b):
        raise _RefusalError(f"{_shown(left)} and {_shown(right)} are not both text or both numbers")
    if not any(isinstance(side, pa.ChunkedArray) for side in (a, b)):
        raise _RefusalError(f"{_shown(left)} and {_shown(right)} are both no column")
    return compare(a, b)


def _value(node: exp.Condition, table: pa.Table) -> pa.ChunkedArray | pa.Scalar:
    """Return a column or a constant, of text or of numbers."""
    kind = type(node)
    if kind is exp.Paren:
        return _value(node.this, table)
    if kind is exp.Literal:
        return pa.scalar(node.this if node.is_string else float(node.this))
    if kind is exp.Column and set(node.args) <= {"this"} | {name for name, value in node.args.items() if not value}:
        values = table.column(node.name)
        if pa.types.is_dictionary(values.type):
            values = values.cast(values.type.value_type)
        if not (_is_text(values) or _is_number(values)):
            raise _RefusalError(f"the column {node.name!r} holds neither text nor numbers")
        return values
    if kind in (exp.Neg, exp.Abs) and _is_number(values := _value(node.this, table)):
        return (pc.negate if kind is exp.Neg else pc.abs)(values)
    raise _RefusalError(f"{_shown(node)} is neither a column nor a number nor 'text'")


def _is_number(values: pa.ChunkedArray | pa.Scalar) -> bool:
    return bool(pa.types.is_integer(values.type) or pa.types.is_floating(values.type))


def _is_text(values: pa.ChunkedArray | pa.Scalar) -> bool:
    return any(kind(values.type) for kind in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view))


def _shown(node: exp.Condition) -> str:
    return repr(node.sql()[:80])
