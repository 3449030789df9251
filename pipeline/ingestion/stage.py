"""The ingest stage: from files to `messages.parquet` and `rejected.parquet`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pipeline.errors import DataError
from pipeline.ingestion import public as public_mail
from pipeline.ingestion.prepare import prepare
from pipeline.ingestion.sources import read
from pipeline.progress import SILENT, Progress
from pipeline.records import Message, Rejection
from pipeline.settings import Settings
from pipeline.store import StageResult, files_in, run_stage, write_records

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

    Args:
        settings: `data` says what to read, `ingest` what to do with it.
        force: run even if nothing changed.
        public: fetch the public mail's texts now, and fail if that cannot be done.
        public_from: take the public texts from this JSONL file or folder.
        progress: where to report.

    Raises:
        InputError: a file is missing, unreadable or not what its format promises.
        DataError: no message was found.
    """
    texts = public_mail.obtain(settings, now=public, local=public_from, progress=progress)
    data = settings.data
    paths = [*data.messages, *data.test]

    def work(folder: Path) -> Mapping[str, Any]:
        return _work(settings, files_in(paths), texts, folder, progress)

    return run_stage(
        "ingest",
        work,
        settings={
            "ingest": settings.ingest.model_dump(mode="json"),
            "columns": data.columns.model_dump(mode="json"),
            "messages": [str(path) for path in data.messages],
            "test": [str(path) for path in data.test],
        },
        inputs=[*paths, *([texts] if texts else [])],
        output_dir=settings.ingest_dir,
        force=force,
    )


def _work(
    settings: Settings, files: list[Path], texts: Path | None, folder: Path, progress: Progress
) -> Mapping[str, Any]:
    rejected: list[Rejection] = []
    found = _unique(_all(settings, files, texts, rejected, progress), rejected)
    messages = [prepare(message, settings.ingest.cleaning) for message in found]
    if not messages:
        reasons = Counter(r.reason for r in rejected).most_common()
        counted = ", ".join(f"{n} {reason}" for reason, n in reasons) or "no records at all"
        raise DataError(f"No message in {', '.join(map(str, files))}: {counted}.")
    messages = _with_templates(messages, settings.ingest.near_duplicate_similarity)
    write_records(folder / MESSAGES, messages, Message)
    write_records(folder / REJECTED, rejected, Rejection)
    return {
        "messages": len(messages),
        "rejected": len(rejected),
        "public": sum(m.extra.get("origin") == "public" for m in messages),
        "near_duplicates": sum(bool(m.template) for m in messages),
    }


def _all(
    settings: Settings,
    files: list[Path],
    texts: Path | None,
    rejected: list[Rejection],
    progress: Progress,
) -> Iterator[Message]:
    """Every message of every source in order; what is no message goes to `rejected`."""
    with progress.task("reading", len(files)) as task:
        for path in files:
            task.describe(f"reading {path.name}")
            for record in read(path, settings.data.columns):
                if isinstance(record, Rejection):
                    rejected.append(record)
                else:
                    yield record.message
            task.advance()
    if texts is not None:
        yield from public_mail.messages(texts)


def _unique(messages: Iterable[Message], rejected: list[Rejection]) -> Iterator[Message]:
    """The messages whose id was not seen before."""
    seen: dict[str, str] = {}
    for message in messages:
        place = f"{message.source}:{message.position}"
        if message.id in seen:
            detail = f"id {message.id!r} already stands at {seen[message.id]}"
            record = json.dumps(message.to_row(), ensure_ascii=False)
            rejected.append(
                Rejection(message.source, message.position, "duplicate_id", detail, record)
            )
        else:
            seen[message.id] = place
            yield message


def _with_templates(messages: list[Message], similarity: float) -> list[Message]:
    """The messages with `template` set to the id of their near-duplicate group's first message."""
    from pipeline.ingestion.dedupe import templates

    with TemporaryDirectory() as scratch:
        groups = templates((m.text for m in messages), similarity, Path(scratch))
    return [
        replace(message, template=messages[group].id) if group >= 0 else message
        for message, group in zip(messages, groups, strict=True)
    ]
