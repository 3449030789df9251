"""What the formats share: how an answer becomes a tool's choices, and how one comes back.

Each format is a module with a pair of plain functions, `write` and `read`, between our records and
that tool's rows. What a tool has no place for travels in its metadata under ``outreach``, so that
a round trip loses nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipeline.records import NONE, Annotation
from pipeline.settings import Task

Row = dict[str, Any]

QUESTION = "asks"
"""What the question is called in the tools that give it a name."""

FIELDS = ("primary", "role", "sure", "confidence", "time", "codebook", "suggested", "note")
"""Of an annotation, what no tool has a place for."""


def extras(annotation: Annotation) -> Row:
    """What the tools have no place for."""
    return {name: getattr(annotation, name) for name in FIELDS}


def row_of(message: object, annotator: object, asks: object, extras: object) -> Row:
    """A row that `pipeline.labeling.parse.annotation_from` reads."""
    more = dict(extras) if isinstance(extras, Mapping) else {}
    return {**more, "message": message, "annotator": annotator, "asks": asks}


def choices_of(asks: Sequence[str] | None, task: Task) -> list[str]:
    """As tools show it: an answer of no ask is the choice `none`."""
    return [NONE] if asks == () and task.multi_label else list(asks or ())


def asks_of(choices: Iterable[str] | None, extras: object) -> list[str] | None:
    """The asks that chosen choices stand for; None for an abstention."""
    if choices is None or (isinstance(extras, Mapping) and extras.get("abstained")):
        return None
    found = list(choices)
    return [] if found == [NONE] else found


def extras_with_abstention(annotation: Annotation) -> Row:
    """`extras`, and whether it is an abstention, where a tool has no place for one either."""
    return {**extras(annotation), **({"abstained": True} if annotation.asks is None else {})}
