r"""Splitting an mbox file into mails, strictly and without holding it in memory.

The standard library starts a new mail at any line that begins with ``From ``, even inside a
paragraph. Here a separator is a line such as ``From ann@x.org Mon Mar  4 11:20:34 2024`` (Google
Takeout puts a zone before the year) at the start of the file or after an empty line. Content-Length
is ignored: programs that edit mail leave it wrong. One ``>`` is taken from lines that begin with
``>From ``, the quoting that mboxo and mboxrd share (RFC 4155 and its appendix).

The file is read in blocks and searched, not read line by line: nine tenths of a real mailbox are
attachments.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

MAX_MAIL = 2_000_000
"""Bytes of one mail that are kept; its text stands first, what is cut off is attachments."""

BLOCK = 1 << 20
MAX_LINE = 65_536
"""Bytes read to finish the last line of a block, so that no line can fill the memory."""

SEPARATOR = re.compile(rb"From \S+ +\w{3},? \w{3} [ \d]?\d (?:\d{4} )?\d\d:\d\d(?::\d\d)?\b")
_QUOTED_FROM = re.compile(rb"^>(>*From )", re.MULTILINE)


def split(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield (byte offset of its separator, mail) for each mail of an mbox file.

    Text before the first separator is yielded too, for the parser to judge: nothing is lost.
    """
    mail = bytearray()
    began = offset = 0
    separated = False
    above = b"\n\n"  # the start of the file counts as an empty line
    while block := stream.read(BLOCK) + stream.readline(MAX_LINE):
        at = 0
        for start, end in _separators(above, block):
            _keep(mail, block, at, start)
            if separated or mail.strip():
                yield began, _unquoted(mail)
            mail.clear()
            began, separated, at = offset + start, True, end
        _keep(mail, block, at, len(block))
        above = (above + block[-3:])[-3:]
        offset += len(block)
    if separated or mail.strip():
        yield began, _unquoted(mail)


def _separators(above: bytes, block: bytes) -> Iterator[tuple[int, int]]:
    """Where each separator line of a block begins and ends; `above` are the bytes before it."""
    at = block.find(b"From ")
    while at >= 0:
        before = block[at - 3 : at] if at >= 3 else (above + block[:at])[-3:]
        end = at + 5
        if before.endswith((b"\n\n", b"\n\r\n")) and SEPARATOR.match(block, at):
            end = block.find(b"\n", at) + 1 or len(block)
            yield at, end
        at = block.find(b"From ", end)


def _keep(mail: bytearray, block: bytes, start: int, end: int) -> None:
    mail += block[start : min(end, start + MAX_MAIL - len(mail))]


def _unquoted(mail: bytearray) -> bytes:
    return _QUOTED_FROM.sub(rb"\1", mail) if b">From " in mail else bytes(mail)
