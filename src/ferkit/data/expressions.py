"""One vocabulary for the expressions of all data sets, and the ways that annotations write them down."""

from collections.abc import Mapping, Sequence

EXPRESSIONS = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt")

_SPELLINGS = {
    "happy": "happiness",
    "sad": "sadness",
    "surprised": "surprise",
    "fearful": "fear",
    "afraid": "fear",
    "disgusted": "disgust",
    "angry": "anger",
}

EXPRESSION_WORDS = (*EXPRESSIONS, *_SPELLINGS)
"""All words for them that data sets use."""


def expression(word: str) -> str:
    """Return the expression that ``word`` means, as `EXPRESSIONS` spells it; other words in lower case."""
    word = word.strip().lower()
    return _SPELLINGS.get(word, word)


def expression_of_code(text: str, codes: Mapping[int, str | None]) -> str | None:
    """Return the expression of a class number such as ``3`` or ``3.0000000e+00``; `ValueError` if there is none."""
    number = float(text)
    if number not in codes:
        raise ValueError(f"there is no class {text.strip()!r}")
    return codes[int(number)]


def affect(text: str, *, unknown: Sequence[float]) -> float | None:
    """Return a valence or arousal in [-1, 1], or None for a value of ``unknown``; `ValueError` for any other."""
    value = float(text)
    if value in unknown:
        return None
    if not -1 <= value <= 1:
        raise ValueError(f"{text.strip()!r} lies outside [-1, 1]")
    return value
