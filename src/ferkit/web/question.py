"""A question as the page's address holds it, so that an answer can be bookmarked and sent to somebody.

A face of the set is its row number, ``like=12``. One of a photo, which is kept nowhere, is its vector in 8 bits a
component, ``like=v…`` in base64: the cosines are right to three places.
"""

import base64
import binascii

import numpy as np
from numpy.typing import NDArray
from starlette.datastructures import QueryParams

from ferkit.errors import InputError
from ferkit.search.facets import Choice
from ferkit.search.questions import Example, Question
from ferkit.search.retrieve_settings import EXCLUDE, SAME_PERSON

FACETS = ("shows", "label", "folder", "month")
_MOST_EXAMPLES = 64
_MOST_AT_ONCE = 500


def question_of(query: QueryParams) -> Question:
    """Read the question of an address.

    Raises:
        InputError: a value is none that the page writes.
    """
    like, unlike = query.getlist("like"), query.getlist("unlike")
    if len(like) + len(unlike) > _MOST_EXAMPLES:
        raise InputError(f"{len(like) + len(unlike)} examples are more than {_MOST_EXAMPLES}; take some away")
    person = query.get("person", EXCLUDE)
    if person not in SAME_PERSON:
        raise InputError(f"person is {', '.join(SAME_PERSON)}, and not {person[:20]!r}")
    values = {name: query.getlist(name) for name in FACETS if name in query}
    return Question(
        [example_of(text) for text in like],
        [example_of(text) for text in unlike],
        query.get("expression"),
        person,
        once=query.get("once") == "1",
        least=_number(query, "least", 0, 0, 100) / 100,
        choice=Choice(values, query.getlist("quality"), query.get("find", "")[:200]),
        start=_number(query, "start", 0, 0, 2**31),
        count=_number(query, "count", 60, 1, _MOST_AT_ONCE),
    )


def example_of(text: str) -> Example:
    """Read a row number or a vector.

    Raises:
        InputError: it is neither.
    """
    if text.isascii() and text.isdecimal() and len(text) < 10:
        return int(text)
    try:
        content = base64.b64decode(text.removeprefix("v").encode("ascii"), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        content = b""
    levels = np.frombuffer(content, np.int8).astype(np.float32)
    length = float(np.linalg.norm(levels))
    if not text.startswith("v") or not length:
        raise InputError(f"{text[:20]!r} is no face that can be asked with; start from a photo again")
    return levels / np.float32(length)


def vector_text(vector: NDArray[np.float32]) -> str:
    """Write a (D,) vector for an address; `example_of` reads it."""
    peak = float(np.abs(vector).max()) or 1.0
    levels = np.round(vector * (127 / peak)).astype(np.int8)
    return "v" + base64.b64encode(levels.tobytes(), altchars=b"-_").decode("ascii")


def _number(query: QueryParams, name: str, default: int, least: int, most: int) -> int:
    text = query.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) < 11 and least <= int(text) <= most):
        raise InputError(f"{name} is a number from {least} to {most:,}, not {text[:20]!r}")
    return int(text)
