"""The annotation log: JSON Lines, one annotation a line, only ever appended to."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.records import NONE, Annotation, Rejection
from pipeline.settings import Task


def read_log(path: Path, task: Task) -> Iterator[Annotation | Rejection]:
    """Yield each line's annotation, or its rejection with the reason.

    A line cut short by a kill is rejected like any other that is not JSON; the rest goes on.

    Raises:
        InputError: the file is missing or cannot be read.
    """
    try:
        stream = path.open("rb")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from None
    with stream:
        for number, line in enumerate(stream, start=1):
            if line.strip():
                yield _parse(line, task, str(path), f"line {number}")


def _parse(line: bytes, task: Task, source: str, position: str) -> Annotation | Rejection:
    def reject(reason: str, detail: str) -> Rejection:
        record = line.decode("utf-8", errors="replace").rstrip()
        return Rejection(source, position, reason, detail, record)

    try:
        row = json.loads(line)
    except ValueError:  # also bytes that are not UTF-8
        return reject("not_json", "expected one JSON object a line")
    if not isinstance(row, dict):
        return reject("not_json", f"expected a JSON object, found {type(row).__name__}")
    if "id" in row:  # as the public labels call the message, since they describe it too
        row.setdefault("message", row["id"])
    missing = [key for key in ("message", "annotator", "asks") if key not in row]
    if missing:
        return reject("missing_field", f"expected message, annotator, asks; no {missing[0]}")
    try:
        return annotation_from(row, task)
    except ValueError as error:
        return reject("bad_annotation", str(error))


def annotation_from(row: Mapping[str, Any], task: Task) -> Annotation:
    """An annotation from a parsed row, checked against the task; other keys are ignored.

    Raises:
        ValueError: a label is unknown (the nearest one is named), or the parts do not agree.
    """
    asks = row["asks"]
    if asks is None:
        return Annotation(**_fields(row), asks=None)
    if not isinstance(asks, list | tuple):
        raise ValueError("asks: expected a list of labels, or null for an abstention")  # noqa: TRY004
    asks = tuple(check_label(ask, task) for ask in asks)
    if not task.multi_label and len(asks) != 1:
        raise ValueError(f"asks: expected exactly one label, found {len(asks)}")
    ordered = tuple(label for label in task.labels if label in asks)
    primary = row.get("primary") or (ordered[0] if ordered else NONE)
    if primary != NONE:
        check_label(primary, task)
    if (primary not in ordered) if ordered else (primary != NONE):
        raise ValueError(f"primary: {primary!r} is not among the asks")
    return Annotation(**_fields(row), asks=ordered, primary=primary)


def check_label(label: object, task: Task) -> str:
    """The label itself, or a ValueError that names the nearest known one."""
    if isinstance(label, str) and label in task.labels:
        return label
    near = difflib.get_close_matches(str(label), task.labels, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(task.labels[:8])}"
    raise ValueError(f"unknown label {label!r}; {hint}")


def _fields(row: Mapping[str, Any]) -> dict[str, Any]:
    confidence = row.get("confidence")
    return {
        "message": str(row["message"]),
        "annotator": str(row["annotator"]),
        "role": str(row.get("role") or ""),
        "sure": bool(row.get("sure", True)),
        "confidence": None if confidence is None else float(confidence),
        "time": str(row.get("time") or ""),
        "codebook": str(row.get("codebook") or ""),
    }


def column_annotations(value: object) -> list[str]:
    """The labels that a cell of a label column holds: a list, JSON, or names joined by ``;``.

    >>> column_annotations("influence; job_lead")
    ['influence', 'job_lead']
    >>> column_annotations("none")
    []
    """
    if isinstance(value, list | tuple):
        return [str(v) for v in value]
    text = "" if value is None else str(value).strip()
    if text.startswith("["):
        try:
            return [str(v) for v in json.loads(text)]
        except ValueError:
            pass
    return [part.strip() for part in text.split(";") if part.strip() not in ("", NONE)]
