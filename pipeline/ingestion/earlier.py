"""What the last finished ingest run made of the files that have not changed since.

A file with the same bytes keeps its rows. Of a mailbox or JSON Lines file that has only grown, the
old rows are kept and as many records are passed over before reading goes on.
"""

from __future__ import annotations

import hashlib
import heapq
import itertools
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pipeline.ingestion import mbox
from pipeline.records import Message, Rejection
from pipeline.store import read_manifest, sha256_file

BLOCK = 1 << 20
DOUBLE = "duplicate_id"
"""The reason of a rejection that carries a whole message."""

R = TypeVar("R", Message, Rejection)
_Groups = Iterator[tuple[str, Iterator[Any]]]


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of one file, and whether more may follow in it."""

    records: Iterator[Message | Rejection]
    grown: bool


class Earlier:
    """The rows of the last run, by file; files are to be asked for once, in their sorted order."""

    def __init__(self, folder: Path, settings: Mapping[str, Any], names: tuple[str, str]) -> None:
        manifest = read_manifest(folder)
        inputs: dict[str, dict[str, Any]] = manifest.get("inputs", {})
        same = _comparable(manifest.get("settings", {})) == _comparable(settings)
        # A file that has gone may have been why another's message was left out as a double.
        usable = same and all(Path(path).is_file() for path in inputs)
        self._inputs = inputs if usable else {}
        self._order = {path: number for number, path in enumerate(self._inputs)}
        self._doubles: dict[str, list[Message]] = defaultdict(list)
        self._rows: dict[str, _Groups] = {}
        if usable:
            for rejection in _rows(folder / names[1], Rejection):
                if rejection.reason == DOUBLE:
                    message = Message.from_row(json.loads(rejection.record))
                    self._doubles[message.source].append(message)
            self._rows["messages"] = itertools.groupby(_rows(folder / names[0], Message), _source)
            others = (r for r in _rows(folder / names[1], Rejection) if r.reason != DOUBLE)
            self._rows["rejected"] = itertools.groupby(others, _source)
        self._ahead: dict[str, tuple[str, Iterator[Any]] | None] = {}

    def of(self, path: Path) -> Kept | None:
        """What the last run made of a file; None if it must be read anew."""
        before = self._inputs.get(str(path))
        grown = None if before is None else _grown(path, before)
        doubles = self._doubles.get(str(path), [])
        # Doubles stood among the others; only a number tells where.
        if grown is None or not all(double.position.isdigit() for double in doubles):
            return None
        return Kept(self._records(str(path), doubles), grown)

    def _records(self, source: str, doubles: list[Message]) -> Iterator[Message | Rejection]:
        messages = self._take("messages", source)
        if doubles:
            messages = heapq.merge(messages, doubles, key=lambda m: int(m.position))
        yield from messages
        yield from self._take("rejected", source)

    def _take(self, name: str, source: str) -> Iterator[Any]:
        """The rows of a source; those of files before it are passed over."""
        while True:
            group = self._ahead.get(name) or next(self._rows[name], None)
            self._ahead[name] = group
            if group is None or self._order.get(group[0], -1) > self._order[source]:
                return
            self._ahead[name] = None
            if group[0] == source:
                yield from group[1]
                return


def _comparable(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that bear on what one file gives; which files there are does not."""
    return {key: settings.get(key) for key in ("ingest", "columns")}


def _rows(path: Path, kind: type[R]) -> Iterator[R]:
    import pyarrow.parquet as pq

    if path.is_file():
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=2000):
                for row in batch.to_pylist():
                    yield kind.from_row(row)


def _source(row: Message | Rejection) -> str:
    return row.source


def _grown(path: Path, before: Mapping[str, Any]) -> bool | None:
    """False for the same bytes, True for the same and more after them, None for others."""
    stat = path.stat()
    if stat.st_size == before["bytes"]:
        same = stat.st_mtime_ns == before["mtime_ns"] or sha256_file(path) == before["sha256"]
        return False if same else None
    if stat.st_size < before["bytes"]:
        return None
    digest = hashlib.sha256()
    last = b""
    with path.open("rb") as stream:
        left = before["bytes"]
        while left and (block := stream.read(min(left, BLOCK))):
            digest.update(block)
            left -= len(block)
            last = block
        start = stream.read(300).lstrip(b"\r\n")
    whole = last.endswith(b"\n") and (start.startswith(b"{") or mbox.SEPARATOR.match(start))
    return True if whole and digest.hexdigest() == before["sha256"] else None
