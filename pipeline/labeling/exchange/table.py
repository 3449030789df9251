"""CSV: a row for each answer, to be read and filled in with any spreadsheet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeline.labeling.exchange.rows import FIELDS, Row, asks_of, choices_of, extras, row_of
from pipeline.records import Annotation, Message, render
from pipeline.settings import Task


def write(message: Message, given: Sequence[Annotation], task: Task) -> Iterator[Row]:
    """A row for each answer, or one to be filled in."""
    base = {"id": message.id, "text": _safe(render(message.subject, message.text))}
    for a in given:
        asks = "" if a.asks is None else ";".join(choices_of(a.asks, task))
        yield {**base, "annotator": a.annotator, "asks": asks, **extras(a)}
    if not given:
        yield {**base, "annotator": "", "asks": "", **dict.fromkeys(FIELDS, "")}


def read(row: Row) -> Iterator[Row]:
    """The answer of one row; a row without an annotator is not filled in yet."""
    if not row["annotator"]:
        return
    asks = None if not row["asks"] else asks_of(row["asks"].split(";"), {})
    extras: Row = {name: row[name] for name in FIELDS if row.get(name)}
    for name in ("sure", "suggested"):
        if name in extras:
            extras[name] = {"true": True, "false": False}.get(extras[name].lower(), extras[name])
    if "confidence" in extras:
        extras["confidence"] = float(extras["confidence"])
    yield row_of(row["id"], row["annotator"], asks, extras)


def _safe(text: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return "'" + text if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
