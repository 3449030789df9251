"""What is this file, and what messages does it hold?

`read` is the one way in, for ingest and for prediction alike. It yields, in the order of the file,
one `Incoming` for each record that is a message and one `Rejection` for each that is not, so that

    incoming + rejected = records in the file

An `Incoming` pairs the `Message` with the whole row it came from: every input column under its
own name in its own order, values as the file gives them. Prediction gives that row back; ingest
keeps only what no field of `Message` holds, in `Message.extra`.

A record without an id gets ``SOURCE:POSITION``, which is the same on every reading. `position` is
the line (JSON Lines, CSV) or the row (Parquet) at which the record begins, counted from 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import InputError
from pipeline.records import Message, Rejection
from pipeline.settings import Columns

if TYPE_CHECKING:
    from collections.abc import Callable

    Reader = Callable[[Path, Columns], Iterator["Incoming | Rejection"]]


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message as it was read, and its whole row."""

    message: Message
    row: dict[str, Any]


def read(path: Path, columns: Columns = Columns()) -> Iterator[Incoming | Rejection]:  # noqa: B008
    """Read the messages of one file, without ever holding the file in memory.

    Args:
        path: a JSON Lines, CSV, TSV or Parquet file.
        columns: which column holds what.

    Raises:
        InputError: the file is missing, unreadable, of no known format, or has no text column.
    """
    from pipeline.ingestion import tables

    readers: dict[str, Reader] = {
        "jsonl": tables.read_jsonl,
        "csv": tables.read_csv,
        "parquet": tables.read_parquet,
    }
    try:
        yield from readers[_format(path)](path, columns)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}).") from None


def _format(path: Path) -> str:
    """The format of a file, by its first bytes where they tell and else by its name."""
    if path.is_dir():
        raise InputError(f"{path}: expected a file, found a folder.")
    with path.open("rb") as stream:
        start = stream.read(4096)
    if start.startswith(b"PAR1"):
        return "parquet"
    if start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{"):
        return "jsonl"
    by_name = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "csv"}
    suffix = path.suffix.lower()
    if suffix in by_name:
        return by_name[suffix]
    if suffix == ".parquet":
        raise InputError(f"{path}: not a Parquet file; its first bytes should be PAR1.")
    raise InputError(
        f"{path}: expected a JSON Lines, CSV, TSV or Parquet file, "
        f"found no known format (name ends in '{suffix}')."
    )
