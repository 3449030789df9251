"""CSV as people save it: any delimiter, byte order marks, Excel's ``sep=`` line, broken quotes."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import BinaryIO

from pipeline.errors import InputError
from pipeline.ingestion.incoming import Record
from pipeline.ingestion.place import Place, bounded_lines
from pipeline.ingestion.tables import check_columns, from_row
from pipeline.records import Rejection
from pipeline.settings import Columns

MAX_FIELD = 1_000_000
"""Characters in one field; a longer one is an unclosed quote."""

_DELIMITERS = ",;\t|"


def read_csv(stream: BinaryIO, place: Place, columns: Columns) -> Iterator[Record]:
    """Messages of a CSV file with a header; comma, semicolon, tab or bar, as the header has it.

    All values are text: ``NA`` and ``null`` are words. A row that cannot be read, for example for a
    quote that is never closed, is rejected alone; reading goes on with the line after it.
    """
    lines = Lines(stream)
    header, delimiter = read_header(lines, place)
    check_columns(place, header, columns)
    for values in rows(lines, place, delimiter):
        if isinstance(values, Rejection):
            yield values
        elif len(values) != len(header):
            detail = f"expected {len(header)} values, found {len(values)}"
            yield lines.rejection(place, "malformed_row", detail)
        else:
            yield from_row(dict(zip(header, values, strict=True)), columns, place, lines.began)


def read_header(lines: Lines, place: Place) -> tuple[list[str], str]:
    """The column names, and the delimiter found between them.

    Raises:
        InputError: there is no header that can be read.
    """
    first = next(lines, "")
    if first.lower().startswith("sep=") and len(first.rstrip("\r\n")) == 5:
        delimiter, first = first[4], next(lines, "")
    else:
        delimiter = max(_DELIMITERS, key=first.count)
    lines.push_back(first)
    header = next(rows(lines, place, delimiter), [])
    if isinstance(header, Rejection):
        raise InputError(f"{place}: the header line is not CSV ({header.detail}).")
    if not header:
        raise InputError(f"{place}: empty; expected a header line with the column names.")
    return header, delimiter


def rows(lines: Lines, place: Place, delimiter: str) -> Iterator[list[str] | Rejection]:
    """The rows from where `lines` stand; `lines.began` is the line at which each begins."""
    csv.field_size_limit(MAX_FIELD)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        lines.begin_record()
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            reader = csv.reader(lines, delimiter=delimiter, strict=True)
            yield lines.reject_first(place, "malformed_row", f"not CSV: {error}")
            continue
        if lines.too_long:
            yield lines.reject_first(place, "too_long", "a line beyond any message's length")
        elif any("\udc80" <= c <= "\udcff" for value in values for c in value):
            yield lines.rejection(place, "not_utf8", "expected UTF-8; save the file as UTF-8")
        elif values:
            yield values


class Lines:
    """Lines of text that remember where the record under way began, and how it stands."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = bounded_lines(stream)
        self._waiting: list[str] = []
        self._record: list[str] = []
        self._number = 0
        self.began = 1
        self.too_long = False

    def __iter__(self) -> Lines:
        return self

    def __next__(self) -> str:
        if self._waiting:
            line = self._waiting.pop()
        else:
            data, whole = next(self._stream)
            self.too_long = self.too_long or not whole
            # The csv module takes a bare carriage return or a NUL for an error of the whole file.
            line = data.decode("utf-8", "surrogateescape").replace("\0", "\ufffd")
            line = line.removeprefix("\ufeff") if self._number == 0 else line
        self._number += 1
        self._record.append(line)
        return line

    def push_back(self, line: str) -> None:
        """Give a line back, to be read next."""
        self._waiting.append(line)
        self._number -= 1

    def begin_record(self) -> None:
        """Mark the next line as the first of a record."""
        self._record = []
        self.too_long = False
        self.began = self._number + 1

    def rejection(self, place: Place, reason: str, detail: str) -> Rejection:
        """A rejection of the record under way."""
        raw = "".join(self._record).encode("utf-8", "surrogateescape")
        shown = raw.decode("utf-8", "backslashreplace").rstrip("\r\n")
        return place.rejection(self.began, reason, detail, shown)

    def reject_first(self, place: Place, reason: str, detail: str) -> Rejection:
        """A rejection of the record's first line alone; the others are read again."""
        for line in reversed(self._record[1:]):
            self.push_back(line)
        self._record = self._record[:1]
        return self.rejection(place, reason, detail)
