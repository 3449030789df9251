"""The ingest stage: from files to `messages.parquet` and `rejected.parquet`.

Records flow from the readers through `finish` (in several processes where that pays) into chunks on
disk; then doubles are left out, near-duplicates are grouped, and the chunks become two tables. At
no time is more than a few thousand messages in memory.
"""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import DataError, InputError
from pipeline.progress import SILENT, Progress, Task
from pipeline.records import Message, Rejection
from pipeline.settings import Settings
from pipeline.store import StageResult, atomic_path, files_in, run_stage

if TYPE_CHECKING:
    from pipeline.ingestion.incoming import Record
    from pipeline.ingestion.ledger import Ledger

MESSAGES = "messages.parquet"
REJECTED = "rejected.parquet"


def ingest(
    settings: Settings,
    *,
    force: bool = False,
    public: bool = False,
    public_from: Path | None = None,
    progress: Progress = SILENT,
) -> StageResult:
    """Read all messages that the settings name into one table; skipped if nothing changed.

    An interrupted run goes on where it stood, and files that the last run has read are not read
    again. Large inputs are read by several processes; a script that calls this needs the usual
    ``if __name__ == "__main__"``.

    Args:
        settings: `data` says what to read, `ingest` what to do with it.
        force: run from the beginning even if nothing changed.
        public: fetch the public mail's texts now, and fail if that cannot be done.
        public_from: take the public texts from this JSONL file or folder.
        progress: where to report.

    Raises:
        InputError: a file is missing, unreadable or not what its format promises.
        DataError: no message was found.
    """
    from pipeline.ingestion.public import obtain

    texts = obtain(settings, now=public, local=public_from, progress=progress)
    data = settings.data
    paths = [*data.messages, *data.test]
    relevant = {
        "ingest": settings.ingest.model_dump(mode="json"),
        "columns": data.columns.model_dump(mode="json"),
        "messages": [str(path) for path in data.messages],
        "test": [str(path) for path in data.test],
        "public": texts is not None,
    }

    def work(folder: Path) -> Mapping[str, Any]:
        from pipeline.ingestion.earlier import Earlier
        from pipeline.ingestion.ledger import Ledger

        ledger = Ledger(folder)
        earlier = None if force else Earlier(settings.ingest_dir, relevant, (MESSAGES, REJECTED))
        try:
            _read_all(settings, texts, ledger, earlier, progress)
        finally:
            ledger.flush()
        return _write(settings, ledger, folder, progress)

    return run_stage(
        "ingest",
        work,
        settings=relevant,
        inputs=[*paths, *([texts] if texts else [])],
        output_dir=settings.ingest_dir,
        keep_partial=True,
        force=force,
    )


def _read_all(
    settings: Settings, texts: Path | None, ledger: Ledger, earlier: Any, progress: Progress
) -> None:
    """Finish every record that the ledger does not have yet."""
    from pipeline.ingestion.finish import Plan
    from pipeline.ingestion.parallel import finished, workers_for

    paths = [*settings.data.messages, *settings.data.test]
    files = _files(paths)
    sizes = {path: path.stat().st_size for path in files}
    plan = Plan(
        settings.ingest.cleaning,
        frozenset(owner.strip().lower() for owner in settings.ingest.owner),
        _salt(settings.data.processed),
        settings.ingest.near_duplicate_similarity,
    )
    total = sum(sizes.values())
    with progress.task("reading (kB)", max(total // 1000, 1)) as task:
        meter = _Meter(task)
        records = _records(settings, files, texts, ledger, earlier, meter)
        for keys, batch in finished(records, plan, workers_for(total)):
            ledger.add(keys, batch)
            meter.count(len(keys))


def _files(paths: list[Path]) -> dict[Path, bool]:
    """The files to read in their order, and for each whether the user named it himself."""
    from pipeline.ingestion.sources import message_files

    named = {path for path in paths if not path.is_dir()}
    below = [file for path in paths if path.is_dir() for file in message_files(path)]
    return {path: path in named for path in files_in([*named, *below])}


def _records(
    settings: Settings,
    files: Mapping[Path, bool],
    texts: Path | None,
    ledger: Ledger,
    earlier: Any,
    meter: _Meter,
) -> Iterator[tuple[str, Record | Message]]:
    """Every record of every source with its source's key, from where the ledger stands."""
    keys = [*map(str, files), "public mail"]
    first = keys.index(ledger.key) if ledger.key in keys else 0
    for path, named in list(files.items())[first:]:
        meter.at(path)
        skip = ledger.done if str(path) == ledger.key else 0
        for record in _records_of(path, named, settings, earlier, meter, skip):
            yield str(path), record
    if texts is not None:
        from pipeline.ingestion.incoming import Incoming
        from pipeline.ingestion.public import messages

        skip = ledger.done if ledger.key == "public mail" else 0
        for message in itertools.islice(messages(texts), skip, None):
            yield "public mail", Incoming(message, {})


def _records_of(
    path: Path, named: bool, settings: Settings, earlier: Any, meter: _Meter, skip: int
) -> Iterator[Record | Message]:
    """The records of one file from the `skip`th on; those the last run has read come first."""
    from pipeline.ingestion.sources import scan

    kept = earlier.of(path) if earlier else None
    known = 0
    if kept is not None:
        for record in kept.records:
            known += 1
            if known > skip:
                yield record
        if not kept.grown:
            meter.add(path.stat().st_size)
            return
    try:
        found = scan(path, settings.data.columns, meter.add)
        yield from itertools.islice(found, max(skip, known), None)
    except InputError as error:
        if named:
            raise
        yield Rejection(str(path), "", "unusable_file", str(error))


class _Meter:
    """Shows how much was read, of which file, and how fast."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._name = ""
        self._started = self._shown = time.monotonic()
        self._count = 0

    def at(self, path: Path) -> None:
        self._name = path.name

    def add(self, size: int) -> None:
        self._task.advance(size / 1000)

    def count(self, records: int) -> None:
        self._count += records
        now = time.monotonic()
        if now - self._shown > 0.5:
            rate = self._count / (now - self._started)
            self._task.describe(f"reading {self._name} (kB), {rate:,.0f} records/s")
            self._shown = now


def _write(
    settings: Settings, ledger: Ledger, folder: Path, progress: Progress
) -> Mapping[str, Any]:
    """The two tables from the ledger's chunks, and the counts for the manifest."""
    from pipeline.ingestion.finished import COUNTED
    from pipeline.ingestion.merge import merge

    similarity = settings.ingest.near_duplicate_similarity
    merged = merge(ledger, folder, (MESSAGES, REJECTED), similarity, progress)
    reasons, removed, languages, origins = map(ledger.counts.__getitem__, COUNTED)
    if not merged.messages:
        names = ", ".join(map(str, [*settings.data.messages, *settings.data.test]))
        counted = ", ".join(f"{n:,} {reason}" for reason, n in reasons.most_common())
        raise DataError(f"No message in {names}: {counted or 'no records at all'}.")
    return {
        "messages": merged.messages,
        "rejected": sum(reasons.values()),
        "public": origins["public"],
        "near_duplicates": merged.near_duplicates,
        "reasons": dict(reasons.most_common()),
        "removed": dict(removed.most_common()),
        "languages": dict(languages.most_common(12)),
    }


def _salt(processed: Path) -> bytes:
    """The secret under which senders are hashed: made once, kept beside the stage outputs.

    Whoever has it can find out whether a given address is among the senders; delete it to make
    that impossible. With the same salt the same input gives the same bytes.
    """
    path = processed / "sender-salt"
    if not path.is_file():
        processed.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary:
            temporary.touch(mode=0o600)
            temporary.write_text(secrets.token_hex(32), encoding="ascii")
    return path.read_bytes()
