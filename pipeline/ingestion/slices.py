"""Cutting tables into runs of records that can be read apart, each as if the whole were read.

JSON Lines are cut between lines, Parquet between row groups. A record has the same id and the
same position in its slice as `pipeline.ingestion.sources.read` gives it.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import InputError
from pipeline.ingestion.incoming import Incoming
from pipeline.ingestion.place import Place
from pipeline.ingestion.tables import check_columns, from_row, read_jsonl
from pipeline.records import Rejection
from pipeline.settings import Columns

if TYPE_CHECKING:
    import pyarrow as pa

JSONL = (".jsonl", ".ndjson")
PARQUET = (".parquet",)


@dataclass(frozen=True, slots=True)
class Slice:
    """A run of records of one file."""

    path: str
    start: int
    """Its first byte (JSON Lines) or row group (Parquet), and `stop` the one after its last."""
    stop: int
    before: int
    """Lines or rows of the file that stand before it."""

    @property
    def is_parquet(self) -> bool:
        """Whether the file is Parquet; else it is JSON Lines."""
        return self.path.endswith(PARQUET)

    def read(self, columns: Columns) -> Iterator[Incoming | Rejection]:
        """Its records, in order.

        Raises:
            InputError: the file cannot be read, or has no text column.
        """
        place = _Place(self.path, Path(self.path).name, before=self.before)
        try:
            yield from (
                self._parquet(place, columns) if self.is_parquet else self._jsonl(place, columns)
            )
        except OSError as error:
            raise InputError(f"{self.path}: cannot be read ({error.strerror or error}).") from None

    def _jsonl(self, place: Place, columns: Columns) -> Iterator[Incoming | Rejection]:
        with Path(self.path).open("rb") as file:
            file.seek(self.start)
            data = file.read(self.stop - self.start)
            is_whole = self.start == 0 and not file.read(1)
        try:
            yield from read_jsonl(io.BytesIO(data), place, columns)
        except InputError:  # no record has the text column: that others have it is well possible
            if is_whole:
                raise

    def _parquet(self, place: Place, columns: Columns) -> Iterator[Incoming | Rejection]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        number = 0
        try:
            with pq.ParquetFile(self.path) as file:
                check_columns(place, file.schema_arrow.names, columns)
                groups = list(range(self.start, self.stop))
                for batch in file.iter_batches(batch_size=1000, row_groups=groups):
                    for row in batch.to_pylist():
                        number += 1
                        yield from_row(row, columns, place, number)
        except (pa.ArrowException, OverflowError, ValueError) as error:
            raise InputError(f"{place}: a damaged Parquet file ({error}).") from None

    def schema(self) -> pa.Schema:
        """The columns of a Parquet file."""
        import pyarrow.parquet as pq

        return pq.read_schema(self.path)


@dataclass(frozen=True, slots=True)
class _Place(Place):
    """A place that counts what stands before the slice."""

    before: int = 0

    def position(self, where: object) -> str:
        return str(int(str(where)) + self.before)


def tables_in(inputs: Iterable[Path]) -> list[Path]:
    """The Parquet and JSON Lines files among `inputs` and below its folders, sorted.

    Raises:
        InputError: something is missing or of another format, or there is no file at all.
    """
    found: list[Path] = []
    for given in inputs:
        if not given.exists():
            raise InputError(f"{given}: no such file or folder.")
        inside = given.rglob("*") if given.is_dir() else [given]
        found += [p for p in inside if p.is_file() and not p.name.startswith((".", "_"))]
    other = [path for path in found if path.suffix not in (*JSONL, *PARQUET)]
    if other or not found:
        what = str(other[0]) if other else "no file"
        raise InputError(
            f"expected Parquet (.parquet) or JSON Lines (.jsonl) files, found {what}. Mail and "
            "other exports become Parquet with `outreach ingest`."
        )
    return sorted(set(found))


def cut(path: Path, records: int) -> list[Slice]:
    """One file in slices of about so many records, of whole row groups at least; none if empty.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        ends = _row_groups(path) if path.suffix in PARQUET else _lines(path, records)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}).") from None
    found: list[Slice] = []
    start = before = 0
    for count, (stop, until) in enumerate(ends, 1):
        if until - before >= records or count == len(ends):
            if until > before:
                found.append(Slice(str(path), start, stop, before))
            start, before = stop, until
    return found


def _row_groups(path: Path) -> list[tuple[int, int]]:
    """Per row group of a Parquet file its end: the next group's number, and rows up to there."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    except (pa.ArrowException, ValueError) as error:
        raise InputError(f"{path}: a damaged Parquet file ({error}).") from None
    return [(i + 1, sum(sizes[: i + 1])) for i in range(len(sizes))]


def _lines(path: Path, records: int) -> list[tuple[int, int]]:
    """Byte offset and number of lines at every `records`-th line's end, and at the file's."""
    ends = []
    at = number = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            at += len(line)
            if number % records == 0:
                ends.append((at, number))
    return ends if ends and ends[-1][0] == at else [*ends, (at, number)]
