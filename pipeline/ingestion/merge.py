"""From a ledger's chunks to the two tables: doubles out, near-duplicates grouped."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.ingestion.dedupe import BANDS, TemplateFinder
from pipeline.ingestion.earlier import DOUBLE
from pipeline.ingestion.finished import count
from pipeline.ingestion.ledger import Ledger, TableWriter
from pipeline.progress import Progress
from pipeline.records import Message, Rejection, arrow_schema, to_table


@dataclass(frozen=True, slots=True)
class Merged:
    """How many messages were written, and how many of them share a template."""

    messages: int
    near_duplicates: int


def merge(
    ledger: Ledger, folder: Path, names: tuple[str, str], similarity: float, progress: Progress
) -> Merged:
    """Write the tables of messages and rejections into `folder` and delete the chunks.

    Doubles are counted among the ledger's rejections from here on.
    """
    doubles = _doubles(ledger)
    groups = _groups(ledger, folder, doubles, similarity, progress)
    with TableWriter(folder / names[1], Rejection) as rejected:
        for table in ledger.tables("rejected"):
            rejected.write(table)
        with TableWriter(folder / names[0], Message) as messages:
            templates = _Templates(groups)
            row = 0
            for table in ledger.tables("messages", arrow_schema(Message).names):
                double = doubles[row : row + len(table)]
                row += len(table)
                messages.write(templates.put_into(table.filter(pa.array(~double))))
                if double.any():
                    left_out = table.filter(pa.array(double))
                    rejected.write(_as_rejections(left_out))
                    _uncount(left_out, ledger.counts)
    ledger.remove()
    return Merged(len(groups), int((groups >= 0).sum()))


def _doubles(ledger: Ledger) -> NDArray[np.bool_]:
    """Which messages have an id that was there before."""
    marks = [table["mark"].to_numpy() for table in ledger.tables("messages", ["mark"])]
    together = np.concatenate([np.empty(0, np.uint64), *marks])
    doubles = np.ones(len(together), dtype=np.bool_)
    doubles[np.unique(together, return_index=True)[1]] = False
    return doubles


def _groups(
    ledger: Ledger,
    folder: Path,
    doubles: NDArray[np.bool_],
    similarity: float,
    progress: Progress,
) -> NDArray[np.int64]:
    """The near-duplicate groups of the messages that are no doubles, see `dedupe.templates`."""
    with (
        TemporaryDirectory(dir=folder) as scratch,
        TemplateFinder(similarity, Path(scratch)) as finder,
        progress.task("grouping near-duplicates", len(doubles)) as task,
    ):
        row = 0
        for table in ledger.tables("messages", ["grams", "bands"]):
            single = table.filter(pa.array(~doubles[row : row + len(table)]))
            row += len(table)
            keys = np.frombuffer(b"".join(single["bands"].to_pylist()), np.uint64)
            finder.add(single["grams"].to_pylist(), keys.reshape(-1, BANDS))
            task.advance(len(table))
        return finder.groups()


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


def _uncount(doubles: Any, counts: dict[str, Counter[str]]) -> None:
    """Take messages that were left out again from the counts of those that were kept."""
    counted: dict[str, Counter[str]] = {name: Counter() for name in counts}
    for extra in doubles["extra"].to_pylist():
        count(json.loads(extra), counted)
    for name, found in counted.items():
        counts[name].subtract(found)
        counts[name] = +counts[name]
    counts["reasons"][DOUBLE] += len(doubles)


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
