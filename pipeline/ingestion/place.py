"""Where a record stands, and reading lines without trusting their length."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, cast

from pipeline.records import Rejection

MAX_LINE = 16_000_000
"""Bytes of a line of a table; a longer one is rejected without being held."""


@dataclass(frozen=True, slots=True)
class Place:
    """A file, or a file inside an archive."""

    source: str
    """The file on disk, or ``-``."""
    name: str
    """Its own name, which may say its format."""
    inner: str = ""
    """The path inside the archive `source`, if it is one."""

    def inside(self, name: str) -> Place:
        """The place of a file in this archive."""
        inner = f"{self.inner}/{name}" if self.inner else name
        return replace(self, name=name.rpartition("/")[2], inner=inner)

    def position(self, where: object) -> str:
        """`where` as `Message.position` gives it."""
        return f"{self.inner}:{where}" if self.inner else str(where)

    def rejection(self, where: object, reason: str, detail: str, record: str = "") -> Rejection:
        """A rejection of the record that stands there."""
        return Rejection(self.source, self.position(where), reason, detail, record)

    def __str__(self) -> str:
        return f"{self.source} ({self.inner})" if self.inner else self.source


def buffered(raw: io.RawIOBase) -> BinaryIO:
    """A raw stream with a buffer that can be peeked into."""
    return cast(BinaryIO, io.BufferedReader(cast(Any, raw), 1 << 20))


def peek(stream: BinaryIO, size: int) -> bytes:
    """The next bytes of a stream that `buffered` made, without reading on."""
    return cast(io.BufferedReader, stream).peek(size)[:size]


def bounded_lines(stream: BinaryIO, limit: int = MAX_LINE) -> Iterator[tuple[bytes, bool]]:
    """Yield (line, whether it is whole); of a line beyond the limit only a beginning."""
    while line := stream.readline(limit):
        whole = len(line) < limit or line.endswith(b"\n")
        rest = b"" if whole else line
        while rest and not rest.endswith(b"\n"):
            rest = stream.readline(1 << 20)
        yield line if whole else line[:1000], whole
