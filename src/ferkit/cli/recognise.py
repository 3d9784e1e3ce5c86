"""``ferkit recognise``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ferkit.cli.checks import require_names
from ferkit.cli.options import DeviceOpt, EncoderOpt, HeadOpt, JsonOpt, optional, with_face_options
from ferkit.cli.output import escape, run_and_report, short_path
from ferkit.cli.words import count_of, problem_lines
from ferkit.encoders import DEFAULT_ENCODER

if TYPE_CHECKING:
    from ferkit.workflows.recognise import RecogniseResult

_MOST = 20


@with_face_options()
def recognise(
    sources: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="SOURCE",
            help="Photos and videos in any form that `ferkit align` takes, a face set, or an embedding set.",
            show_default="faces",
        ),
    ] = None,
    out: Annotated[
        Path | None, optional("The table: .csv, .tsv or .parquet.", "--out", "-o", metavar="OUT.csv")
    ] = None,
    encoder: EncoderOpt = DEFAULT_ENCODER,
    head: HeadOpt = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Faces per pass through the network.")] = 64,
    device: DeviceOpt = None,
    json: JsonOpt = False,
    **options: object,
) -> None:
    """Say what every face shows: class probabilities, box, landmarks, head pose, quality."""
    arguments = dict(locals())
    require_names(sources, encoder=encoder)
    from ferkit.workflows.recognise import recognise as run

    run_and_report(run, arguments, _summary, _values)


def _values(result: RecogniseResult) -> dict[str, Any]:
    fields = {name: value for name, value in vars(result).items() if name != "table"}
    return {**fields, "rows": result.table.to_pylist()}


def _summary(result: RecogniseResult) -> str:
    shown = ", ".join(f"{name} {count:,}" for name, count in sorted(result.expressions.items(), key=lambda it: -it[1]))
    lines = [f"{count_of(result.faces, 'face')} by {escape(result.encoder)}: {escape(shown)}"]
    if result.path is None:
        lines += map(escape, _first_rows(result))
    lines += problem_lines(result)
    if result.path is not None:
        lines.append(f"table: [bold]{escape(str(result.path))}[/]")
    return "\n".join(lines)


def _first_rows(result: RecogniseResult) -> Iterator[str]:
    """The likeliest two classes of the first faces; the path stands last and is never broken."""
    width = max(map(len, result.classes))
    for row in result.table.slice(0, _MOST).to_pylist():
        shares = {name: row[column] for name, column in zip(result.classes, result.columns, strict=True)}
        best = sorted(shares, key=lambda name: -shares[name])[:2]
        likely = "  ".join(f"{name:<{width}} {shares[name]:.2f}" for name in best)
        yield f"{likely}  face {row['face']}  {short_path(row['source'])}"
    if result.faces > _MOST:
        yield f"… and {result.faces - _MOST:,} more (-o faces.csv writes all)"
