"""What an ingest run has finished so far, on disk, so that an interrupted run goes on from there.

Finished records are written in chunks of whole files; `state.json` is written last and says which
source the next record comes from and how many of its records are done.
"""

from __future__ import annotations

import itertools
import json
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline.ingestion.finished import COUNTED, Finished
from pipeline.records import Message, Rejection, arrow_schema
from pipeline.store import atomic_path, write_json

CHUNK = 4000
"""Records that an interruption may cost at most."""


class Ledger:
    """Finished records in order, each under the key of the source it came from."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "chunks"
        self._folder.mkdir(exist_ok=True)
        state = self._state()
        self.key: str = state.get("key", "")
        self.done: int = state.get("done", 0)
        self._chunks: int = state.get("chunks", 0)
        self.counts: dict[str, Counter[str]] = {
            name: Counter(state.get("counts", {}).get(name, {})) for name in COUNTED
        }
        self._waiting: list[Finished] = []

    def _state(self) -> dict[str, Any]:
        try:
            state = json.loads((self._folder / "state.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return state if isinstance(state, dict) else {}

    def add(self, keys: Sequence[str], batch: Finished) -> None:
        """Take in the next finished records, and the source of each."""
        for key, records in itertools.groupby(keys):
            self.done = (self.done if key == self.key else 0) + len(list(records))
            self.key = key
        for name, counts in batch.counts.items():
            self.counts[name].update(counts)
        self._waiting.append(batch)
        if sum(len(b.messages) + len(b.rejected) for b in self._waiting) >= CHUNK:
            self.flush()

    def flush(self) -> None:
        """Write what is in memory."""
        self._write("messages", [batch.messages for batch in self._waiting])
        self._write("rejected", [batch.rejected for batch in self._waiting])
        self._waiting = []
        self._chunks += 1
        state = {"key": self.key, "done": self.done, "chunks": self._chunks, "counts": self.counts}
        write_json(self._folder / "state.json", state)

    def _write(self, kind: str, tables: list[Any]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if any(map(len, tables)):
            with atomic_path(self._path(kind, self._chunks)) as temporary:
                # Random numbers such as the sketches do not compress, nor repeat.
                pq.write_table(
                    pa.concat_tables(tables), temporary, compression="lz4", use_dictionary=False
                )

    def tables(self, kind: str, columns: Sequence[str] | None = None) -> Iterator[Any]:
        """The Arrow tables of the chunks of `messages` or `rejected`, in order."""
        import pyarrow.parquet as pq

        for number in range(self._chunks):
            path = self._path(kind, number)
            if path.is_file():
                yield pq.read_table(path, columns=columns)

    def remove(self) -> None:
        """Delete the chunks, once everything is written in its place."""
        shutil.rmtree(self._folder)

    def _path(self, kind: str, number: int) -> Path:
        return self._folder / f"{kind}-{number:06}.parquet"


class TableWriter:
    """A Parquet file of one kind of record, written table by table.

    Row groups have one fixed size, so that the bytes do not tell how often a run was interrupted.
    """

    def __init__(self, path: Path, kind: type[Message] | type[Rejection]) -> None:
        import pyarrow.parquet as pq

        self._writer = pq.ParquetWriter(path, arrow_schema(kind), compression="zstd")
        self._waiting = arrow_schema(kind).empty_table()

    def __enter__(self) -> TableWriter:
        return self

    def __exit__(self, *_: object) -> None:
        if len(self._waiting):
            self._writer.write_table(self._waiting)
        self._writer.close()

    def write(self, table: Any) -> None:
        """Append a table."""
        import pyarrow as pa

        waiting = pa.concat_tables([self._waiting, table]).combine_chunks()
        while len(waiting) >= CHUNK:
            self._writer.write_table(waiting.slice(0, CHUNK).combine_chunks())
            waiting = waiting.slice(CHUNK)
        self._waiting = waiting.combine_chunks()
