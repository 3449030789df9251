"""doccano: JSON Lines with `text` and `label`, one answer a line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeline.labeling.exchange.rows import Row, asks_of, choices_of, extras_with_abstention, row_of
from pipeline.records import Annotation, Message, render
from pipeline.settings import Task


def write(message: Message, given: Sequence[Annotation], task: Task) -> Iterator[Row]:
    """A line for each answer, or one without a label."""
    base = {"text": render(message.subject, message.text), "outreach_id": message.id}
    for a in given:
        mine = {"label": choices_of(a.asks, task), "annotator": a.annotator}
        yield {**base, **mine, "outreach": extras_with_abstention(a)}
    if not given:
        yield {**base, "label": []}


def read(row: Row) -> Iterator[Row]:
    """The answer of one line; an empty label of nobody is no answer yet."""
    extras = row.get("outreach", {"role": "reader"})
    if not row["label"] and "annotator" not in row:
        return  # not annotated yet
    name = row.get("annotator") or row.get("username") or "doccano"
    yield row_of(row["outreach_id"], name, asks_of(row["label"], extras), extras)
