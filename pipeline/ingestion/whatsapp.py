"""WhatsApp's "Export chat" text file, as phones of both makers and many languages write it.

    [12/03/2024, 10:15:33] Ann: Could you ...       (iOS)
    12/03/2024, 10:15 - Ann: Could you ...          (Android)

A message goes on over lines until the next one begins. Lines without a name are the program's own.
Whether a date is day/month or month/day is not said, so it is only kept where a file settles it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import BinaryIO

from pipeline.ingestion.decode import readable
from pipeline.ingestion.incoming import Incoming, Record
from pipeline.ingestion.place import Place, bounded_lines
from pipeline.records import Message
from pipeline.settings import Columns

MAX_MESSAGE = 1_000_000
"""Characters of one message that are kept."""

_START = re.compile(
    r"\s?\[?(\d{1,4})[./-](\d{1,2})[./-](\d{1,4}),? (\d{1,2})[:.](\d\d)(?:[:.](\d\d))?"
    r"\s?([aApP]\.?\s?[mM]\.?)?(?:\]| -|:) "
)
_NAME = re.compile(r"([^:\n]{1,100}): ?")
_MEDIA = re.compile(
    r"^(?:<[^<>]{3,60}>|(?:image|video|audio|sticker|gif|document|contact card) omitted"
    r"|this message was deleted|you deleted this message|.{1,200} \(file attached\))\.?$",
    re.IGNORECASE,
)


def is_chat(start: str) -> bool:
    """Whether a text begins as an exported chat does: a first line, and one more, with a time."""
    lines = [line for line in readable(start).split("\n") if line.strip()]
    starts = sum(bool(_START.match(line)) for line in lines[:200])
    return bool(lines) and bool(_START.match(lines[0])) and starts >= min(2, len(lines))


def read_chat(stream: BinaryIO, place: Place, _columns: Columns) -> Iterator[Record]:
    """The messages of an exported chat; `position` is the line at which each begins."""
    number = began = 0
    text = ""
    for number, (data, _) in enumerate(bounded_lines(stream, 65_536), 1):
        line = readable(data.decode("utf-8", "replace")).rstrip("\n")
        if _START.match(line):
            if began:
                yield _message(text, place, began)
            text, began = line, number
        elif len(text) < MAX_MESSAGE:
            text, began = f"{text}\n{line}" if began else line, began or number
    if began:
        yield _message(text, place, began)


def _message(text: str, place: Place, where: int) -> Record:
    start = _START.match(text)
    if start is None:
        return place.rejection(where, "not_a_message", "expected a line with date and name", text)
    name = _NAME.match(text, start.end())
    if name is None:
        return place.rejection(where, "automatic", "a line of the program's own")
    words = text[name.end() :].strip()
    if not words or _MEDIA.match(words):
        return place.rejection(where, "empty_text", "a picture, a file or a deleted message")
    position = place.position(where)
    message = Message(
        id=f"{place.source}:{position}",
        text=words,
        channel="dm",
        sender=name[1].strip("~ "),
        sent_at=_when(start),
        source=place.source,
        position=position,
    )
    row = {"id": message.id, "when": start[0].strip(" []-:"), "from": name[1], "text": words}
    return Incoming(message, row)


def _when(start: re.Match[str]) -> str:
    """The moment in ISO 8601 where only one reading of the date is possible; else empty."""
    first, second, third = (int(start[i]) for i in (1, 2, 3))
    if first > 31:
        year, month, day = first, second, third
    elif first > 12 or second > 12 or first == second:
        day, month = (first, second) if first > 12 or first == second else (second, first)
        year = third
    else:
        return ""
    hour = int(start[4])
    if start[7]:
        hour = hour % 12 + (12 if start[7].lower().startswith("p") else 0)
    try:
        full = year + 2000 if year < 100 else year
        return datetime(full, month, day, hour, int(start[5]), int(start[6] or 0)).isoformat()
    except ValueError:
        return ""
