"""How `retrieve` is asked, who may be found and what is written: settings that load nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypedDict

from ferkit.errors import InputError
from ferkit.settings import setting

Pictures = str | Path | Sequence[str | Path]

MEAN, BEST = RULES = ("mean", "best")
"""How several examples are combined, see `ferkit.search.queries.Query`; the first is the default, since it measures
better."""

EXCLUDE, ONLY, ANY = SAME_PERSON = ("exclude", "only", "any")
"""What becomes of the faces of the query's person."""

_asking, _who = partial(setting, group="Ways to ask"), partial(setting, group="Who may be found")
_file = partial(setting, None, group="Answers as files")


@dataclass(frozen=True)
class RetrieveSettings:
    """What is asked for beside the query's pictures, which faces of the set may be found, and the files to write.

    Raises:
        InputError: a number is out of range.
    """

    k: int = setting(10, "How many faces to show.", flags=("-k",), min=1)
    face: int | None = setting(None, "Which face of the query, from 1, left to right.", default_text="the largest")
    negatives: Pictures = _asking(
        (), "A photo that does not show it.", flags=("--not",), metavar="PHOTO", kind=list[Path]
    )
    combine: str = _asking(MEAN, "How several examples are combined.", metavar="|".join(RULES))
    like: str | None = _asking(None, "An expression, such as surprise; no photo is needed.", metavar="CLASS")
    prototypes: str | Path | None = _asking(None, "A labelled set whose classes --like names.", metavar="SET.npy")
    before: str | Path | None = _asking(
        None, "With --to: what changed between two photos.", flags=("--from",), metavar="PHOTO"
    )
    after: str | Path | None = _asking(None, "The later photo.", flags=("--to",), metavar="PHOTO")
    rows: int | Sequence[int] = _asking((), "A row of the set.", flags=("--row",), metavar="N", kind=list[int])
    source: str | Path | None = _asking(
        None, "A picture of the set; --face says which face.", metavar="PHOTO", kind=str | None
    )
    min_probability: float | None = setting(
        None, "Leave out what is less likely to show the same expression.", metavar="P"
    )
    exclude_query: bool = setting(
        True, "Leave out the query and its copies.", flags=("--exclude-query/--include-query",)
    )
    same_person: str = _who(ANY, "What becomes of the query's person.", metavar="|".join(SAME_PERSON))
    one_per_person: bool = _who(False, "Show each person once.", flags=("--one-per-person",))
    identity: str | None = _who(None, "Who the query shows.", metavar="NAME", default_text="as the set says")
    exclude_identity: str | None = _who(None, "Leave out this person.", metavar="NAME")
    fold: bool = _who(
        True,
        "Show copies of a photo and frames of a clip as one; `alike` counts them among the nearest.",
        flags=("--fold/--all",),
    )
    where: str | None = setting(
        None,
        "Take the faces whose columns meet it, such as \"label = 'happiness' and abs(yaw) < 20 and source like "
        "'%trip%'\".",
        metavar="CONDITION",
        default_text="all",
    )
    montage: str | Path | None = _file("Draw the query and the faces found.", metavar="OUT.png")
    faces_sheet: str | Path | None = _file("Draw the query's faces with their numbers.", metavar="OUT.png")
    csv: str | Path | None = _file("A table of them.", metavar="OUT.csv")
    parquet: str | Path | None = _file("The same as parquet.", metavar="OUT.parquet")
    html: str | Path | None = _file("A page that needs no other file.", metavar="OUT.html")
    copy_to: str | Path | None = _file("Copies of the photos found, in order.", metavar="FOLDER")
    explain: str | Path | None = _file("Draw where the likeness comes from.", metavar="OUT.png")

    def __post_init__(self) -> None:
        require_rule(self.combine)
        if self.k < 1:
            raise InputError(f"{self.k} results were asked for; ask for 1 or more")
        if self.min_probability is not None and not 0 <= self.min_probability <= 1:
            raise InputError(f"--min-probability must lie between 0 and 1, not {self.min_probability}")


class RetrieveKeywords(TypedDict, total=False):
    """Keyword arguments of `RetrieveSettings`."""

    k: int
    face: int | None
    negatives: Pictures
    combine: str
    like: str | None
    prototypes: str | Path | None
    before: str | Path | None
    after: str | Path | None
    rows: int | Sequence[int]
    source: str | Path | None
    min_probability: float | None
    exclude_query: bool
    same_person: str
    one_per_person: bool
    identity: str | None
    exclude_identity: str | None
    fold: bool
    where: str | None
    montage: str | Path | None
    faces_sheet: str | Path | None
    csv: str | Path | None
    parquet: str | Path | None
    html: str | Path | None
    copy_to: str | Path | None
    explain: str | Path | None


def require_rule(rule: str) -> None:
    """Refuse what is none of `RULES` by an `InputError`."""
    if rule not in RULES:
        raise InputError(f"examples cannot be combined by {rule!r}; choose {' or '.join(RULES)}")
