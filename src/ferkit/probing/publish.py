"""Writes what was measured into the entry of the encoder that was probed."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from ferkit.atomic import atomic_path
from ferkit.encoders.registry import ENTRY_NAME, EncoderEntry, Metric, entry_to_yaml, load_registry, read_entry
from ferkit.errors import InputError
from ferkit.probing.report import DataStamp, EncoderReport, ProbeReport


def entry_file(encoder: str | Path) -> Path:
    """Return the file that holds the entry of an encoder: beside the weights of a run or a ``.safetensors`` file.

    Raises:
        InputError: the encoder has none that may be changed.
    """
    if str(encoder) in load_registry():
        raise InputError(
            f"the entry of {str(encoder)!r} is in models.yaml, which belongs to ferkit and cannot be changed here;"
            " give a run folder to --publish"
        )
    path = Path(encoder)
    file = path / ENTRY_NAME if path.is_dir() else path.with_suffix(".yaml")
    if path.suffix == ".npy" or not file.is_file():
        raise InputError(f"{str(encoder)!r} has no entry to write figures into; give a run folder to --publish")
    return file


def publish_report(report: ProbeReport, files: Sequence[Path]) -> None:
    """Write the figures of each encoder into its entry; those of the same protocol and data are replaced.

    ``files`` has the entry of each encoder, in the report's order.

    Raises:
        InputError: the weights are no longer those that were measured.
        OutputError: an entry cannot be written; those before it are.
    """
    for encoder, file in zip(report.encoders, files, strict=True):
        entry = read_entry(file)
        if entry.sha256 != encoder.sha256:
            raise InputError(f"the weights beside {str(file)!r} have changed since they were measured; probe again")
        metrics = list(_metrics(report, encoder))
        measured = {(metric.protocol, metric.data) for metric in metrics}
        kept = [metric for metric in entry.metrics if (metric.protocol, metric.data) not in measured]
        changed = EncoderEntry.model_validate({**dict(entry), "metrics": [*kept, *metrics]})
        with atomic_path(file) as partial:
            partial.write_text(entry_to_yaml(changed), encoding="utf-8")


def _metrics(report: ProbeReport, encoder: EncoderReport) -> Iterator[Metric]:
    data = (
        _data_words(report.data)
        if report.test is None
        else f"{_data_words(report.test)}, fitted on {_data_words(report.data)}"
    )
    for section in encoder.sections.values():
        for figure in section.figures:
            low, high = figure.interval or (0.0, 0.0)
            interval = None if figure.interval is None else (round(low, 4), round(high, 4))
            words = f"{figure.name}; {section.protocol}"
            yield Metric(protocol=words, data=data, value=round(figure.value, 4), interval=interval)


def _data_words(data: DataStamp) -> str:
    # The names of folders alone: a card travels, and the path on this machine is nobody's business.
    names = " ".join(Path(source).name for source in data.sources)
    return f"{names} ({data.faces} faces, {data.people} people, sha256 {data.sha256[:12]})"
