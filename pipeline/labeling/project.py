"""What a project has to label: its messages, all annotations of them, and its codebook."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pipeline.errors import InputError
from pipeline.labeling.codebook import Codebook, read_codebook
from pipeline.labeling.log import read_log
from pipeline.labeling.parse import annotation_from, column_annotations
from pipeline.records import Annotation, Message, Rejection
from pipeline.settings import Settings
from pipeline.store import read_records


@dataclass(frozen=True)
class Project:
    """The messages that were ingested and what all annotators said of them."""

    settings: Settings
    messages: list[Message]
    annotations: list[Annotation]
    rejected: list[Rejection]

    @cached_property
    def codebook(self) -> Codebook:
        """The codebook as it is now; raises `InputError` where there is none."""
        return read_codebook(self.settings.label.codebook)

    @cached_property
    def by_id(self) -> dict[str, Message]:
        """The messages by their ids."""
        return {message.id: message for message in self.messages}


def open_project(settings: Settings) -> Project:
    """Read a project's messages and annotation logs.

    Raises:
        InputError: messages have not been ingested, or a log cannot be read.
    """
    messages = read_records(messages_file(settings), Message)
    annotations, rejected = gather(settings, messages, annotation_logs(settings))
    return Project(settings, messages, annotations, rejected)


def messages_file(settings: Settings) -> Path:
    """The file of ingested messages; raises `InputError` where it is not there."""
    path = settings.ingest_dir / "messages.parquet"
    if not path.exists():
        raise InputError(f"{path}: no messages yet; run `outreach ingest` first.")
    return path


def annotation_logs(settings: Settings) -> list[Path]:
    """The logs that a run reads: those the settings name, our own, and the public mail's labels."""
    logs = list(settings.data.annotations)
    if settings.log.exists() and settings.log not in logs:
        logs.append(settings.log)
    public = settings.data.public_dir / "labels.jsonl"
    if settings.data.public != "no" and public.exists():
        logs.append(public)
    return logs


def gather(
    settings: Settings, messages: Sequence[Message], logs: Iterable[Path]
) -> tuple[list[Annotation], list[Rejection]]:
    """All annotations of the ingested messages, and what could not be used.

    Annotations of messages that are not there are left out without a word: a log may cover more
    mail than was ingested, as the public one does where its texts could not be had.
    """
    known = {message.id for message in messages}
    annotations: list[Annotation] = []
    rejected: list[Rejection] = []
    for entry in _entries(settings, messages, logs):
        if isinstance(entry, Rejection):
            rejected.append(entry)
        elif entry.message in known:
            annotations.append(entry)
    return annotations, rejected


def _entries(
    settings: Settings, messages: Sequence[Message], logs: Iterable[Path]
) -> Iterator[Annotation | Rejection]:
    for path in logs:
        yield from read_log(path, settings.task)
    column = settings.data.columns.label
    if not column:
        return
    for message in messages:
        if column not in message.extra:
            continue
        row = {"message": message.id, "annotator": f"column {column}", "role": "gold"}
        asks = column_annotations(message.extra[column])
        try:
            yield annotation_from({**row, "asks": asks}, settings.task)
        except ValueError as error:
            yield Rejection(message.source, message.position, "bad_annotation", str(error))
