"""Readers of tables: JSON Lines, CSV (any delimiter) and Parquet."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from pipeline.errors import InputError
from pipeline.ingestion.sources import Incoming
from pipeline.records import Message, Rejection
from pipeline.settings import Columns

MAX_FIELD = 10_000_000
"""Characters in one CSV field; a longer one is an unclosed quote."""

_FIELDS = ("id", "text", "subject", "channel", "sender", "sent_at", "thread", "pair")
_DELIMITERS = ",;\t|"
_BOM = b"\xef\xbb\xbf"


def read_jsonl(path: Path, columns: Columns) -> Iterator[Incoming | Rejection]:
    """Messages of a JSON Lines file: one object a line, UTF-8; empty lines are passed over."""
    with path.open("rb") as lines:
        yield from read_jsonl_lines(lines, str(path), columns)


def read_jsonl_lines(
    lines: Iterable[bytes], source: str, columns: Columns
) -> Iterator[Incoming | Rejection]:
    """The same from any stream of lines, such as standard input."""
    found: set[str] = set()
    for number, line in enumerate(lines, 1):
        line = line.removeprefix(_BOM) if number == 1 else line
        if not line.strip():
            continue
        row = _object(line)
        if isinstance(row, str):
            shown = line.decode("utf-8", "backslashreplace").rstrip("\r\n")
            yield Rejection(source, str(number), row, _JSON_EXPECTED[row], shown)
            continue
        found.update(row)
        yield from_row(row, columns, source, str(number))
    if found and columns.text not in found:
        _refuse_columns(source, sorted(found), columns)


_JSON_EXPECTED = {
    "not_utf8": "expected UTF-8",
    "not_json": "expected one JSON object on the line",
    "not_an_object": "expected a JSON object, found another JSON value",
}


def _object(line: bytes) -> dict[str, Any] | str:
    """The JSON object on a line, or the reason why there is none."""
    try:
        row = json.loads(line.decode("utf-8"), parse_constant=_no_json)
        # A lone surrogate escape is JSON, but no text that could ever be written again.
        if b"\\u" in line:
            json.dumps(row, ensure_ascii=False).encode("utf-8")
    except UnicodeError:
        return "not_utf8"
    except (ValueError, RecursionError):
        return "not_json"
    return row if isinstance(row, dict) else "not_an_object"


def _no_json(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def read_csv(path: Path, columns: Columns) -> Iterator[Incoming | Rejection]:
    """Messages of a CSV file with a header; comma, semicolon, tab or bar, as the header has it.

    All values are text: ``NA`` and ``null`` are words. A byte order mark and Excel's ``sep=``
    line are understood.
    """
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
        lines = _Lines(stream)
        first = next(lines, "")
        if first.lower().startswith("sep=") and len(first.rstrip("\r\n")) == 5:
            delimiter, first = first[4], next(lines, "")
        else:
            delimiter = max(_DELIMITERS, key=first.count)
        lines.push_back(first)
        csv.field_size_limit(MAX_FIELD)
        rows = csv.reader(lines, delimiter=delimiter, strict=True)
        header = _header(path, rows, columns)
        yield from _csv_records(path, rows, lines, header, columns)


def _csv_records(
    path: Path, rows: Iterator[list[str]], lines: _Lines, header: list[str], columns: Columns
) -> Iterator[Incoming | Rejection]:
    while True:
        lines.begin_record()
        try:
            values = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield lines.rejection(path, "malformed_row", f"not CSV: {error}")
            continue
        if not values:
            continue
        if any("\udc80" <= c <= "\udcff" for value in values for c in value):
            yield lines.rejection(path, "not_utf8", "expected UTF-8; save the file as UTF-8")
        elif len(values) != len(header):
            detail = f"expected {len(header)} values, found {len(values)}"
            yield lines.rejection(path, "malformed_row", detail)
        else:
            row = dict(zip(header, values, strict=True))
            yield from_row(row, columns, str(path), str(lines.began))


class _Lines:
    """Lines of a text stream that remember where the record under way began, and how it stands."""

    def __init__(self, stream: Iterable[str]) -> None:
        self._stream = iter(stream)
        self._waiting: list[str] = []
        self._record: list[str] = []
        self._number = 0
        self.began = 1

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._waiting.pop() if self._waiting else next(self._stream)
        self._number += 1
        self._record.append(line)
        return line

    def push_back(self, line: str) -> None:
        self._waiting.append(line)
        self._number -= 1

    def begin_record(self) -> None:
        self._record = []
        self.began = self._number + 1

    def rejection(self, path: Path, reason: str, detail: str) -> Rejection:
        raw = "".join(self._record).encode("utf-8", "surrogateescape")
        shown = raw.decode("utf-8", "backslashreplace").rstrip("\r\n")
        return Rejection(str(path), str(self.began), reason, detail, shown)


def _header(path: Path, rows: Iterator[list[str]], columns: Columns) -> list[str]:
    try:
        header = next(rows, [])
    except csv.Error as error:
        raise InputError(f"{path}: the header line is not CSV ({error}).") from None
    if not header:
        raise InputError(f"{path}: empty; expected a header line with the column names.")
    _check_columns(path, header, columns)
    return header


def read_parquet(path: Path, columns: Columns) -> Iterator[Incoming | Rejection]:
    """Messages of a Parquet file, a thousand rows at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            _check_columns(path, file.schema_arrow.names, columns)
            number = 0
            for batch in file.iter_batches(batch_size=1000):
                for row in batch.to_pylist():
                    number += 1
                    yield from_row(row, columns, str(path), str(number))
    except pa.ArrowException as error:
        raise InputError(f"{path}: a damaged Parquet file ({error}).") from None


def _check_columns(path: Path, found: list[str], columns: Columns) -> None:
    twice = sorted({name for name in found if found.count(name) > 1})
    if twice:
        raise InputError(f"{path}: column '{twice[0]}' stands twice; give each its own name.")
    if columns.text not in found:
        _refuse_columns(path, found, columns)


def _refuse_columns(path: Path | str, found: list[str], columns: Columns) -> NoReturn:
    names = ", ".join(name if len(name) <= 40 else name[:37] + "..." for name in found[:30])
    raise InputError(
        f"{path}: expected a column '{columns.text}' with the text of the message, found: {names}. "
        "Say which column it is with data.columns.text (--set data.columns.text=NAME)."
    )


def from_row(
    row: dict[str, Any], columns: Columns, source: str, position: str
) -> Incoming | Rejection:
    """The message of one row of a table, by the columns that `columns` names."""
    values = {field: row.get(getattr(columns, field)) for field in _FIELDS}
    text = values["text"]
    if not isinstance(text, str | None):
        detail = f"expected text in column '{columns.text}', found {type(text).__name__}"
        return Rejection(source, position, "not_text", detail, _as_json(row))
    if not (text or "").strip():
        there = "nothing" if columns.text in row else "no such column"
        detail = f"expected text in column '{columns.text}', found {there}"
        return Rejection(source, position, "empty_text", detail, _as_json(row))
    plain = {field: _plain(value) for field, value in values.items()}
    plain["id"] = plain["id"].strip() or f"{source}:{position}"
    read = {getattr(columns, field) for field in _FIELDS}
    extra = {name: _jsonable(value) for name, value in row.items() if name not in read}
    return Incoming(Message(**plain, source=source, position=position, extra=extra), row)


def _plain(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else str(_jsonable(value))


def _as_json(row: Mapping[str, Any]) -> str:
    return json.dumps({k: _jsonable(v) for k, v in row.items()}, ensure_ascii=False)


def _jsonable(value: Any) -> Any:
    """A value of a table as JSON can hold it; dates and the like become text."""
    if isinstance(value, str | bool | int | None):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(k): _jsonable(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(v) for v in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
