"""How good is an encoder: linear, kNN, fine-tuned, affect, retrieval, triplets, and what it tells of identity."""

import platform
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from ferkit._version import __version__
from ferkit.atomic import atomic_path
from ferkit.encoders.weights import check_format
from ferkit.errors import InputError
from ferkit.evaluation.intervals import paired_interval
from ferkit.evaluation.rows import coverage
from ferkit.ops.device import pick_device
from ferkit.pipeline import FACES
from ferkit.pipeline.face_options import FaceOptions
from ferkit.pipeline.face_stream import source_paths
from ferkit.pretraining.recipe import seedless_digest
from ferkit.probing.data import ProbeData, open_data, read_label_map, rows_of_table
from ferkit.probing.folds import Split
from ferkit.probing.own_head import save_own_head
from ferkit.probing.plan import ProbePlan
from ferkit.probing.probed_encoders import ProbedEncoder, open_sources, probed_encoders
from ferkit.probing.protocols import RUNNERS, Task
from ferkit.probing.publish import entry_file, publish_report
from ferkit.probing.report import Comparison, EncoderReport, MetricValue, ProbeReport, Section
from ferkit.probing.settings import ALL, ProbeKeywords, ProbeOutputs, ProbeSettings
from ferkit.probing.vector_file import VectorFile, is_vector_file, open_vectors, require_one_encoder
from ferkit.progress import Progress, Silent
from ferkit.report.probe_folder import earlier_protocols, write_report
from ferkit.report.probe_table import figures_table, latex_tables
from ferkit.report.table_file import check_table_output, write_table_file
from ferkit.settings import part_settings

_USED = ("numpy", "scikit-learn", "timm", "torch")
"""Packages whose versions a report states."""

Sources = str | Path | Sequence[str | Path]


def probe(
    encoders: Sources,
    data: Sources | None = None,
    *,
    test: Sources | None = None,
    test_layout: str | None = None,
    protocol: str | Sequence[str] = ALL,
    label_map: str | Path | dict[str, str] | None = None,
    batch_size: int = 64,
    device: str | None = None,
    progress: Progress | None = None,
    **options: Unpack[ProbeKeywords],
) -> ProbeReport:
    """Measure frozen encoders on labelled faces.

    Features are computed once for each encoder and face set and kept (`ferkit.probing.feature_cache`).

    Args:
        encoders: names of models.yaml, run folders, ``.safetensors`` files, ``pixels``, ``random``, or ``.npy`` files
            of vectors.
        data: a face set, or whatever `align` takes; None takes the rows of the first ``.npy`` file, else ``faces``.
        test: the faces that are asked; None asks people of ``data`` whom the fit has not seen, or with
            ``test_layout`` another part of the same files.
        test_layout: ``layout`` of the test faces, such as ``raf-db:test``; None takes that of ``data``.
        protocol: names of `ferkit.probing.settings.PROTOCOLS`; ``all`` runs those that the data permit.
        label_map: new names of labels, see `ferkit.probing.data.read_label_map`.
        batch_size: faces per pass through a network.
        device: ``cpu``, ``cuda``, …; None takes the best one present.
        progress: told of every step.
        options: fields of `ferkit.probing.settings.ProbeSettings`, such as ``seeds=3``, of
            `ferkit.probing.settings.ProbeOutputs`, such as ``out="report"``, and of
            `ferkit.pipeline.face_options.FaceOptions`, such as ``min_size=40``.

    Raises:
        InputError: the data do not permit a protocol that was named, or permit none.
        EncoderMismatchError: faces or vectors do not go with an encoder.
        OutputError: the report or an entry cannot be written, or ``out`` holds something else than a report.
        FerkitError: an encoder or the faces cannot be opened.
    """
    names, protocol_names, progress = _as_list(encoders), _split_names(protocol), progress or Silent()
    outputs, others = part_settings(options, ProbeOutputs, dict)
    settings, face_options = part_settings(others, ProbeSettings, FaceOptions)
    protocols, reading, renamed = _protocols(protocol_names), face_options.changed(), read_label_map(label_map)
    entries, earlier = _check_outputs(outputs, names)

    files = [open_vectors(Path(name)) for name in names if is_vector_file(name)]
    train_data = _open(data or FACES, _train_file(data, files), reading, renamed, device, progress)
    reading_test = reading
    if test_layout is not None:
        test, reading_test = test or data or FACES, {**reading, "layout": test_layout}
    test_file = _test_file(test, names, files)
    test_data = None if test is None else _open(test, test_file, reading_test, renamed, device, progress)
    plan = ProbePlan(train_data, test_data, settings)
    runnable, skipped = _runnable(plan, protocols, device)

    sources = open_sources(names, files, device, batch_size, progress)
    subjects = probed_encoders(sources, train_data, test_data, test_file, progress)
    sections = _run(plan, subjects, runnable, skipped, ALL in protocol_names, device, progress)
    reports = [_describe(plan, *each) for each in zip(subjects, sections, strict=True)]
    report = ProbeReport(
        data=train_data.stamp(),
        test=None if test_data is None else test_data.stamp(),
        split=split.words if (split := _labelled_split(plan)) else "no classifier is fitted",
        settings={
            **asdict(settings),
            "label_map": renamed,
            "reading": reading,
            "test_layout": test_layout,
            "protocols": runnable,
            "device": str(pick_device(device)),
        },
        versions={
            "ferkit": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in _USED},
        },
        warnings=tuple(plan.warnings()),
        skipped=skipped,
        encoders=tuple(reports),
        comparisons=tuple(_comparisons(reports, settings.seed)) if outputs.compare else (),
    )
    if outputs.out is not None:
        write_report(report, Path(outputs.out), earlier, pictures=outputs.pictures, progress=progress)
    _write_tables(report, outputs)
    if outputs.publish:
        publish_report(report, entries)
    if outputs.save_head is not None:
        save_own_head(subjects[0], train_data, Path(outputs.save_head))
    return report


def _check_outputs(outputs: ProbeOutputs, names: Sequence[str]) -> tuple[list[Path], dict[str, list[str]]]:
    """Refuse outputs that cannot be had; return the encoders' entries to publish in, and `earlier_protocols`."""
    if not names:
        raise InputError("there is no encoder to probe; name one, such as contrawarping-r18")
    if outputs.compare and len(names) < 2:
        raise InputError(f"only {names[0]!r} was given, and a comparison needs two encoders or more")
    if outputs.csv is not None:
        check_table_output(Path(outputs.csv), ("protocol", "encoder", "figure"))
    if outputs.save_head is not None:
        if len(names) != 1:
            raise InputError(f"--save-head keeps the head of one encoder, and {len(names)} are probed; name one")
        check_format(Path(outputs.save_head))
    entries = [entry_file(name) for name in names] if outputs.publish else []
    return entries, {} if outputs.out is None else earlier_protocols(Path(outputs.out))


def _write_tables(report: ProbeReport, outputs: ProbeOutputs) -> None:
    if outputs.csv is not None:
        write_table_file(figures_table(report), Path(outputs.csv))
    if outputs.latex is not None:
        with atomic_path(Path(outputs.latex)) as partial:
            partial.write_text(latex_tables(report), encoding="utf-8")


def _as_list(names: Sources) -> list[str]:
    return [str(names)] if isinstance(names, str | Path) else [str(each) for each in names]


def _split_names(protocol: str | Sequence[str]) -> list[str]:
    return [name.strip() for part in _as_list(protocol) for name in part.split(",")]


def _protocols(names: Sequence[str]) -> list[str]:
    for name in names:
        if name not in RUNNERS and name != ALL:
            raise InputError(f"there is no protocol {name!r}; choose from {', '.join([*RUNNERS, ALL])}")
    return [name for name in RUNNERS if name in names or ALL in names]


def _train_file(data: Sources | None, files: Sequence[VectorFile]) -> VectorFile | None:
    """The opened file whose rows are fitted on, where no faces were named."""
    if data is None:
        return files[0] if files else None
    name = next(iter(_as_list(data)), "")
    same = next((file for file in files if str(file.path) == name), None)
    if same is None and is_vector_file(name):
        raise InputError(f"{name!r} holds vectors; give it as what is probed: `ferkit probe {name}`")
    return same


def _test_file(test: Sources | None, names: Sequence[str], files: Sequence[VectorFile]) -> VectorFile | None:
    """Open the vectors of the test faces, where they are a file: of the encoder of the one file that is probed."""
    if test is None or not is_vector_file(_as_list(test)[0]):
        return None
    if len(names) != 1 or len(files) != 1:
        raise InputError(f"{_as_list(test)[0]!r} holds the vectors of one encoder; probe one file of vectors with it")
    opened = open_vectors(Path(_as_list(test)[0]))
    require_one_encoder(files[0], opened)
    return opened


def _open(
    sources: Sources,
    file: VectorFile | None,
    reading: dict[str, Any],
    renamed: dict[str, str],
    device: str | None,
    progress: Progress,
) -> ProbeData:
    """The rows of a file of vectors, else the faces of the sources."""
    if file is not None:
        return rows_of_table(file.table, file.path, reading, renamed)
    return open_data(source_paths(_as_list(sources)), reading, renamed, device, progress)


def _runnable(plan: ProbePlan, protocols: Sequence[str], device: str | None) -> tuple[list[str], dict[str, str]]:
    """Return the protocols that the data permit; where all were named, also why others do not run.

    Raises:
        InputError: a protocol that was named alone cannot run, or none can.
    """
    runnable, problems = [], {}
    for name in protocols:
        try:
            RUNNERS[name].check(plan)
            runnable.append(name)
        except InputError as error:
            problems[name] = error
    every = len(protocols) == len(RUNNERS)
    if problems and not (every and runnable):
        raise next(iter(problems.values()))
    skipped = {name: str(error) for name, error in problems.items()}
    for name in {"finetune", "finetune-affect"} & {*runnable}:
        if every and pick_device(device).type == "cpu":
            runnable.remove(name)
            skipped[name] = f"all weights learn, which takes long on a CPU; ask for it: --protocol {name}"
    return runnable, skipped


def _run(
    plan: ProbePlan,
    subjects: Sequence[ProbedEncoder],
    runnable: list[str],
    skipped: dict[str, str],
    lenient: bool,
    device: str | None,
    progress: Progress,
) -> list[dict[str, Section]]:
    """Run every protocol on every encoder; with ``lenient``, one that fails is skipped and says why."""
    found: list[dict[str, Section]] = [{} for _ in subjects]
    leaks: dict[str, tuple[MetricValue, ...]] = {}
    for name in list(runnable):
        for sections, subject in zip(found, subjects, strict=True):
            progress.start(f"{name} of {subject.name}", None)
            try:
                sections[name] = RUNNERS[name].run(Task(plan, subject, device, progress, leaks))
            except InputError as error:
                if not lenient:
                    raise
                whose = f"{subject.name}: " if len(subjects) > 1 else ""
                skipped[name] = f"{whose}{error.command_line_text}"
    if not any(found):
        raise InputError(f"no protocol could run: {next(iter(skipped.values()))}")
    return found


def _describe(plan: ProbePlan, subject: ProbedEncoder, sections: dict[str, Section]) -> EncoderReport:
    source, split = subject.source, _labelled_split(plan)
    rows = np.arange(len(plan.test_data)) if split is None else split.test
    return EncoderReport(
        name=subject.name,
        encoder=source.reference,
        sha256=source.sha256,
        dim=source.dim,
        supervision=getattr(source, "supervision", None),
        coverage=coverage(subject.test_rows.vectors[rows]),
        sections=sections,
        test_faces=subject.test_faces(plan.test_data, rows),
        recipe=seedless_digest(Path(source.reference)),
    )


def _comparisons(encoders: Sequence[EncoderReport], seed: int) -> Iterator[Comparison]:
    """Yield the differences of the first encoder to each other, figure by figure, where the same faces were asked."""
    first, *others = encoders
    for other, name in product(others, first.sections):
        theirs = {figure.name: figure for figure in other.sections[name].figures} if name in other.sections else {}
        for figure in first.sections[name].figures:
            match = theirs.get(figure.name)
            if match is None or figure.statistic is None or match.statistic is None:
                continue
            if figure.people == match.people and len(set(figure.people)) > 1:
                difference = paired_interval(figure.statistic, match.statistic, figure.people, seed=seed)
                yield Comparison(name, figure.name, first.name, other.name, difference)


def _labelled_split(plan: ProbePlan) -> Split | None:
    """How classifiers learn labels; None where the data permit no classifier."""
    with suppress(InputError):
        return plan.labelled
    return None
