"""From a ledger's chunks to the two tables: doubles out, near-duplicates grouped."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.ingestion.dedupe import TemplateFinder
from pipeline.ingestion.earlier import DOUBLE
from pipeline.ingestion.ledger import Ledger, TableWriter
from pipeline.progress import Progress
from pipeline.records import Message, Rejection, to_table


@dataclass(frozen=True, slots=True)
class Merged:
    """How many messages were written, left out as doubles, and share a template."""

    messages: int
    doubles: int
    near_duplicates: int


def merge(
    ledger: Ledger, folder: Path, names: tuple[str, str], similarity: float, progress: Progress
) -> Merged:
    """Write the tables of messages and rejections into `folder` and delete the chunks."""
    with (
        TemporaryDirectory(dir=folder) as scratch,
        TemplateFinder(similarity, Path(scratch)) as finder,
    ):
        doubles = _add_all(ledger, finder, progress)
        groups = finder.groups()
    with TableWriter(folder / names[1], Rejection) as rejected:
        for table in ledger.tables("rejected"):
            rejected.write(table)
        with TableWriter(folder / names[0], Message) as messages:
            templates = _Templates(groups)
            row = 0
            for table in ledger.tables("messages"):
                double = np.array([row + i in doubles for i in range(len(table))], dtype=bool)
                row += len(table)
                messages.write(templates.put_into(table.filter(pa.array(~double))))
                if double.any():
                    rejected.write(_as_rejections(table.filter(pa.array(double))))
    ledger.remove()
    return Merged(len(groups), len(doubles), int((groups >= 0).sum()))


def _add_all(ledger: Ledger, finder: TemplateFinder, progress: Progress) -> set[int]:
    """Add every message to `finder` but those whose id was there before; their row numbers."""
    seen: set[int] = set()
    doubles: set[int] = set()
    row = 0
    with progress.task("grouping near-duplicates") as task:
        for table in ledger.tables("messages"):
            columns = (table[name].to_pylist() for name in ("id", "text"))
            for identity, text in zip(*columns, strict=True):
                mark = _mark(identity)
                if mark in seen:
                    doubles.add(row)
                else:
                    seen.add(mark)
                    finder.add(text)
                row += 1
            task.advance(len(table))
    return doubles


def _mark(identity: str) -> int:
    """Eight bytes for an id; two ids of a million share them once in ten million runs."""
    return int.from_bytes(hashlib.blake2b(identity.encode(), digest_size=8).digest(), "big")


@dataclass
class _Templates:
    """Gives each message the id of its group's first message."""

    groups: NDArray[np.int64]
    _row: int = 0
    _ids: dict[int, str] = field(default_factory=dict)

    def put_into(self, table: Any) -> Any:
        ids = table["id"].to_pylist()
        values = []
        for offset, group in enumerate(self.groups[self._row : self._row + len(table)].tolist()):
            if group == self._row + offset:
                self._ids[group] = ids[offset]
            values.append(self._ids[group] if group >= 0 else "")
        self._row += len(table)
        column = table.schema.get_field_index("template")
        return table.set_column(column, "template", pa.array(values, pa.string()))


def _as_rejections(table: Any) -> Any:
    """Messages whose id is taken, as rejections that carry them whole."""
    rejections = [
        Rejection(
            row["source"],
            row["position"],
            DOUBLE,
            "an earlier message has this id",
            json.dumps(row, ensure_ascii=False, sort_keys=True),
        )
        for row in table.to_pylist()
    ]
    return to_table(rejections, Rejection)
