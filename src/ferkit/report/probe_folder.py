"""The folder of a probe's report: report.json, report.html and pictures, replaced as a whole."""

import json
from dataclasses import replace
from pathlib import Path

from ferkit.atomic import output_errors
from ferkit.documents import read_json
from ferkit.errors import OutputError
from ferkit.probing.report import DataStamp, ProbeReport, as_json
from ferkit.progress import Progress
from ferkit.report.pages import save_page
from ferkit.staging import StagedOutput

REPORT, PAGE = "report.json", "report.html"


def earlier_protocols(out: Path) -> dict[str, list[str]]:
    """Return the encoders of the report in a folder, and the protocols of each; those of a new or empty one are none.

    Raises:
        OutputError: it is a file, or holds something and no report.
    """
    if out.exists() and not out.is_dir():
        raise OutputError(f"{str(out)!r} is a file, and a report is a folder; choose another -o")
    if not out.exists() or not any(out.iterdir()):
        return {}
    try:
        report = read_json(out / REPORT)
        return {encoder["name"]: list(encoder["sections"]) for encoder in report["encoders"]}
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise OutputError(f"{str(out)!r} holds files, but no report of `ferkit probe`; choose another -o") from error


def write_report(
    report: ProbeReport, out: Path, earlier: dict[str, list[str]], *, pictures: bool, progress: Progress
) -> None:
    """Write a report whole or not at all, and remove the pictures of the earlier one.

    Args:
        report: what to write.
        out: its folder.
        earlier: `earlier_protocols` of it.
        pictures: draw them.
        progress: told of what takes long.

    Raises:
        OutputError: it cannot be written, or the folder holds what is not ferkit's.
    """
    from ferkit.report.probe_figures import draw_figures, picture_paths  # matplotlib loads only here
    from ferkit.report.probe_page import page_of
    from ferkit.report.safe_picture import require_replaceable

    report = _without_paths(report)
    with StagedOutput(out / REPORT, {}, _refuse_foreign, files=True) as output, output_errors(out):
        output.begin()
        try:
            figures = draw_figures(report, output.folder, progress=progress) if pictures else []
            save_page(page_of(report, figures), output.folder / PAGE)
            text = json.dumps(as_json(report), indent=2, ensure_ascii=False) + "\n"
            (output.folder / REPORT).write_text(text, encoding="utf-8")
            names = [figure.path.name for figure in figures]
            for name in names:
                require_replaceable(out / name)
            output.commit([*names, PAGE, REPORT])
        finally:
            output.discard()
        for picture in picture_paths(out, earlier) - {out / name for name in names}:
            picture.unlink(missing_ok=True)


def _without_paths(report: ProbeReport) -> ProbeReport:
    """A report travels: what lies at an absolute path on this machine goes by its base name."""

    def base(place: str) -> str:
        return Path(place).name if Path(place).is_absolute() else place

    def stamp(data: DataStamp) -> DataStamp:
        return replace(data, sources=tuple(map(base, data.sources)))

    encoders = tuple(replace(encoder, encoder=base(encoder.encoder)) for encoder in report.encoders)
    test = None if report.test is None else stamp(report.test)
    return replace(report, data=stamp(report.data), test=test, encoders=encoders)


def _refuse_foreign(folder: Path) -> None:
    if not all(child.suffix in (".png", ".html", ".json", ".jsonl", ".lock") for child in folder.iterdir()):
        raise OutputError(f"{str(folder)!r} is in the way and not ferkit's; move it or choose another -o")
