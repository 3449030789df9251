"""What a reader yields for each record that is a message."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipeline.records import Message, Rejection


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message as it was read, and its whole row.

    `message.sender` still is the address or name itself here; the ingest stage hashes it.
    """

    message: Message
    row: dict[str, Any]
    """Every column of the input, or what stands for columns, by its own name in its own order."""
    recipients: tuple[str, ...] = ()
    """Bare addresses, where the format has them."""
    outgoing: bool | None = None
    """Whether the owner of the file wrote it, where the format tells."""


@dataclass(frozen=True, slots=True)
class Unparsed:
    """A record that is cut out of its file and not yet parsed, so that a worker can do that."""

    parse: Callable[[bytes, str, str], Incoming | Rejection]
    data: bytes
    source: str
    position: str

    def parsed(self) -> Incoming | Rejection:
        """The record, parsed."""
        return self.parse(self.data, self.source, self.position)


Parsed = Incoming | Rejection
Record = Parsed | Unparsed
