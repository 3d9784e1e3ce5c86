"""Which parts a method takes, and what each of them can be told."""

from difflib import get_close_matches
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field

from ferkit.data.clip_windows import Windows
from ferkit.methods.base import MethodSettings

Part = Literal["time-aug", "hard-neg", "face-swap", "mask-fn", "cutmix"]
PARTS: tuple[Part, ...] = get_args(Part)

IN_NT_XENT: tuple[Part, ...] = ("hard-neg", "mask-fn", "cutmix")
"""Parts that only mean something where each face has the others of its batch for negatives."""


def split_parts(parts: object) -> object:
    """``time-aug,hard-neg``, as a command line has it, as a list; anything else as it is."""
    return [name.strip() for name in parts.split(",") if name.strip()] if isinstance(parts, str) else parts


def _check_names(parts: object) -> object:
    for name in parts if isinstance(parts, list | tuple) else ():
        if name not in PARTS:
            near = get_close_matches(str(name), PARTS, n=1, cutoff=0.3)
            raise ValueError(f"no part is named {name!r}; {f'did you mean {near[0]}' if near else ', '.join(PARTS)}?")
    return parts


def _check_company(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    if "hard-neg" in parts and "time-aug" not in parts:
        raise ValueError("hard-neg needs time-aug: a hard negative is an anchor, with another frame for its positive")
    if {"cutmix", "mask-fn"} <= set(parts):
        raise ValueError(
            "cutmix and mask-fn do not go together: one gives a row two positives by shares, the other takes one of "
            "its negatives for a positive; leave one of them out"
        )
    return tuple(part for part in PARTS if part in parts)


PartsField = Annotated[
    tuple[Part, ...], AfterValidator(_check_company), BeforeValidator(_check_names), BeforeValidator(split_parts)
]


class PartsSettings(MethodSettings):
    """The parts and their numbers, which are the paper's."""

    parts: PartsField = Field((), description="any of time-aug, hard-neg, face-swap, mask-fn, cutmix")
    windows: Windows = Field(default_factory=Windows, description="time-aug, hard-neg: distances in seconds")
    swap: float = Field(0.8, ge=0, le=1, description="face-swap: chance of another person's outer face")
    descriptor: str = Field(
        "contrawarping-r18", description="mask-fn: fixed encoder that describes eyes and mouth (ferkit default)"
    )
    pull: float = Field(0.8, ge=0, description="mask-fn: weight of L2, which pulls the false negative")


def needs_of(settings: PartsSettings, *of_anchors: str) -> frozenset[str]:
    """What `draw_pairs` asks of a batch, see `ferkit.methods.base.Method.batch_fields`.

    Args:
        settings: of the method.
        of_anchors: what else the method must know of its anchors, such as "landmarks".
    """
    parts = set(settings.parts)
    of_faces = {*of_anchors, *({"clip"} if parts & {"face-swap", "mask-fn", "cutmix"} else ())}
    needs = set(of_faces)
    if "time-aug" in parts:
        needs |= {"positive", "moment", "positive_moment"}
    if "hard-neg" in parts:
        needs |= {"hard_negative", "hard_positive", *(f"hard_negative_{what}" for what in of_faces)}
        needs |= {"hard_negative_moment", "hard_positive_moment"}
    return frozenset(needs)
