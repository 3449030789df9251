"""LinkedIn's data export: ``messages.csv`` in all its eras, and the notes of ``Invitations.csv``.

Columns are found by name, never by place. Who wrote a message to whom is told by profile URLs,
since sent messages stand in the folder INBOX too and TO is joined by commas although names hold
commas. Drafts and sponsored messages are dropped with their reason.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import BinaryIO

from pipeline.errors import InputError
from pipeline.ingestion.decode import readable
from pipeline.ingestion.delimited import Lines, read_header, rows
from pipeline.ingestion.incoming import Incoming, Record
from pipeline.ingestion.markup import looks_like_html, to_text
from pipeline.ingestion.place import Place
from pipeline.records import Message, Rejection
from pipeline.settings import Columns

Open = Callable[[], BinaryIO]

_MESSAGES = {"conversation id", "from", "content", "date"}
_INVITATIONS = {"from", "to", "sent at", "message", "direction"}
_SPONSORED = re.compile(r"spinmail-quill-editor|%FIRSTNAME%")


def kind_of(start: bytes) -> str:
    """`messages`, `invitations` or empty, by the header line of a CSV file."""
    line = start.decode("utf-8", "replace").removeprefix("\ufeff").split("\n", 1)[0]
    names = {name.strip().lower() for name in next(csv.reader([line.replace("\r", "")]), [])}
    if names >= _MESSAGES:
        return "messages"
    return "invitations" if names >= _INVITATIONS else ""


def read_messages(open_file: Open, place: Place, _columns: Columns) -> Iterator[Record]:
    """The messages of ``messages.csv``. It is read twice: first to see whose export it is."""
    with open_file() as stream:
        owner = _owner(stream, place)
    with open_file() as stream:
        for lines, row in _named_rows(stream, place):
            if isinstance(row, Rejection):
                yield row
            else:
                yield _message(row, owner, place, lines.began)


def read_invitations(open_file: Open, place: Place, _columns: Columns) -> Iterator[Record]:
    """The notes of ``Invitations.csv``; an invitation without a note is no message."""
    with open_file() as stream:
        for lines, row in _named_rows(stream, place):
            yield row if isinstance(row, Rejection) else _invitation(row, place, lines.began)


def _named_rows(
    stream: BinaryIO, place: Place
) -> Iterator[tuple[Lines, dict[str, str] | Rejection]]:
    lines = _Unescaped(stream)
    header, delimiter = read_header(lines, place)
    names = [name.strip().lower() for name in header]
    if not (set(names) >= _MESSAGES or set(names) >= _INVITATIONS):
        raise InputError(f"{place}: the header of this LinkedIn export is damaged.")
    for values in rows(lines, place, delimiter):
        if isinstance(values, Rejection):
            yield lines, values
        elif len(values) != len(names):
            detail = f"expected {len(names)} values, found {len(values)}"
            yield lines, lines.rejection(place, "malformed_row", detail)
        else:
            yield lines, dict(zip(names, values, strict=True))


class _Unescaped(Lines):
    r"""Lines in which LinkedIn's ``\"`` inside a field is the doubled quote of other CSV."""

    def __next__(self) -> str:
        line = super().__next__()
        return re.sub(r'\\"(?![,\r\n])', '""', line) if '\\"' in line else line


def _owner(stream: BinaryIO, place: Place) -> str:
    """The profile URL that takes part in most conversations; empty if no one stands out."""
    seen: Counter[str] = Counter()
    last = ""
    for _, row in _named_rows(stream, place):
        if isinstance(row, Rejection):
            continue
        urls = {row.get("sender profile url", ""), *_urls(row)}
        # Rows of one conversation stand together; counting runs needs no memory of them all.
        if row["conversation id"] != last:
            seen.update(url for url in urls if url)
            last = row["conversation id"]
    (first, most), *others = [*seen.most_common(2), ("", 0), ("", 0)][:2]
    return first if most > (others[0][1] if others else 0) else ""


def _urls(row: dict[str, str]) -> list[str]:
    return [url for url in row.get("recipient profile urls", "").split(",") if url]


def _message(row: dict[str, str], owner: str, place: Place, where: int) -> Record:
    sender = row.get("sender profile url", "").strip()
    content = row["content"]
    if "yes" in (
        row.get("is message draft", "").lower(),
        row.get("is conversation draft", "").lower(),
    ):
        return place.rejection(where, "draft", "IS MESSAGE DRAFT")
    if row.get("folder", "").upper() == "SPAM":
        return place.rejection(where, "spam_folder", "FOLDER is SPAM")
    sponsored = "sponsored" in row.get("conversation title", "").lower()
    if sponsored or _SPONSORED.search(content):
        return place.rejection(where, "bulk", "a sponsored message")
    text = _plain(content)
    if not text:
        return place.rejection(where, "empty_text", "expected text in CONTENT")
    position = place.position(where)
    message = Message(
        id=f"{place.source}:{position}",
        text=text,
        subject=_plain(row.get("subject", "")),
        channel="linkedin",
        sender=sender or row["from"].strip(),
        sent_at=_when(row["date"], "%Y-%m-%d %H:%M:%S %Z"),
        thread=row["conversation id"],
        source=place.source,
        position=position,
    )
    outgoing = sender == owner if owner and sender else None
    return Incoming(message, {"id": message.id, **row}, tuple(_urls(row)), outgoing)


def _invitation(row: dict[str, str], place: Place, where: int) -> Record:
    text = _plain(row["message"])
    if not text:
        return place.rejection(where, "empty_text", "an invitation without a note")
    position = place.position(where)
    message = Message(
        id=f"{place.source}:{position}",
        text=text,
        channel="linkedin",
        sender=row.get("inviterprofileurl", "").strip() or row["from"].strip(),
        sent_at=_when(row["sent at"], "%m/%d/%y, %I:%M %p"),
        source=place.source,
        position=position,
    )
    outgoing = row["direction"].strip().upper() == "OUTGOING"
    return Incoming(message, {"id": message.id, **row}, outgoing=outgoing)


def _plain(content: str) -> str:
    text = readable(content)
    if looks_like_html(text) or re.search(r"&(?:nbsp|amp|lt|gt|quot|#\d+);", text):
        text = to_text(text.replace("\n", "<br>") if "<" not in text else text)
    return text.strip()


def _when(text: str, form: str) -> str:
    try:
        moment = datetime.strptime(text.strip(), form)
    except ValueError:
        return ""
    return moment.isoformat() + ("+00:00" if form.endswith("%Z") else "")
