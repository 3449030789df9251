"""What is this file, and what messages does it hold?

`read` is the one way in, for ingest and for prediction alike. It yields, in the order of the file,
one `Incoming` for each record that is a message and one `Rejection` for each that is not, so that

    incoming + rejected = records in the file

An `Incoming` pairs the `Message` with the whole row it came from: every input column under its
own name in its own order, values as the file gives them. Prediction gives that row back; ingest
keeps only what no field of `Message` holds, in `Message.extra`.

A record without an id gets ``SOURCE:POSITION``, which is the same on every reading. `position` is
the line (JSON Lines, CSV, chats), the row (Parquet, XLSX) or the byte (mbox) at which the record
begins; inside an archive the member's path stands before it.

Formats are told by content; the name only decides between CSV and plain text. gzip and zip are read
through, to a depth of `MAX_DEPTH`, and nothing is ever written under a name from an archive.
"""

from __future__ import annotations

import codecs
import io
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

from pipeline.errors import InputError
from pipeline.ingestion import archives, delimited, linkedin, mail, mbox, outlook, tables, whatsapp
from pipeline.ingestion.decode import decode, readable
from pipeline.ingestion.formats import format_of
from pipeline.ingestion.incoming import Incoming, Record, Unparsed
from pipeline.ingestion.place import Place, buffered, peek
from pipeline.records import Message, Rejection
from pipeline.settings import Columns
from pipeline.store import files_below

__all__ = ["Incoming", "read", "scan"]

MAX_DEPTH = 3
MAX_TEXT_FILE = 2_000_000
"""Bytes of a plain text file, which is one message."""
MAX_SPOOLED = 8_000_000_000
"""Bytes of an archive inside an archive, which must be unpacked to be read."""

_PEEK = 1 << 16
_SERVERS_OWN = re.compile(
    r"(?:maildirfolder|maildirsize|subscriptions|dovecot[-.].*|courier(?:imap|pop3).*)$"
)

_EMLX_FLAGS = re.compile(rb"<key>flags</key>\s*<integer>(\d{1,18})</integer>")


def read(
    path: Path,
    columns: Columns = Columns(),  # noqa: B008 (frozen)
    on_bytes: Callable[[int], None] | None = None,
) -> Iterator[Incoming | Rejection]:
    """Read the messages of one file or folder, without ever holding a file in memory.

    Args:
        path: a file of any supported format, a folder of such files, or ``-`` for standard input.
        columns: which column of a table holds what.
        on_bytes: told how many bytes of the file were read since the last call.

    Raises:
        InputError: the file is missing, unreadable, of no known format, or has no text column.
            Inside a folder or an archive such a file is a `Rejection` instead.
    """
    for record in scan(path, columns, on_bytes):
        yield record.parsed() if isinstance(record, Unparsed) else record


def scan(
    path: Path,
    columns: Columns,
    on_bytes: Callable[[int], None] | None = None,
) -> Iterator[Record]:
    """Like `read`, but mails are only cut out of their file and left for someone else to parse."""
    if path.is_dir():
        yield from _scan_folder(path, columns, on_bytes)
        return
    source = str(path)
    try:
        raw = sys.stdin.buffer if source == "-" else path.open("rb")
        with raw, buffered(_Counted(raw, on_bytes)) as stream:
            yield from _scan_stream(stream, Place(source, path.name), columns, 0)
    except OSError as error:
        raise InputError(f"{source}: cannot be read ({error.strerror or error}).") from None


def message_files(folder: Path) -> list[Path]:
    """The files of a folder that may hold messages, sorted.

    Of a LinkedIn export these are the two with messages: the others hold connections and jobs. What
    mail servers note beside the mails of a maildir is left out.
    """
    found = [path for path in files_below(folder) if not _SERVERS_OWN.match(path.name)]
    exports = {path.parent for path in found if _linkedin_kind(path)}
    return [p for p in found if p.parent not in exports or p.suffix != ".csv" or _linkedin_kind(p)]


def _linkedin_kind(path: Path) -> str:
    if path.suffix.lower() != ".csv":
        return ""
    with path.open("rb") as stream:
        return linkedin.kind_of(stream.read(2000))


def _scan_folder(
    folder: Path, columns: Columns, on_bytes: Callable[[int], None] | None
) -> Iterator[Record]:
    for path in message_files(folder):
        try:
            yield from scan(path, columns, on_bytes)
        except InputError as error:
            yield Rejection(str(path), "", "unusable_file", str(error))


class _Counted(io.RawIOBase):
    """A file that tells how much of it was read."""

    def __init__(self, raw: BinaryIO, on_bytes: Callable[[int], None] | None) -> None:
        self._raw, self._on_bytes = raw, on_bytes

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._raw.seekable()

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        return self._raw.tell()

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        data = self._raw.read(len(buffer))
        buffer[: len(data)] = data
        if self._on_bytes and data:
            self._on_bytes(len(data))
        return len(data)


def _scan_stream(stream: BinaryIO, place: Place, columns: Columns, depth: int) -> Iterator[Record]:
    start = peek(stream, _PEEK)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        recoded = codecs.EncodedFile(stream, "utf-8", "utf-16", errors="replace")
        stream = buffered(_Adapted(recoded))
        start = peek(stream, _PEEK)
    form = format_of(start, place)
    if depth > MAX_DEPTH:
        yield place.rejection(0, "too_deep", f"more than {MAX_DEPTH} archives in each other")
    elif form == "gzip":
        yield from archives.read_gzip(stream, place, _nested(columns, depth))
    elif form in _SEEKABLE:
        with _seekable(stream, place) as file:
            yield from _SEEKABLE[form](file, place, columns, _nested(columns, depth))
    else:
        yield from _STREAMED[form](stream, place, columns)


def _nested(columns: Columns, depth: int) -> archives.Nested:
    def scan_member(stream: BinaryIO, place: Place) -> Iterator[Record]:
        return _scan_stream(stream, place, columns, depth + 1)

    return scan_member


class _Adapted(io.RawIOBase):
    """A recoding stream as the raw stream a buffer needs."""

    def __init__(self, inner: codecs.StreamRecoder) -> None:
        self._inner = inner
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        data = self._left or self._inner.read(len(buffer) // 4)
        taken, self._left = data[: len(buffer)], data[len(buffer) :]
        buffer[: len(taken)] = taken
        return len(taken)


def _seekable(stream: BinaryIO, place: Place) -> BinaryIO:
    """The stream itself if it can seek, else what it holds in a temporary file without a name."""
    if stream.seekable():
        return stream
    spooled = tempfile.SpooledTemporaryFile(1 << 24)  # noqa: SIM115 (the caller closes it)
    while block := stream.read(1 << 20):
        spooled.write(block)
        if spooled.tell() > MAX_SPOOLED:
            raise InputError(f"{place}: more than {MAX_SPOOLED:,} bytes when unpacked.")
    spooled.seek(0)
    return cast(BinaryIO, spooled)


def _read_mbox(stream: BinaryIO, place: Place, _columns: Columns) -> Iterator[Record]:
    for offset, data in mbox.split(stream):
        yield Unparsed(mail.parse, data, place.source, place.position(offset))


def _read_mail(stream: BinaryIO, place: Place, _columns: Columns) -> Iterator[Record]:
    data = stream.read(mbox.MAX_MAIL)
    yield Unparsed(mail.parse, data, place.source, place.position(0))


def _read_emlx(stream: BinaryIO, place: Place, _columns: Columns) -> Iterator[Record]:
    """Apple Mail's file: the mail's length, the mail, and a property list with its flags."""
    size = int(stream.readline(200).strip() or b"0")
    data = stream.read(min(size, mbox.MAX_MAIL))
    while size > len(data) and (block := stream.read(min(size - len(data), 1 << 20))):
        size -= len(block)
    found = _EMLX_FLAGS.search(stream.read(_PEEK))
    flags = int(found[1]) if found else 0
    if flags & 1 << 1:
        yield place.rejection(0, "spam_folder", "marked as deleted")
        return
    if flags & 1 << 6:
        yield place.rejection(0, "draft", "marked as a draft")
        return
    yield Unparsed(mail.parse, data, place.source, place.position(0))


def _read_text(stream: BinaryIO, place: Place, _columns: Columns) -> Iterator[Record]:
    text = readable(decode(stream.read(MAX_TEXT_FILE)))
    if not text.strip():
        yield place.rejection(1, "empty_text", "expected text")
        return
    position = place.position(1)
    identity = f"{place.source}:{position}"
    message = Message(identity, text, source=place.source, position=position)
    yield Incoming(message, {"id": identity, "text": text})


def _linkedin(reader: Callable[..., Iterator[Record]]) -> Callable[..., Iterator[Record]]:
    def read_export(
        file: BinaryIO, place: Place, columns: Columns, _nested: archives.Nested
    ) -> Iterator[Record]:
        def again() -> BinaryIO:
            file.seek(0)
            return buffered(_Counted(file, None))

        yield from reader(again, place, columns)

    return read_export


_SEEKABLE: dict[str, Callable[..., Iterator[Record]]] = {
    "zip": archives.read_zip,
    "parquet": lambda file, place, columns, _: tables.read_parquet(file, place, columns),
    "msg": lambda file, place, _columns, _: outlook.read_msg(file, place),
    "pst": lambda file, place, _columns, _: outlook.read_pst(file, place),
    "linkedin_messages": _linkedin(linkedin.read_messages),
    "linkedin_invitations": _linkedin(linkedin.read_invitations),
}
_STREAMED: dict[str, Callable[[BinaryIO, Place, Columns], Iterator[Record]]] = {
    "jsonl": tables.read_jsonl,
    "csv": delimited.read_csv,
    "mbox": _read_mbox,
    "mail": _read_mail,
    "emlx": _read_emlx,
    "whatsapp": whatsapp.read_chat,
    "text": _read_text,
}
