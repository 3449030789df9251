"""Labelled messages from a file: the label stage's own, or a user's table with labels.

A table (JSON Lines, CSV or Parquet) needs a text column and `asks`, a list or names joined by `;`.
`primary` may stand beside it; without it the first ask is the primary. A single-label table may
call its label column `label`, or what the settings' `data.columns.label` says.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import DataError, InputError
from pipeline.records import NONE, LabelledMessage
from pipeline.settings import Columns
from pipeline.store import read_records

_PLAIN = ("id", "subject", "channel", "sender", "sent_at", "thread", "pair")


def read_labelled(path: Path, columns: Columns) -> list[LabelledMessage]:
    """Read labelled messages; every column that is no field of a message lands in `extra`.

    Raises:
        InputError: the file is missing, unreadable, or of no known format.
        DataError: a row lacks a text or a label; the text counts them and names the first.
    """
    if path.suffix == ".parquet" and _is_ours(path):
        return read_records(path, LabelledMessage)
    messages: list[LabelledMessage] = []
    faults: list[str] = []
    for number, row in enumerate(_rows(path), start=1):
        try:
            messages.append(_message(row, columns, number, path))
        except DataError as error:
            faults.append(f"row {number}: {error}")
    if faults:
        raise DataError(
            f"{path}: {len(faults)} of {len(faults) + len(messages)} rows cannot be measured on; "
            f"the first is {faults[0]} Mend or remove them."
        )
    return messages


def _is_ours(path: Path) -> bool:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        names = set(pq.read_schema(path).names)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file.") from None
    except pa.ArrowInvalid as error:
        raise InputError(f"{path}: not a Parquet file ({error}).") from None
    return {"targets", "annotators", "extra", "asks", "primary"} <= names


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    readers = {".jsonl": _json_lines, ".ndjson": _json_lines, ".csv": _csv, ".parquet": _parquet}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise InputError(
            f"{path}: expected {', '.join(readers)}, found '{path.suffix}'. Convert the file first."
        )
    try:
        yield from reader(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file.") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 (byte {error.start}). Convert it first.") from None
    except csv.Error as error:
        raise InputError(f"{path}: not a CSV table ({error}).") from None


def _json_lines(path: Path) -> Iterator[Mapping[str, Any]]:
    with path.open(encoding="utf-8") as stream:
        for number, line in enumerate(stream, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError:
                raise InputError(f"{path}: line {number} is not JSON.") from None
            if not isinstance(row, dict):
                raise InputError(f"{path}: line {number} is JSON, but not an object.")
            yield row


def _csv(path: Path) -> Iterator[Mapping[str, Any]]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        yield from csv.DictReader(stream)


def _parquet(path: Path) -> Iterator[Mapping[str, Any]]:
    import pyarrow.parquet as pq

    yield from pq.read_table(path).to_pylist()


def _message(row: Mapping[str, Any], columns: Columns, number: int, path: Path) -> LabelledMessage:
    text = str(row.get(columns.text) or "").strip()
    if not text:
        raise DataError(f"no text in column '{columns.text}'.")
    asks = _asks(row, columns)
    primary = str(row.get("primary") or "") or (asks[0] if asks else NONE)
    taken = {columns.text, "asks", "primary"}
    plain: dict[str, Any] = {}
    for name in _PLAIN:
        column = getattr(columns, name)
        plain[name] = str(row.get(column) or "")
        taken.add(column)
    plain["id"] = plain["id"] or f"{path.stem}-{number}"
    extra = {key: value for key, value in row.items() if key is not None and key not in taken}
    source = str(extra.pop("source", "") or path.name)
    return LabelledMessage(
        text=text, asks=asks, primary=primary, source=source, extra=extra, **plain
    )


def _asks(row: Mapping[str, Any], columns: Columns) -> tuple[str, ...]:
    names = [columns.label] if columns.label else []
    for column in (*names, "asks", "label"):
        if column in row:
            return _labels(row[column])
    raise DataError(
        f"no labels: expected a column '{names[0] if names else 'asks'}', "
        f"found {', '.join(sorted(map(str, row)))}."
    )


def _labels(value: Any) -> tuple[str, ...]:
    if isinstance(value, list | tuple):
        return tuple(map(str, value))
    names = [name.strip() for name in str(value or "").split(";")]
    return tuple(name for name in names if name and name != NONE)
