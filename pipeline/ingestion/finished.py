"""Finished records as the tables that go to disk, made in the process that finished them.

Tables cross from process to process as blocks of memory, where objects would be taken apart one by
one; and what near-duplicates are found by is worked out beside the text instead of afterwards.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pipeline.ingestion.dedupe import sketch
from pipeline.records import Message, Rejection, to_table

COUNTED = ("reasons", "removed", "languages", "origins")
SKETCH = ("mark", "grams", "bands")
"""Columns beside those of `Message`: eight bytes for its id, its 3-grams and its band keys."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A batch of finished records, in order."""

    messages: Any
    """An Arrow table with the columns of `Message` and `SKETCH`."""
    rejected: Any
    """An Arrow table of `Rejection`."""
    counts: dict[str, Counter[str]]


def as_finished(records: Iterable[Message | Rejection], similarity: float) -> Finished:
    """The tables of these records.

    Args:
        records: in their order.
        similarity: from which on messages are near-duplicates, see `pipeline.ingestion.dedupe`.
    """
    messages: list[Message] = []
    rejected: list[Rejection] = []
    counts: dict[str, Counter[str]] = {name: Counter() for name in COUNTED}
    for record in records:
        if isinstance(record, Rejection):
            rejected.append(record)
            counts["reasons"][record.reason] += 1
        else:
            messages.append(record)
            count(record.extra, counts)
    sketches = sketch([message.text for message in messages], similarity)
    table = to_table(messages, Message)
    columns = (
        pa.array([_mark(message.id) for message in messages], pa.uint64()),
        pa.array(sketches.grams_by_text(), pa.binary()),
        pa.array([keys.tobytes() for keys in sketches.bands], pa.binary()),
    )
    for name, column in zip(SKETCH, columns, strict=True):
        table = table.append_column(name, column)
    return Finished(table, to_table(rejected, Rejection), counts)


def count(extra: Mapping[str, Any], counts: dict[str, Counter[str]]) -> None:
    """Add what is noted of one message to the counts."""
    counts["removed"].update(extra.get("removed", ()))
    counts["languages"][str(extra.get("language", "unknown"))] += 1
    counts["origins"][str(extra.get("origin", "own"))] += 1


def _mark(identity: str) -> int:
    """Eight bytes for an id; two ids of a million share them once in ten million runs."""
    return int.from_bytes(hashlib.blake2b(identity.encode(), digest_size=8).digest(), "big")
