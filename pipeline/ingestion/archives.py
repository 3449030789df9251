"""gzip and zip, read through as streams: no member is unpacked to disk under its own name.

A member that swells beyond any text (a "zip bomb") is refused by its declared size before it is
read, and a gzip stream, which declares none, as soon as it has swollen.
"""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, BinaryIO, cast

from pipeline.errors import InputError
from pipeline.ingestion import linkedin, slack, tables
from pipeline.ingestion.incoming import Record
from pipeline.ingestion.place import Place, buffered

Nested = Callable[[BinaryIO, Place], Iterator[Record]]

MAX_RATIO = 200
"""Times that text may swell when it is unpacked; real text stays under 30."""
FREE_SIZE = 50_000_000
"""Bytes up to which the ratio does not matter."""

_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError)


def read_gzip(stream: BinaryIO, place: Place, nested: Nested) -> Iterator[Record]:
    """The records of a gzip file; what stands before a damage is kept."""
    name = place.name.removesuffix(".gz")
    inner = Place(place.source, name, place.inner)
    read = False
    try:
        for record in nested(buffered(_Unpacked(stream, place)), inner):
            read = True
            yield record
    except _DAMAGE as error:
        if not read:
            raise InputError(f"{place}: a damaged gzip file ({error}).") from None
        yield place.rejection(0, "damaged_file", f"the gzip stream breaks off ({error})")


class _Unpacked(io.RawIOBase):
    """An unpacking stream that refuses to swell without bound."""

    def __init__(self, packed: BinaryIO, place: Place) -> None:
        self._packed = _Counting(packed)
        self._gzip = gzip.GzipFile(fileobj=cast(Any, self._packed))
        self._place = place
        self._size = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        data = self._gzip.read1(len(buffer))  # what comes before a damage is not lost with it
        self._size += len(data)
        if self._size > FREE_SIZE and self._size > MAX_RATIO * self._packed.count:
            raise InputError(
                f"{self._place}: swells to more than {MAX_RATIO} times its size; this is no text."
            )
        buffer[: len(data)] = data
        return len(data)


class _Counting:
    """A stream that counts what was read of it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.count = 0

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self.count += len(data)
        return data


def read_zip(file: BinaryIO, place: Place, columns: Any, nested: Nested) -> Iterator[Record]:
    """The records of a zip file: a workbook, an export of Slack or LinkedIn, or any files."""
    try:
        archive = zipfile.ZipFile(file)
    except (*_DAMAGE, ValueError) as error:
        raise InputError(f"{place}: a damaged zip file ({error}).") from None
    with archive:
        names = archive.namelist()
        if "xl/workbook.xml" in names:
            _refuse_bombs(archive, place)
            yield from tables.read_xlsx(file, place, columns)
        elif slack.is_export(names):
            _refuse_bombs(archive, place)
            yield from slack.read_export(archive, place)
        else:
            yield from _read_members(archive, place, columns, nested)


def _refuse_bombs(archive: zipfile.ZipFile, place: Place) -> None:
    if any(_swells(info) for info in archive.infolist()):
        raise InputError(f"{place}: swells to more than {MAX_RATIO} times its size; refused.")


def _swells(info: zipfile.ZipInfo) -> bool:
    return info.file_size > FREE_SIZE and info.file_size > MAX_RATIO * max(info.compress_size, 1)


def _read_members(
    archive: zipfile.ZipFile, place: Place, columns: Any, nested: Nested
) -> Iterator[Record]:
    members = [
        info
        for info in archive.infolist()
        if not info.filename.endswith("/") and not info.filename.startswith("__MACOSX/")
    ]
    kinds = {info.filename: _linkedin_kind(archive, info) for info in members}
    export = any(kinds.values())
    for info in members:
        kind = kinds[info.filename]
        if export and not kind:
            continue  # connections, profile and the like: no messages
        inner = place.inside(info.filename)
        if _swells(info):
            yield inner.rejection(0, "too_compressed", f"swells more than {MAX_RATIO} times")
            continue
        try:
            if kind:
                reader = _LINKEDIN[kind]
                yield from reader(partial(_open, archive, info), inner, columns)
                continue
            with archive.open(info) as member:
                yield from nested(buffered(_Plain(member)), inner)
        except (InputError, *_DAMAGE) as error:
            yield inner.rejection(0, "unusable_file", str(error))


def _open(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> BinaryIO:
    return cast(BinaryIO, archive.open(info))


_LINKEDIN = {"messages": linkedin.read_messages, "invitations": linkedin.read_invitations}


def _linkedin_kind(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> str:
    if not info.filename.lower().endswith(".csv") or _swells(info):
        return ""
    try:
        with archive.open(info) as member:
            return linkedin.kind_of(member.read(2000))
    except _DAMAGE:
        return ""


class _Plain(io.RawIOBase):
    """A member as a stream that only reads forward: seeking back would unpack it again."""

    def __init__(self, member: Any) -> None:
        self._member = member

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        data = self._member.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
