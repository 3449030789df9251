"""From a parsed row to an annotation, checked against the task."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from typing import Any

from pipeline.records import NONE, Annotation
from pipeline.settings import Task


def annotation_from(row: Mapping[str, Any], task: Task) -> Annotation:
    """An annotation from a parsed row, checked against the task; other keys are ignored.

    Raises:
        ValueError: a label is unknown (the nearest one is named), a value is of another kind than
            its field, or the parts do not agree.
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
    raise ValueError(f"unknown label {str(label)[:60]!r}; {hint}")


def _fields(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "message": _name(row, "message"),
        "annotator": _name(row, "annotator"),
        "confidence": _confidence(row.get("confidence")),
        "sure": _flag(row, "sure", default=True),
        "suggested": _flag(row, "suggested", default=False),
        **{key: str(row.get(key) or "") for key in ("role", "time", "codebook", "note")},
    }


def _name(row: Mapping[str, Any], key: str) -> str:
    value = row[key]
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise ValueError(f"{key}: expected a name, found {type(value).__name__}")
    return str(value)


def _flag(row: Mapping[str, Any], key: str, *, default: bool) -> bool:
    value = row.get(key, default)
    if not isinstance(value, bool):  # bool("false") is True
        raise ValueError(f"{key}: expected true or false, found {type(value).__name__}")  # noqa: TRY004
    return value


def _confidence(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError("confidence: expected a number from 0 to 1, or null")
    return float(value)


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
