"""`outreach predict`: from new messages to predictions."""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipeline.inference.stream import Answered
    from pipeline.records import Rejection
    from pipeline.settings import Columns


class Format(StrEnum):
    """How predictions are written."""

    table = "table"
    jsonl = "jsonl"
    csv = "csv"


class BackendChoice(StrEnum):
    """What runs the network."""

    auto = "auto"
    onnx = "onnx"
    torch = "torch"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(predict)


def predict(
    inputs: Annotated[
        list[str],
        typer.Argument(help="Texts, files (JSONL, CSV, TSV, Parquet), or - for standard input."),
    ],
    model: Annotated[Path, typer.Option("--model", "-m", help="Model folder.")] = Path(
        "models/default"
    ),
    format_: Annotated[
        Format | None,
        typer.Option("--format", "-f", help="Default: table on a terminal, else jsonl."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write here; it appears when whole.")
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(metavar="FIELD=COLUMN", help="Where a file keeps a field; may be repeated."),
    ] = None,
    lines: Annotated[
        bool, typer.Option("--lines", help="Each line of standard input is a message.")
    ] = False,
    rejected: Annotated[
        Path | None, typer.Option(help="Write records that could not be read here, as JSONL.")
    ] = None,
    backend: Annotated[BackendChoice, typer.Option(help="What runs the network.")] = (
        BackendChoice.auto
    ),
) -> None:
    """Tell what messages ask for.

    Examples:

        outreach predict "Could you introduce me to your editor?"

        outreach predict inbox.jsonl --format csv --output answers.csv

        outreach predict export.csv --column text=body --column subject=title

        pbpaste | outreach predict -
    """
    from pipeline.inference.classifier import load
    from pipeline.inference.stream import incoming_from, predict_stream

    classifier = load(model, backend.value)
    incoming = incoming_from(inputs, _columns(column or []), sys.stdin.buffer, lines)
    refused: list[Rejection] = []
    answered = _without_rejections(predict_stream(classifier, incoming), refused)
    chosen = format_ or (Format.table if output is None and sys.stdout.isatty() else Format.jsonl)
    with _destination(output) as stream:
        _write(answered, chosen, stream)
    _report_rejected(refused, rejected)


def _columns(pairs: list[str]) -> "Columns":
    from pydantic import ValidationError

    from pipeline.errors import SettingsError
    from pipeline.settings import Columns

    values = dict(pair.partition("=")[::2] for pair in pairs)
    try:
        return Columns(**values)
    except ValidationError:
        known = ", ".join(Columns.model_fields)
        raise SettingsError(
            f"--column: expected FIELD=COLUMN with a field among {known}; found {', '.join(pairs)}"
        ) from None


def _without_rejections(
    entries: Iterable["Answered | Rejection"], refused: list["Rejection"]
) -> Iterator["Answered"]:
    from pipeline.records import Rejection

    for entry in entries:
        if isinstance(entry, Rejection):
            refused.append(entry)
        else:
            yield entry


@contextmanager
def _destination(output: Path | None) -> Iterator[IO[str]]:
    if output is None:
        yield sys.stdout
        sys.stdout.flush()
        return
    from pipeline.store import atomic_path

    with atomic_path(output) as temporary, temporary.open("w", encoding="utf-8", newline="") as to:
        yield to


def _write(answered: Iterator["Answered"], chosen: Format, stream: IO[str]) -> None:
    from pipeline.inference.stream import as_row, write_csv, write_jsonl

    if chosen is Format.table:
        _write_table(answered, stream)
    elif chosen is Format.csv:
        write_csv(map(as_row, answered), stream)
    else:
        write_jsonl(map(as_row, answered), stream)


def _write_table(answered: Iterable["Answered"], stream: IO[str]) -> None:
    from rich.console import Console
    from rich.table import Table

    from pipeline.records import NONE, render

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("primary", "asks", "scores", "message"):
        table.add_column(heading, no_wrap=heading != "scores", overflow="ellipsis")
    for entry in answered:
        found = entry.prediction
        best = sorted(found.scores.items(), key=lambda pair: -pair[1])[:3]
        table.add_row(
            found.primary,
            ", ".join(found.asks) or NONE,
            "  ".join(f"{label} {score:.2f}" for label, score in best),
            " ".join(render(entry.message.subject, entry.message.text).split())[:60],
        )
    Console(file=stream, markup=False, highlight=False).print(table)


def _report_rejected(refused: list["Rejection"], path: Path | None) -> None:
    if path is not None:
        import json

        from pipeline.store import atomic_path

        with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as to:
            to.writelines(json.dumps(r.to_row(), ensure_ascii=False) + "\n" for r in refused)
    if refused:
        reasons = Counter(r.reason for r in refused)
        counted = ", ".join(f"{count} {reason}" for reason, count in reasons.items())
        first = f"the first at {refused[0].source}, {refused[0].position}"
        kept = f"kept in {path}" if path else "--rejected FILE keeps them"
        typer.echo(f"{len(refused)} record(s) not answered ({counted}); {first}; {kept}.", err=True)
