"""Argilla: records as its `Dataset.records.to_json` writes them, one a line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from pipeline.labeling.exchange.rows import QUESTION, Row, asks_of, choices_of, extras, row_of
from pipeline.records import Annotation, Message, render
from pipeline.settings import Task


def write(message: Message, given: Sequence[Annotation], task: Task) -> Iterator[Row]:
    """A record with every annotator's response."""
    yield {
        "id": message.id,
        "fields": {"text": render(message.subject, message.text)},
        "responses": {
            QUESTION: [
                {
                    "user_id": a.annotator,
                    "value": choices_of(a.asks, task),
                    "status": "discarded" if a.asks is None else "submitted",
                }
                for a in given
            ]
        },
        "metadata": {"outreach": json.dumps({a.annotator: extras(a) for a in given})},
    }


def read(row: Row) -> Iterator[Row]:
    """The responses of one record."""
    kept = json.loads(row.get("metadata", {}).get("outreach", "{}"))
    for response in row.get("responses", {}).get(QUESTION, []):
        name = response["user_id"]
        value = response["value"]
        value = [value] if isinstance(value, str) else value
        asks = asks_of(None if response.get("status") == "discarded" else value, {})
        yield row_of(row["id"], name, asks, kept.get(name, {"role": "reader"}))
