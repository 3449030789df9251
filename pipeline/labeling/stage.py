"""The label stage: messages and annotations in, three splits of labelled messages out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from pipeline.errors import DataError, InputError
from pipeline.labeling.log import read_log
from pipeline.labeling.parse import annotation_from, column_annotations
from pipeline.labeling.resolve import by_majority
from pipeline.labeling.split import SPLITS, Item, prove_disjoint, split
from pipeline.progress import SILENT, Progress
from pipeline.records import NONE, Annotation, LabelledMessage, Message, Rejection
from pipeline.settings import Settings
from pipeline.store import StageResult, read_records, run_stage, write_records

FEWEST = 20
"""Messages below which three splits make no sense."""


def label(settings: Settings, *, force: bool = False, progress: Progress = SILENT) -> StageResult:
    """Resolve annotations by majority and split the labelled messages.

    Writes ``train.parquet``, ``validation.parquet`` and ``test.parquet`` (labelled messages),
    ``annotations.parquet`` (those that were used) and ``rejected.parquet`` (those that were not,
    each with its reason) into `settings.label_dir`.

    Raises:
        InputError: messages have not been ingested, or an annotation log cannot be read.
        DataError: too few labelled messages, a label without any, or groups that cross splits.
    """
    messages = settings.ingest_dir / "messages.parquet"
    if not messages.exists():
        raise InputError(f"{messages}: no messages yet; run `outreach ingest` first.")
    logs = annotation_logs(settings)
    return run_stage(
        "label",
        lambda folder: _label(settings, messages, logs, folder, progress),
        settings={
            "seed": settings.seed,
            "task": settings.task.model_dump(mode="json"),
            "label": settings.label.model_dump(mode="json"),
            "label_column": settings.data.columns.label,
            "test": [str(path) for path in settings.data.test],
        },
        inputs=[messages, *logs],
        output_dir=settings.label_dir,
        force=force,
    )


def annotation_logs(settings: Settings) -> list[Path]:
    """The logs that a run reads: those the settings name, and the public mail's labels."""
    logs = list(settings.data.annotations)
    public = settings.data.public_dir / "labels.jsonl"
    if settings.data.public != "no" and public.exists():
        logs.append(public)
    return logs


def _label(
    settings: Settings, source: Path, logs: Sequence[Path], folder: Path, progress: Progress
) -> dict[str, Any]:
    messages = read_records(source, Message)
    annotations, rejected = _gather(settings, messages, logs)
    resolved = by_majority(annotations, settings.task)
    labelled = [
        LabelledMessage(
            **{f.name: getattr(message, f.name) for f in fields(Message)},
            asks=answer.asks,
            primary=answer.primary,
            targets=answer.targets,
            annotators=answer.annotators,
        )
        for message in messages
        if (answer := resolved.get(message.id))
    ]
    parts = _split(settings, labelled)
    _check_labels(parts["train"], settings)
    for name, rows in parts.items():
        write_records(folder / f"{name}.parquet", rows, LabelledMessage)
    write_records(folder / "annotations.parquet", annotations, Annotation)
    write_records(folder / "rejected.parquet", rejected, Rejection)
    if rejected:
        reasons = ", ".join(f"{n} {r}" for r, n in Counter(x.reason for x in rejected).items())
        kept = settings.label_dir / "rejected.parquet"
        progress.note(f"{len(rejected)} annotation(s) could not be used ({reasons}); see {kept}.")
    return {
        **{name: len(rows) for name, rows in parts.items()},
        "unlabelled": len(messages) - len(labelled),
        "annotations": len(annotations),
        "rejected": len(rejected),
    }


def _gather(
    settings: Settings, messages: Sequence[Message], logs: Sequence[Path]
) -> tuple[list[Annotation], list[Rejection]]:
    """All annotations of the ingested messages, and what could not be used.

    Annotations of messages that are not there are left out without a word: a log may cover more
    mail than was ingested, as the public one does where its texts could not be had.
    """
    known = {message.id for message in messages}
    annotations: list[Annotation] = []
    rejected: list[Rejection] = []
    for entry in _all_entries(settings, messages, logs):
        if isinstance(entry, Rejection):
            rejected.append(entry)
        elif entry.message in known:
            annotations.append(entry)
    return annotations, rejected


def _all_entries(
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


def _split(
    settings: Settings, labelled: Sequence[LabelledMessage]
) -> dict[str, list[LabelledMessage]]:
    if len(labelled) < FEWEST:
        raise DataError(
            f"{len(labelled)} labelled message(s) found; at least {FEWEST} are needed to train and "
            "to measure. Check that annotations name the messages' ids, and data.columns.label."
        )
    given = {str(path) for path in settings.data.test}
    held_out = {message.id: "test" for message in labelled if message.source in given}
    items = [_item(message, settings) for message in labelled]
    shares = {"validation": settings.label.validation, "test": settings.label.test}
    shares = {"train": 1 - sum(shares.values()), **shares}
    assigned = split([i for i in items if i.id not in held_out], shares, settings.seed) | held_out
    prove_disjoint(items, assigned)
    parts: dict[str, list[LabelledMessage]] = {name: [] for name in SPLITS}
    for message in labelled:
        name = assigned[message.id]
        parts[name].append(replace(message, split=name))
    for name in ("train", "validation"):
        if not parts[name]:
            raise DataError(
                f"no message is left for {name}: {len(labelled)} labelled messages fall into too "
                "few groups. Add messages, or take a kind out of label.keep_together."
            )
    return parts


def _item(message: LabelledMessage, settings: Settings) -> Item:
    keys = tuple(
        f"{kind}:{value}"
        for kind in settings.label.keep_together
        if (value := getattr(message, kind))
    )
    origin = str(message.extra.get("origin") or message.source)
    asks = message.asks or (NONE,)
    return Item(message.id, keys, tuple(f"{origin}/{ask}" for ask in asks))


def _check_labels(train: Sequence[LabelledMessage], settings: Settings) -> None:
    counts: Mapping[str, int] = Counter(ask for message in train for ask in message.asks)
    absent = [name for name in settings.task.labels if not counts.get(name)]
    if absent:
        raise DataError(
            f"no training message is labelled {', '.join(absent)}. Label some, or take it out of "
            "task.labels."
        )
    if settings.task.multi_label:
        always = [name for name in settings.task.labels if counts[name] == len(train)]
        if always:
            raise DataError(
                f"every training message is labelled {', '.join(always)}; a model can learn "
                "nothing from that. Add messages without it."
            )
