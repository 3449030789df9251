"""Readers of tables: JSON Lines, CSV (any delimiter), Parquet and XLSX."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO, NoReturn

from pipeline.errors import InputError
from pipeline.ingestion.incoming import Incoming, Parsed
from pipeline.ingestion.place import Place, bounded_lines
from pipeline.records import Message
from pipeline.settings import Columns

_FIELDS = ("id", "text", "subject", "channel", "sender", "sent_at", "thread", "pair")
_JSON_EXPECTED = {
    "not_utf8": "expected UTF-8",
    "not_json": "expected one JSON object on the line",
    "not_an_object": "expected a JSON object, found another JSON value",
}


def read_jsonl(stream: BinaryIO, place: Place, columns: Columns) -> Iterator[Parsed]:
    """Messages of a JSON Lines file: one object a line, UTF-8; empty lines are passed over."""
    found: set[str] = set()
    for number, (line, whole) in enumerate(bounded_lines(stream), 1):
        line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        if not line.strip():
            continue
        row = _object(line) if whole else "too_long"
        if isinstance(row, str):
            detail = _JSON_EXPECTED.get(row, "a line beyond any message's length")
            shown = line.decode("utf-8", "backslashreplace").rstrip("\r\n")
            yield place.rejection(number, row, detail, shown)
            continue
        found.update(row)
        yield from_row(row, columns, place, number)
    if found and columns.text not in found:
        refuse_columns(place, sorted(found), columns)


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


def read_parquet(stream: BinaryIO, place: Place, columns: Columns) -> Iterator[Parsed]:
    """Messages of a Parquet file, a thousand rows at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(stream) as file:
            check_columns(place, file.schema_arrow.names, columns)
            for batch in file.iter_batches(batch_size=1000):
                for row in batch.to_pylist():
                    number += 1
                    yield from_row(row, columns, place, number)
    except (pa.ArrowException, OSError, OverflowError, ValueError) as error:
        raise InputError(f"{place}: a damaged Parquet file ({error}).") from None


def read_xlsx(stream: BinaryIO, place: Place, columns: Columns) -> Iterator[Parsed]:
    """Messages of an Excel workbook's first sheet; its first row names the columns."""
    import warnings

    import openpyxl

    try:
        with warnings.catch_warnings():  # about styles and the like, which are not read
            warnings.simplefilter("ignore")
            book = openpyxl.load_workbook(stream, read_only=True, data_only=True)
            rows = book.worksheets[0].iter_rows(values_only=True)
            header = ["" if cell is None else str(cell) for cell in next(rows, ())]
            while header and not header[-1]:
                header.pop()
            check_columns(place, header, columns)
            for number, cells in enumerate(rows, 2):
                row = dict(zip(header, cells, strict=False))
                if any(value is not None for value in row.values()):
                    yield from_row(row, columns, place, number)
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001 (openpyxl raises anything on a damaged file)
        raise InputError(f"{place}: a damaged workbook ({type(error).__name__}).") from None


def check_columns(place: Place, found: Sequence[str], columns: Columns) -> None:
    """Refuse a header that lacks the text column or names a column twice.

    Raises:
        InputError: it does.
    """
    twice = sorted({name for name in found if found.count(name) > 1})
    if twice:
        raise InputError(f"{place}: column '{twice[0]}' stands twice; give each its own name.")
    if columns.text not in found:
        refuse_columns(place, found, columns)


def refuse_columns(place: Place, found: Sequence[str], columns: Columns) -> NoReturn:
    """Say that the text column is not there, what is, and how to name it."""
    names = ", ".join(name if len(name) <= 40 else name[:37] + "..." for name in found[:30])
    raise InputError(
        f"{place}: expected a column '{columns.text}' with the text of the message, found: "
        f"{names}. "
        "Say which column it is with data.columns.text (--set data.columns.text=NAME)."
    )


def from_row(row: dict[str, Any], columns: Columns, place: Place, where: object) -> Parsed:
    """The message of one row of a table, by the columns that `columns` names."""
    values = {field: row.get(getattr(columns, field)) for field in _FIELDS}
    text = values["text"]
    if not isinstance(text, str | None):
        detail = f"expected text in column '{columns.text}', found {type(text).__name__}"
        return place.rejection(where, "not_text", detail, _as_json(row))
    if not (text or "").strip():
        there = "nothing" if columns.text in row else "no such column"
        detail = f"expected text in column '{columns.text}', found {there}"
        return place.rejection(where, "empty_text", detail, _as_json(row))
    position = place.position(where)
    plain = {field: _plain(value) for field, value in values.items()}
    plain["id"] = plain["id"].strip() or f"{place.source}:{position}"
    read = {getattr(columns, field) for field in _FIELDS}
    extra = {name: _jsonable(value) for name, value in row.items() if name not in read}
    return Incoming(Message(**plain, source=place.source, position=position, extra=extra), row)


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
