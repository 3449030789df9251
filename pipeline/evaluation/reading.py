"""Labelled messages from a file: the label stage's own, or anything the readers know, with labels.

A user's file needs `asks` (a list, or names joined by `;`) beside its text. `primary` may stand
there too; without it the first ask is the primary. A single-label file may call its label column
`label`, or what the settings' `data.columns.label` says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from pipeline.errors import DataError, InputError
from pipeline.progress import SILENT, Progress
from pipeline.records import NONE, LabelledMessage, Message, Rejection
from pipeline.settings import Settings
from pipeline.store import read_records

_OURS = {"targets", "annotators", "extra", "asks", "primary"}
_LABEL_COLUMNS = frozenset({"asks", "primary", "label"})


def read_labelled(
    path: Path, settings: Settings, progress: Progress = SILENT
) -> list[LabelledMessage]:
    """Read labelled messages; every column that is no field of a message lands in `extra`.

    Rows without a text or a label are left out; a line to `progress` counts them by reason.

    Raises:
        InputError: the file is missing, unreadable or of no known format.
        DataError: no row can be measured on.
    """
    if path.suffix == ".parquet" and _is_ours(path):
        return read_records(path, LabelledMessage)
    return [
        _labelled(message, row, settings.data.columns.label)
        for message, row in _readable(path, settings, progress, labels=True)
    ]


def read_unlabelled(path: Path, settings: Settings, progress: Progress = SILENT) -> list[Message]:
    """Read messages of which no labels are known; raises like `read_labelled`."""
    return [message for message, _ in _readable(path, settings, progress, labels=False)]


def _readable(
    path: Path, settings: Settings, progress: Progress, *, labels: bool
) -> list[tuple[Message, Mapping[str, Any]]]:
    from pipeline.ingestion.prepare import prepare
    from pipeline.ingestion.sources import read

    if not path.exists():
        raise InputError(f"{path}: no such file.")
    rows: list[tuple[Message, Mapping[str, Any]]] = []
    unusable: Counter[str] = Counter()
    for found in read(path, settings.data.columns):
        if isinstance(found, Rejection):
            unusable[found.reason] += 1
        elif labels and not _has_label(found.row, settings.data.columns.label):
            unusable["no_label"] += 1
        else:
            rows.append((prepare(found.message, settings.ingest.cleaning), found.row))
    reasons = ", ".join(f"{count} {reason}" for reason, count in unusable.most_common())
    if not rows:
        wanted = " with asks" if labels else ""
        raise DataError(
            f"{path}: expected messages{wanted}, found none that can be used"
            f"{f' ({reasons})' if reasons else ''}. The labels stand in a column 'asks' "
            "(a list, or names joined by ';'), or in the column that data.columns.label names."
        )
    if unusable:
        progress.note(f"{path}: {unusable.total()} row(s) are left out ({reasons}).")
    return rows


def _is_ours(path: Path) -> bool:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return set(pq.read_schema(path).names) >= _OURS
    except FileNotFoundError:
        raise InputError(f"{path}: no such file.") from None
    except pa.ArrowInvalid as error:
        raise InputError(f"{path}: not a Parquet file ({error}).") from None


def _columns(row: Mapping[str, Any], named: str) -> list[str]:
    return [name for name in (named, "asks", "label") if name and name in row]


def _has_label(row: Mapping[str, Any], named: str) -> bool:
    return any(row[name] is not None for name in _columns(row, named))


def _labelled(message: Message, row: Mapping[str, Any], named: str) -> LabelledMessage:
    asks = _labels(row[_columns(row, named)[0]])
    primary = str(row.get("primary") or "") or (asks[0] if asks else NONE)
    values = {f.name: getattr(message, f.name) for f in fields(Message)}
    extra = {k: v for k, v in message.extra.items() if k not in {*_LABEL_COLUMNS, named}}
    # A column of the file may say more about where a message comes from than the file's own name.
    source = str(extra.pop("source", "") or Path(message.source).name)
    return LabelledMessage(
        **{**values, "extra": extra, "source": source}, asks=asks, primary=primary
    )


def _labels(value: Any) -> tuple[str, ...]:
    if isinstance(value, list | tuple):
        return tuple(map(str, value))
    names = [name.strip() for name in str(value or "").split(";")]
    return tuple(name for name in names if name and name != NONE)
