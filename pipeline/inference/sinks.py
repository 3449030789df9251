"""Any writer out: answers as JSON Lines, CSV, Label Studio tasks, a mailbox, or Parquet.

A sink writes entry by entry and can say how far its file goes, so that interrupted work is cut
back to the last whole chunk and goes on from there (`pipeline.inference.output`).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Protocol

from pipeline.errors import InputError
from pipeline.inference.stream import Answered, Entry, as_row
from pipeline.inference.tasks import as_task
from pipeline.ingestion import mbox
from pipeline.records import Rejection

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_HEADER = b"X-Outreach-"


class Sink(Protocol):
    """Writes answers to a stream that others open and close."""

    def write(self, entries: Sequence[Entry]) -> None:
        """Write some answers; of what was rejected most formats have nothing to say."""

    def finish(self) -> None:
        """Write what ends the file."""


class JsonLines:
    """One JSON object a line."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def write(self, entries: Sequence[Entry]) -> None:
        """See `Sink`."""
        rows = (as_row(entry) for entry in entries if isinstance(entry, Answered))
        lines = (json.dumps(row, ensure_ascii=False, default=_plain) + "\n" for row in rows)
        self._stream.write("".join(lines).encode("utf-8", "backslashreplace"))

    def finish(self) -> None:
        """See `Sink`."""


class Csv:
    """Comma-separated, one column a score.

    Cells that a spreadsheet would run as a formula get a leading apostrophe. The columns are those
    of the first chunk's rows; what a later row has beyond them, nobody could have foreseen, and is
    refused rather than lost.
    """

    def __init__(self, stream: IO[bytes], header: Sequence[str] = ()) -> None:
        """`header`: the columns, where the file already has its first line."""
        self._stream = stream
        self.header = list(header)

    def write(self, entries: Sequence[Entry]) -> None:
        """See `Sink`; raises `InputError` for a column that the header lacks."""
        rows = [_flat(as_row(entry)) for entry in entries if isinstance(entry, Answered)]
        text = io.StringIO(newline="")
        if rows and not self.header:
            self.header = list(dict.fromkeys(name for row in rows for name in row))
            csv.writer(text).writerow(map(_harmless, self.header))
        writer = csv.DictWriter(text, self.header, restval="")
        for row in rows:
            unknown = [name for name in row if name not in self.header]
            if unknown:
                raise InputError(
                    f"a record has a column '{unknown[0]}' that the first ones do not have, and a "
                    "CSV file's columns stand in its first line. Use --format jsonl or parquet."
                )
            writer.writerow(row)
        self._stream.write(text.getvalue().encode("utf-8", "backslashreplace"))

    def finish(self) -> None:
        """See `Sink`."""


class LabelStudio:
    """A JSON array of tasks, each with the answer among its predictions."""

    def __init__(self, stream: IO[bytes], version: str, begun: bool = False) -> None:
        """`version` names the model; `begun`: the file has tasks already."""
        self._stream, self._version, self._begun = stream, version, begun

    def write(self, entries: Sequence[Entry]) -> None:
        """See `Sink`."""
        for entry in entries:
            if isinstance(entry, Answered):
                found = entry.prediction
                task = as_task(found, entry.message, self._version, found.extra)
                text = json.dumps(task, ensure_ascii=False, default=_plain)
                start = ",\n" if self._begun else "[\n"
                self._stream.write((start + text).encode("utf-8", "backslashreplace"))
                self._begun = True

    def finish(self) -> None:
        """See `Sink`."""
        self._stream.write(b"\n]\n" if self._begun else b"[]\n")


class Mailbox:
    """The mailbox as it was, byte for byte, each mail with its answer in `X-Outreach-…` headers.

    Mails that could not be answered are copied as they are.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def write(self, entries: Sequence[Entry]) -> None:
        """See `Sink`; raises `InputError` for what does not come from an mbox file."""
        for entry in entries:
            where = entry if isinstance(entry, Rejection) else entry.message
            if not where.position.isdigit() or not Path(where.source).is_file():
                raise InputError(
                    f"{where.source}: mbox output needs mbox files as input, not packed ones, "
                    "folders or other formats; use --format jsonl."
                )
            headers = _mail_headers(entry) if isinstance(entry, Answered) else []
            with Path(where.source).open("rb") as mails:
                mails.seek(int(where.position))
                self._copy(mails, headers)

    def _copy(self, mails: IO[bytes], headers: Sequence[bytes]) -> None:
        """Copy one mail, with the headers put after its own."""
        first = mails.readline(mbox.MAX_LINE)
        ending = b"\r\n" if first.endswith(b"\r\n") else b"\n"
        self._stream.write(first)
        in_head, blank, skipped = True, False, False
        while line := mails.readline(mbox.MAX_LINE):
            if blank and mbox.SEPARATOR.match(line):
                return
            blank = line in (b"\n", b"\r\n")
            if in_head and blank:
                self._stream.writelines(header + ending for header in headers)
                in_head = False
            if in_head and headers:  # an older answer goes, with its folded lines
                mine = line.lower().startswith(_HEADER.lower())
                skipped = mine or (skipped and line.startswith((b" ", b"\t")))
            if not (in_head and skipped):
                self._stream.write(line)
        if in_head:
            self._stream.writelines(header + ending for header in headers)

    def finish(self) -> None:
        """See `Sink`."""


class Parquet:
    """One Parquet file for each chunk, which `join` makes into one."""

    def __init__(self, folder: Path, parts: int = 0) -> None:
        """`parts`: how many the folder holds already."""
        self._folder, self.parts = folder, parts

    def write(self, entries: Sequence[Entry]) -> None:
        """See `Sink`."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        rows = [as_row(entry) for entry in entries if isinstance(entry, Answered)]
        names = list(dict.fromkeys(name for row in rows for name in row))
        columns = {name: _column([row.get(name) for row in rows]) for name in names}
        pq.write_table(pa.table(columns), self._folder / _part(self.parts), compression="zstd")
        self.parts += 1

    def finish(self) -> None:
        """See `Sink`."""

    def join(self, path: Path) -> None:
        """Write all parts as one file; a column of several types becomes text."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        files = [self._folder / _part(number) for number in range(self.parts)]
        fields: dict[str, pa.DataType] = {}
        for file in files:
            for field in pq.read_schema(file):
                fields[field.name] = _common(fields.get(field.name), field.type)
        schema = pa.schema(list(fields.items()))
        with pq.ParquetWriter(path, schema, compression="zstd") as writer:
            for batch in _larger(files):
                columns = [_as_type(batch, name, kind) for name, kind in fields.items()]
                writer.write_table(pa.table(columns, schema=schema))


def _part(number: int) -> str:
    return f"{number:06}.parquet"


def _larger(files: Sequence[Path], rows: int = 65_536) -> Iterator[Any]:
    """The parts' tables, joined to larger ones where they are of one shape."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    held: list[Any] = []
    for file in files:
        table = pq.read_table(file)
        if held and (table.schema != held[0].schema or sum(map(len, held)) >= rows):
            yield pa.concat_tables(held)
            held = []
        held.append(table)
    if held:
        yield pa.concat_tables(held)


def _column(values: list[Any]) -> Any:
    import pyarrow as pa

    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError):
        return pa.array([None if v is None else _as_text(v) for v in values], pa.string())


def _common(old: Any, new: Any) -> Any:
    import pyarrow as pa

    if old is None or old == new:
        return new
    try:
        return (
            pa.unify_schemas(
                [pa.schema([("x", old)]), pa.schema([("x", new)])], promote_options="permissive"
            )
            .field("x")
            .type
        )
    except pa.ArrowException:
        return pa.string()


def _as_type(table: Any, name: str, kind: Any) -> Any:
    import pyarrow as pa

    if name not in table.column_names:
        return pa.nulls(len(table), kind)
    column = table.column(name)
    if column.type == kind:
        return column
    if kind == pa.string():
        texts = [None if v is None else _as_text(v) for v in column.to_pylist()]
        return pa.array(texts, kind)
    return pa.array(column.to_pylist(), kind)


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=_plain)


def _mail_headers(entry: Answered) -> list[bytes]:
    from email.header import Header

    found = entry.prediction
    values = {
        "Primary": found.primary,
        "Asks": ", ".join(found.asks),
        "Scores": ", ".join(f"{label}={score:.3f}" for label, score in found.scores.items()),
    }
    return [
        _HEADER + name.encode() + b": " + Header(value, maxlinelen=10_000).encode().encode("ascii")
        for name, value in values.items()
    ]


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if name == "scores":
            flat.update({f"score_{label}": score for label, score in value.items()})
        elif name == "asks":
            flat[name] = ";".join(value)
        elif isinstance(value, dict | list):
            flat[name] = json.dumps(value, ensure_ascii=False, default=_plain)
        else:
            flat[name] = _harmless(value)
    return flat


def _harmless(value: Any) -> Any:
    """A cell that no spreadsheet runs; plain numbers stay as they are."""
    if not isinstance(value, str) or not value.startswith(_FORMULA):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value


def _plain(value: Any) -> Any:
    """What JSON has no form for, in the form people know it in."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
