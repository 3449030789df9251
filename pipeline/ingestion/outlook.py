"""Outlook's own files, through optional libraries that are loaded only when one is met.

``.msg`` (one mail) needs extract-msg, which is GPL-3; ``.pst`` (a mailbox) needs libpff-python,
which is LGPL-3. Neither is installed by default, and this project links to neither.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, BinaryIO

from pipeline.errors import InputError
from pipeline.ingestion import mail
from pipeline.ingestion.incoming import Record
from pipeline.ingestion.place import Place

MAX_ITEMS = 10_000_000
_SENDER_ADDRESS = "__substg1.0_0C1F"


def read_msg(file: BinaryIO, place: Place) -> Iterator[Record]:
    """The mail in a .msg file.

    Raises:
        InputError: the extra `msg` is not installed, or the file is damaged.
    """
    try:
        import extract_msg
    except ImportError:
        raise InputError(
            f"{place}: an Outlook mail; reading it needs pip install 'outreach-intent[msg]' "
            "(extract-msg, licence GPL-3)."
        ) from None
    try:
        with extract_msg.openMsg(file.read()) as item:
            headers = item.header.as_string() if item.header else ""
            address = item.getStringStream(_SENDER_ADDRESS) or ""
            sender = f"{item.sender or ''} <{address}>" if "@" in address else item.sender
            data = _as_mail(headers, item.subject, sender, item.body, item.htmlBody)
    except Exception as error:  # noqa: BLE001 (the library raises anything on a damaged file)
        raise InputError(f"{place}: a damaged .msg file ({type(error).__name__}).") from None
    yield mail.parse(data, place.source, place.position(0))


def read_pst(file: BinaryIO, place: Place) -> Iterator[Record]:
    """The mails in a .pst file, folder by folder.

    Raises:
        InputError: the extra `pst` is not installed, or the file is damaged.
    """
    try:
        import pypff
    except ImportError:
        raise InputError(
            f"{place}: an Outlook mailbox; reading it needs pip install 'outreach-intent[pst]' "
            "(libpff-python, licence LGPL-3), or turn it into mbox with readpst -r."
        ) from None
    box = pypff.file()
    try:
        box.open_file_object(file)
        waiting = [box.get_root_folder()]
        for _ in range(MAX_ITEMS):
            if not waiting:
                break
            folder = waiting.pop()
            waiting.extend(folder.sub_folders)
            yield from _mails(folder, place)
        box.close()
    except OSError as error:
        raise InputError(f"{place}: a damaged .pst file ({error}).") from None


def _mails(folder: Any, place: Place) -> Iterator[Record]:
    inner = place.inside(str(folder.name or "root"))
    for number in itertools.count():
        if number >= folder.number_of_sub_messages:
            return
        try:
            item = folder.get_sub_message(number)
            data = _as_mail(
                item.transport_headers or "",
                item.subject,
                item.sender_name,
                item.plain_text_body,
                item.html_body,
            )
        except OSError as error:
            yield inner.rejection(number, "damaged_file", f"an item cannot be read ({error})")
            continue
        yield mail.parse(data, place.source, inner.position(number))


def _as_mail(headers: str, subject: Any, sender: Any, plain: Any, html: Any) -> bytes:
    """The item as a mail of one part, with the headers that came and what else is known."""
    body = _bytes(plain) or _bytes(html)
    kind = "plain" if _bytes(plain) else "html"
    # Drafts, and what stayed inside one organisation, have no headers but these properties.
    known = [f"From: {sender or ''}", f"Subject: {subject or ''}"]
    fields: dict[str, str] = {}
    for line in [*_unfolded(headers), *known]:
        name, _, value = line.partition(":")
        if name.lower() == "from" and "@" not in value:
            continue  # the library makes this up where there are no headers
        if value.strip() and not name.lower().startswith(("content-", "mime-version")):
            fields.setdefault(name.lower(), " ".join(line.split()))
    head = "\n".join(fields.values())
    return f"{head}\nContent-Type: text/{kind}; charset=utf-8\n\n".encode() + body


def _unfolded(headers: str) -> list[str]:
    lines: list[str] = []
    for line in headers.replace("\r\n", "\n").split("\n"):
        if line[:1] in (" ", "\t") and lines:
            lines[-1] += line
        elif line.strip():
            lines.append(line)
    return lines


def _bytes(body: Any) -> bytes:
    return body.encode("utf-8", "replace") if isinstance(body, str) else body or b""
