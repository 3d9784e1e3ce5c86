"""An expression head from the labels of a probe's faces."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from ferkit.errors import InputError
from ferkit.evaluation.calibration import fit_curve, sample_pairs
from ferkit.evaluation.head import at_temperature, fit_head, temperature_of, with_affect
from ferkit.evaluation.rows import has_embedding
from ferkit.evaluation.splits import identity_split
from ferkit.probing.data import ProbeData
from ferkit.probing.probed_encoders import ProbedEncoder
from ferkit.probing.protocols.base import people_to_keep_together

_HELD_OUT = 5


def save_own_head(subject: ProbedEncoder, data: ProbeData, path: Path) -> None:
    """Fit a head on all labelled faces of a probe's data and save it; valence and arousal too where they are known.

    Its temperature is fitted on a fifth of the people, by a head that learnt from the others. The curve of the same
    expression is fitted on pairs of people; it is left out where no class has two.

    Raises:
        InputError: the vectors are of no encoder, or there is too little to fit.
        OutputError: it cannot be written.
    """
    sha256, rows = subject.source.sha256, subject.train_rows
    if not sha256:
        raise InputError(f"{subject.name!r} has no weights that a head could belong to; probe an encoder")
    there = has_embedding(rows.vectors)
    labelled = data.labelled[there[data.labelled]]
    faces = rows.at(labelled)
    people = people_to_keep_together(faces.people)
    head = fit_head(sha256, faces.vectors, faces.true_labels, people)
    held_out = identity_split(faces.true_labels, list(faces.people), held_out=_HELD_OUT, seed=0)
    others, held_out_rows = faces.at(np.flatnonzero(~held_out)), faces.at(np.flatnonzero(held_out))
    trial = fit_head(sha256, others.vectors, others.true_labels, people_to_keep_together(others.people))
    head = at_temperature(head, temperature_of(trial, held_out_rows.vectors, held_out_rows.true_labels))
    with suppress(InputError):  # no class has two people
        head = replace(head, same=fit_curve(sample_pairs(faces.vectors, faces.true_labels, faces.identities)))
    valued = rows.at(data.valued[there[data.valued]])
    if len(valued):
        head = with_affect(head, valued.vectors, valued.affect, people_to_keep_together(valued.people))
    head.save(path)
