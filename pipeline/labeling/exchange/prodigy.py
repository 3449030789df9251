"""Prodigy: one answer a line, as `prodigy db-out` writes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeline.labeling.exchange.rows import Row, asks_of, choices_of, extras, row_of
from pipeline.records import NONE, Annotation, Message, render
from pipeline.settings import Task


def write(message: Message, given: Sequence[Annotation], task: Task) -> Iterator[Row]:
    """A line for each answer, or one without an answer."""
    base = {
        "text": render(message.subject, message.text),
        "options": [{"id": name, "text": name} for name in (*task.labels, NONE)],
        "meta": {"outreach_id": message.id},
    }
    for a in given:
        yield {
            **base,
            "accept": choices_of(a.asks, task),
            "answer": "ignore" if a.asks is None else "accept",
            "_annotator_id": a.annotator,
            "meta": {"outreach_id": message.id, "outreach": extras(a)},
        }
    if not given:
        yield base


def read(row: Row) -> Iterator[Row]:
    """The answer of one line; a task without one has none."""
    if "answer" not in row:
        return
    name = row.get("_annotator_id") or row.get("_session_id") or "prodigy"
    accepted = None if row["answer"] != "accept" else row["accept"]
    meta = row["meta"]
    extras = meta.get("outreach", {"role": "reader"})
    yield row_of(meta["outreach_id"], name, asks_of(accepted, extras), extras)
