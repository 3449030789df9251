r"""Splitting an mbox file into mails, strictly and without holding it in memory.

The standard library starts a new mail at any line that begins with ``From ``, even inside a
paragraph. Here a separator is a line such as ``From ann@x.org Mon Mar  4 11:20:34 2024`` (Google
Takeout puts a zone before the year) at the start of the file or after an empty line. Content-Length
is ignored: programs that edit mail leave it wrong. One ``>`` is taken from lines that begin with
``>From ``, the quoting that mboxo and mboxrd share (RFC 4155 and its appendix).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

MAX_MAIL = 2_000_000
"""Bytes of one mail that are kept; its text stands first, what is cut off is attachments."""

MAX_LINE = 65_536
"""Bytes of a line that are read at once, so that no line can fill the memory."""

SEPARATOR = re.compile(rb"From \S+ +\w{3},? \w{3} [ \d]?\d (?:\d{4} )?\d\d:\d\d(?::\d\d)?\b")


def split(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield (byte offset of its separator, mail) for each mail of an mbox file.

    Text before the first separator is yielded too, for the parser to judge: nothing is lost.
    """
    lines: list[bytes] = []
    size = began = offset = 0
    blank, separated = True, False
    while line := stream.readline(MAX_LINE):
        if blank and line.startswith(b"From ") and SEPARATOR.match(line):
            if separated or size:
                yield began, _mail(lines)
            lines, size, began, separated = [], 0, offset, True
        elif size < MAX_MAIL and (size or line.strip()):
            lines.append(line)
            size += len(line)
        blank = line in (b"\n", b"\r\n")
        offset += len(line)
    if separated or size:
        yield began, _mail(lines)


def _mail(lines: list[bytes]) -> bytes:
    return b"".join(line[1:] if _is_quoted_from(line) else line for line in lines)


def _is_quoted_from(line: bytes) -> bool:
    return line.startswith(b">") and line.lstrip(b">").startswith(b"From ")
