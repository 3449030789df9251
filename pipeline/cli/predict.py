"""`outreach predict`: from new messages to predictions."""

import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pipeline.inference.classifier import Classifier
    from pipeline.inference.stream import Entry
    from pipeline.ingestion.incoming import Incoming
    from pipeline.records import Rejection
    from pipeline.settings import Columns


class Format(StrEnum):
    """How predictions are written."""

    table = "table"
    jsonl = "jsonl"
    csv = "csv"
    parquet = "parquet"
    label_studio = "label-studio"
    mbox = "mbox"


class BackendChoice(StrEnum):
    """What runs the network."""

    auto = "auto"
    onnx_int8 = "onnx-int8"
    onnx = "onnx"
    torch = "torch"


class SpeedChoice(StrEnum):
    """Who answers."""

    fast = "fast"
    balanced = "balanced"
    best = "best"


class Engine(StrEnum):
    """Where the work is done."""

    local = "local"
    ray = "ray"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(predict)


Model = Annotated[Path, typer.Option("--model", "-m", help="Model folder.")]
Column = Annotated[
    list[str] | None,
    typer.Option(metavar="FIELD=COLUMN", help="Where a file keeps a field; may be repeated."),
]
Lines = Annotated[bool, typer.Option("--lines", help="Each line of standard input is a message.")]
Workers = Annotated[
    int | None,
    typer.Option(min=1, help="With ray: workers at a time.", show_default="all that have room"),
]
Shard = Annotated[int, typer.Option(min=1, help="With ray: records answered as one piece.")]
Backend = Annotated[BackendChoice, typer.Option(help="What runs the network.")]
DEFAULT_MODEL = Path("models/default")


def predict(
    inputs: Annotated[
        list[str],
        typer.Argument(
            help="Texts, files or folders of any format `ingest` reads, or - for stdin."
        ),
    ],
    model: Model = DEFAULT_MODEL,
    format_: Annotated[
        Format | None,
        typer.Option(
            "--format",
            "-f",
            help="Default: by the output's name; without one, table on a terminal, else jsonl.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Write here; it appears when whole, and stopped work goes on when repeated.",
        ),
    ] = None,
    column: Column = None,
    lines: Lines = False,
    rejected: Annotated[
        Path | None, typer.Option(help="Write records that could not be read here, as JSONL.")
    ] = None,
    min_confidence: Annotated[
        float, typer.Option(min=0, max=1, help="Answers less sure than this become 'unsure'.")
    ] = 0.0,
    explain: Annotated[
        bool, typer.Option("--explain", help="Also give the sentence that makes each ask.")
    ] = False,
    speed: Annotated[
        SpeedChoice,
        typer.Option(
            help="best: the transformer; fast: its student; balanced: the student, and the "
            "transformer where that is unsure."
        ),
    ] = SpeedChoice.best,
    backend: Backend = BackendChoice.auto,
    engine: Annotated[
        Engine, typer.Option(help="ray: on a cluster, tables in and a folder of tables out.")
    ] = Engine.local,
    workers: Workers = None,
    shard: Shard = 5000,
) -> None:
    """Tell what messages ask for.

    Exit codes: 0 done; 1 an input, a model or an output is not usable; 2 wrong options;
    130 stopped by Ctrl-C; 141 the reader of the output has gone. Records that cannot be
    read are counted and do not change the code.

    Examples:

        outreach predict "Could you introduce me to your editor?"

        outreach predict inbox.jsonl --format csv --output answers.csv

        outreach predict archive.mbox --output answered.mbox --speed balanced

        outreach predict export.csv --column text=body --column subject=title

        outreach predict tasks.json --output pre-annotated.json

        pbpaste | outreach predict -

        RAY_ADDRESS=auto outreach predict archive/ --engine ray --output answers/
    """
    if engine is Engine.ray:
        from pipeline.cli.cluster import predict_on_ray

        predict_on_ray(
            inputs,
            model,
            output,
            columns_of(column),
            workers,
            shard,
            {"backend": backend.value, "speed": speed.value},
            min_confidence,
        )
        return
    from pipeline.inference.classifier import load
    from pipeline.inference.stream import names_file, predict_stream

    chosen = _format(format_, output)
    few = not any(given == "-" or names_file(given) for given in inputs)
    classifier = load(model, backend.value, speed.value, threads=1 if few else 0)
    refused = Rejections(rejected)
    with _incoming(inputs, column, lines, show=output is not None) as incoming:

        def answered(records: "Iterable[Incoming | Rejection]") -> "Iterator[Entry]":
            return predict_stream(classifier, records, min_confidence, explain)

        if output is not None:
            options = [chosen, speed, backend, min_confidence, explain, sorted(column or []), lines]
            _to_file(output, chosen, inputs, incoming, answered, classifier, options, refused)
        elif chosen is Format.table:
            from pipeline.cli.answers import write_table

            write_table(refused.out_of(answered(incoming)), sys.stdout)
        else:
            _to_pipe(chosen, refused.noting(answered(incoming)), classifier)
    refused.report()


class Rejections:
    """Counts what could not be read and keeps it where that was asked for."""

    def __init__(self, path: Path | None) -> None:
        """`path`: the JSON Lines file to keep it in."""
        self._path = path
        self._rows: list[str] = []
        self._reasons: Counter[str] = Counter()
        self._first = ""

    def noting(self, entries: "Iterable[Entry]") -> "Iterator[Entry]":
        """Pass all entries on, noting the rejected ones."""
        from pipeline.records import Rejection

        for entry in entries:
            if isinstance(entry, Rejection):
                self._note(entry)
            yield entry

    def out_of(self, entries: "Iterable[Entry]") -> "Iterator[Any]":
        """Pass on only what was answered."""
        from pipeline.records import Rejection

        return (entry for entry in self.noting(entries) if not isinstance(entry, Rejection))

    def _note(self, entry: "Rejection") -> None:
        self._first = self._first or f"{entry.source}, {entry.position}"
        self._reasons[entry.reason] += 1
        if self._path is not None:
            import json

            self._rows.append(json.dumps(entry.to_row(), ensure_ascii=False) + "\n")

    def report(self) -> None:
        """Write the file, and say on stderr how many there were."""
        if self._path is not None:
            from pipeline.store import atomic_path

            with atomic_path(self._path) as temporary, temporary.open("wb") as to:
                to.write("".join(self._rows).encode("utf-8", "backslashreplace"))
        if self._reasons:
            counted = ", ".join(f"{count} {reason}" for reason, count in self._reasons.items())
            kept = f"kept in {self._path}" if self._path else "--rejected FILE keeps them"
            typer.echo(
                f"{self._reasons.total()} record(s) not answered ({counted}); "
                f"the first at {self._first}; {kept}.",
                err=True,
            )


def _format(asked: Format | None, output: Path | None) -> Format:
    if output is None:
        return asked or (Format.table if sys.stdout.isatty() else Format.jsonl)
    from pipeline.errors import SettingsError
    from pipeline.inference.output import format_for

    chosen = asked or Format(format_for(output))
    if chosen is Format.table:
        raise SettingsError("--format table is for the terminal; a file takes any other format.")
    return chosen


@contextmanager
def _incoming(
    inputs: list[str], column: list[str] | None, lines: bool, show: bool
) -> "Iterator[Iterator[Incoming | Rejection]]":
    """The messages; with a bar of the bytes read, where a file is written from files."""
    from pipeline.inference.stream import incoming_from

    columns = columns_of(column)
    sizes = [_bytes_in(Path(given)) for given in inputs if len(given) <= 1024]
    if not show or not sum(sizes):
        yield incoming_from(inputs, columns, lines)
        return
    from pipeline.cli.console import TerminalProgress

    with TerminalProgress().task("Predicting (bytes)", sum(sizes)) as task:
        yield incoming_from(inputs, columns, lines, task.advance)


def _bytes_in(path: Path) -> int:
    try:
        files = path.rglob("*") if path.is_dir() else [path]
        return sum(file.stat().st_size for file in files if file.is_file())
    except (OSError, ValueError):
        return 0


def columns_of(pairs: list[str] | None) -> "Columns | None":
    """The columns that `--column` names; None where it names none."""
    if not pairs:
        return None
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


def _to_file(
    path: Path,
    chosen: Format,
    inputs: list[str],
    incoming: "Iterator[Incoming | Rejection]",
    answered: Any,
    classifier: "Classifier",
    options: list[Any],
    refused: Rejections,
) -> None:
    from pipeline.inference.output import Output, fingerprint

    if "-" in inputs:  # what comes through a pipe is another thing each time
        options = [*options, time.time_ns()]
    mark = fingerprint(inputs, classifier.folder, {"options": options})
    with Output(path, chosen, mark, version_of(classifier)) as output:
        if output.done:
            typer.echo(f"Going on after the first {output.done:,} records.", err=True)
            for _ in refused.noting(islice(incoming, output.done)):  # type: ignore[arg-type]
                pass
        for _ in refused.noting(output.write(answered(incoming))):
            pass


def _to_pipe(chosen: Format, entries: "Iterator[Entry]", classifier: "Classifier") -> None:
    from pipeline.inference.output import stream_sink

    sink = stream_sink(sys.stdout.buffer, chosen, version_of(classifier))
    for entry in entries:
        # What is there goes out together; a lone answer does not wait for others.
        sink.write([entry, *islice(entries, 31)])
    sink.finish()
    sys.stdout.flush()


def version_of(classifier: "Classifier") -> str:
    """How the model is named beside its answers."""
    return f"outreach-intent {classifier.version} {classifier.folder.name}"
