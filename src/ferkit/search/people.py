"""Faces of the query's own person, by the identity column, else by the clip."""

from collections.abc import Sequence
from difflib import get_close_matches

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ferkit.data.embedding_set import EmbeddingSet
from ferkit.data.face_selection import codes
from ferkit.data.faces import Face
from ferkit.errors import InputError
from ferkit.search.retrieve_settings import ANY, ONLY, SAME_PERSON

Mask = NDArray[np.bool_]


def same_person_rows(
    embeddings: EmbeddingSet, faces: Sequence[Face], identity: str | None, same_person: str
) -> tuple[Mask | None, str | None]:
    """Return the rows that are left without the query's person, or with nobody else.

    Args:
        embeddings: the set.
        faces: those that are asked with, with what the set knows of them.
        identity: who they show; None takes what is known of them.
        same_person: of `SAME_PERSON`.

    Returns:
        (N,) booleans, None for all; and what told people apart: ``identity``, ``clip``, or ``nothing``; None where
        nobody asked.

    Raises:
        InputError: there is no such choice, the set does not know the identity, or nothing is known and nobody else
            may be found.
    """
    if same_person not in SAME_PERSON:
        raise InputError(f"--same-person is {', '.join(SAME_PERSON[:2])} or {SAME_PERSON[2]}, not {same_person!r}")
    if same_person == ANY:
        return None, None
    if identity is not None:
        theirs, by = rows_of_person(embeddings, identity, "--identity"), "identity"
    else:
        names = {name: {getattr(face, name) for face in faces} - {None} for name in ("identity", "clip")}
        known = next((name for name in names if names[name]), None)
        if known is None and same_person == ONLY:
            raise InputError("it is not known who the query shows, so that nobody can be found; add --identity NAME")
        if known is None:
            return None, "nothing"
        theirs, by = _among(embeddings.column(known), names[known]), known
    return theirs if same_person == ONLY else ~theirs, by


def people_known_by(embeddings: EmbeddingSet) -> str:
    """Return what tells the people of a set apart: ``identity``, else ``clip``, else ``nothing``."""
    known = (name for name in ("identity", "clip") if embeddings.column(name).null_count < len(embeddings))
    return next(known, "nothing")


def person_numbers(embeddings: EmbeddingSet) -> NDArray[np.int64]:
    """Return (N,) numbers of people, by the identity, where there is none by the clip; -1 where neither is known."""
    identities, names = codes(embeddings.column("identity"))
    clips, _ = codes(embeddings.column("clip"))
    return np.where((identities < 0) & (clips >= 0), clips + len(names), identities)


def rows_of_person(embeddings: EmbeddingSet, identity: str, option: str) -> Mask:
    """Return (N,) whether each face is of a person.

    Raises:
        InputError: none is; names the nearest identities, and the ``option`` that asked.
    """
    identities = embeddings.column("identity")
    theirs = _among(identities, {identity})
    if not theirs.any():
        known = sorted(pc.unique(identities.drop_null()).to_pylist())
        near = get_close_matches(identity, known, n=3, cutoff=0.4) or known[:8]
        hint = f"did you mean: {', '.join(near)}?" if near else "its faces have no identities, so leave it out"
        raise InputError(f"no face of the set has the identity {identity!r} ({option}); {hint}")
    return theirs


def _among(column: pa.ChunkedArray, values: set[str]) -> Mask:
    same: Mask = pc.is_in(column, pa.array(sorted(values), pa.string())).to_numpy()
    return same
