"""An output file that appears when it is whole, and whose interrupted writing goes on later.

While work lasts, answers stand in ``NAME.partial``, and ``NAME.partial.json`` says after every
chunk how far they go, and from which inputs, model and options they come. The same command cuts the
partial file back to the last whole chunk and goes on behind it; another one starts anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import IO, Any

from pipeline.errors import InputError
from pipeline.inference.sinks import Csv, JsonLines, LabelStudio, Mailbox, Parquet, Sink
from pipeline.inference.stream import Entry

FORMATS = ("jsonl", "csv", "parquet", "label-studio", "mbox")
_BY_SUFFIX = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
    ".json": "label-studio",
    ".mbox": "mbox",
}
CHUNK = 1024


def format_for(path: Path) -> str:
    """The format that a file's name asks for; JSON Lines where it asks for none."""
    return _BY_SUFFIX.get(path.suffix.lower(), "jsonl")


def fingerprint(inputs: Iterable[str], model: Path, options: Mapping[str, Any]) -> str:
    """What a partial file depends on: texts, files with sizes and times, the model, the options."""
    files = []
    for given in inputs:
        path = Path(given) if len(given) <= 1024 and "\0" not in given else None
        below = sorted(path.rglob("*")) if path and path.is_dir() else [path] if path else []
        stats = [(str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in below if p.is_file()]
        files.append([given, stats])
    made = [(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in sorted(model.glob("*.json"))]
    content = json.dumps([files, made, options], sort_keys=True, default=str)
    return hashlib.sha256(content.encode("utf-8", "surrogateescape")).hexdigest()


class Output:
    """An output file in the making; use it as a context.

    Attributes:
        done: entries of the input, answered or rejected, that the partial file has already.
    """

    def __init__(self, path: Path, form: str, mark: str, version: str = "") -> None:
        """Find what an earlier call left.

        Args:
            path: where the file appears.
            form: one of `FORMATS`.
            mark: the fingerprint of what it depends on.
            version: names the model, for Label Studio.

        Raises:
            InputError: the place cannot be written to.
        """
        self._path, self._form, self._mark, self._version = path, form, mark, version
        self._partial = path.with_name(path.name + ".partial")
        self._state = path.with_name(path.name + ".partial.json")
        self._stack = ExitStack()
        if path.is_dir():
            raise InputError(f"{path}: is a folder; name a file in it.")
        state = self._read_state()
        self.done: int = state.get("done", 0)
        self._size: int = state.get("size", 0)
        self._header: list[str] = state.get("header", [])

    def _read_state(self) -> dict[str, Any]:
        try:
            state = json.loads(self._state.read_text(encoding="utf-8"))
            usable = state["mark"] == self._mark and self._partial.exists()
            return dict(state) if usable else {}
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    def __enter__(self) -> Output:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if not self.done:
                self._remove()
            self._sink = self._open()
        except OSError as error:
            raise InputError(f"{self._path}: cannot be written ({error.strerror}).") from None
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def write(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """Write entries and pass each on once it is written; then the file takes its place.

        Raises:
            InputError: the disk is full or the like; what was written stays and can be gone on
                with.
        """
        left = iter(entries)
        try:
            while chunk := list(islice(left, CHUNK)):
                self._sink.write(chunk)
                self._checkpoint(len(chunk))
                yield from chunk
            self._finish()
        except OSError as error:
            raise InputError(
                f"{self._path}: cannot be written ({error.strerror}). The first {self.done:,} "
                f"records are kept in {self._partial.name}; make room and give the same command "
                "again."
            ) from None

    def _open(self) -> Sink:
        if self._form == "parquet":
            self._partial.mkdir(exist_ok=True)
            return Parquet(self._partial, self._size)
        stream = self._stack.enter_context(self._partial.open("r+b" if self.done else "wb"))
        stream.truncate(self._size)
        stream.seek(self._size)
        self._stream: IO[bytes] = stream
        sinks: dict[str, Any] = {
            "jsonl": lambda: JsonLines(stream),
            "csv": lambda: Csv(stream, self._header),
            "label-studio": lambda: LabelStudio(stream, self._version, begun=self._size > 0),
            "mbox": lambda: Mailbox(stream),
        }
        sink: Sink = sinks[self._form]()
        return sink

    def _checkpoint(self, entries: int) -> None:
        if isinstance(self._sink, Parquet):
            size = self._sink.parts
        else:
            self._stream.flush()
            size = self._stream.tell()
        header = self._sink.header if isinstance(self._sink, Csv) else []
        state = {"mark": self._mark, "done": self.done + entries, "size": size, "header": header}
        fresh = self._state.with_name(self._state.name + ".new")
        fresh.write_text(json.dumps(state), encoding="utf-8")
        fresh.replace(self._state)
        self.done += entries

    def _finish(self) -> None:
        self._sink.finish()
        if isinstance(self._sink, Parquet):
            whole = self._partial / "whole"
            self._sink.join(whole)
            whole.replace(self._path)
        else:
            self._stream.flush()
            os.fsync(self._stream.fileno())
            self._stream.close()
            self._partial.replace(self._path)
        self._remove()

    def _remove(self) -> None:
        if self._partial.is_dir():
            shutil.rmtree(self._partial)
        else:
            self._partial.unlink(missing_ok=True)
        self._state.unlink(missing_ok=True)


def stream_sink(stream: IO[bytes], form: str, version: str) -> Sink:
    """A sink that writes to a pipe or a terminal, where nothing can be gone on with.

    Raises:
        InputError: the format needs a file.
    """
    if form == "jsonl":
        return JsonLines(stream)
    if form == "csv":
        return Csv(stream)
    if form == "label-studio":
        return LabelStudio(stream, version)
    if form == "mbox":
        return Mailbox(stream)
    raise InputError(f"--format {form} needs a file: add --output NAME.{form}")
