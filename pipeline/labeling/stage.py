"""The label stage: messages and annotations in, three splits of labelled messages out."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from pipeline.errors import DataError
from pipeline.labeling.codebook import outdated_in_words, read_codebook
from pipeline.labeling.crowd import annotator_quality
from pipeline.labeling.log import moment
from pipeline.labeling.project import annotation_logs, gather, messages_file
from pipeline.labeling.resolve import resolve
from pipeline.labeling.split import SPLITS, Item, prove_disjoint, split, split_by_time
from pipeline.progress import SILENT, Progress
from pipeline.records import NONE, Annotation, LabelledMessage, Message, Rejection
from pipeline.settings import Settings
from pipeline.store import StageResult, read_records, run_stage, write_json, write_records

FEWEST = 20
"""Messages below which three splits make no sense."""


def label(settings: Settings, *, force: bool = False, progress: Progress = SILENT) -> StageResult:
    """Resolve the annotations and split the labelled messages.

    Writes ``train.parquet``, ``validation.parquet`` and ``test.parquet`` (labelled messages),
    ``annotations.parquet`` (those that were used), ``rejected.parquet`` (those that were not,
    each with its reason) and ``annotators.json`` (how each annotator compares with the others)
    into `settings.label_dir`.

    Raises:
        InputError: messages have not been ingested, or an annotation log cannot be read.
        DataError: too few labelled messages, a label without any, or groups that cross splits.
    """
    messages = messages_file(settings)
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


def _label(
    settings: Settings, source: Path, logs: Sequence[Path], folder: Path, progress: Progress
) -> dict[str, Any]:
    messages = read_records(source, Message)
    annotations, rejected = gather(settings, messages, logs)
    options = settings.label
    resolved = resolve(annotations, settings.task, options.method, options.machines)
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
    qualities = annotator_quality(annotations, settings.task)
    write_json(folder / "annotators.json", [quality.to_row() for quality in qualities])
    if options.codebook.exists():
        older = outdated_in_words(annotations, read_codebook(options.codebook))
        if older:
            progress.note(older)
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


def _split(
    settings: Settings, labelled: Sequence[LabelledMessage]
) -> dict[str, list[LabelledMessage]]:
    if len(labelled) < FEWEST:
        raise DataError(
            f"{len(labelled)} labelled message(s) found; at least {FEWEST} are needed to train and "
            "to measure. Check that annotations name the messages' ids, and data.columns.label."
        )
    given = settings.data.test
    held_out = {
        message.id: "test"
        for message in labelled
        if any(Path(message.source).is_relative_to(path) for path in given)  # a file, or a folder
    }
    items = [split_item(message, settings) for message in labelled]
    shares = {"validation": settings.label.validation, "test": settings.label.test}
    shares = {"train": 1 - sum(shares.values()), **shares}
    drawn = [item for item in items if item.id not in held_out]
    if settings.label.split_by == "time":
        assigned = split_by_time(drawn, shares) | held_out
    else:
        assigned = split(drawn, shares, settings.seed) | held_out
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


def split_item(message: LabelledMessage, settings: Settings) -> Item:
    """What splitting needs to know of a message."""
    kinds = {*settings.label.keep_together}
    if settings.label.split_by == "sender":
        kinds.add("sender")
    keys = tuple(f"{kind}:{value}" for kind in sorted(kinds) if (value := getattr(message, kind)))
    origin = str(message.extra.get("origin") or message.source)
    asks = message.asks or (NONE,)
    sent = moment(message.sent_at)
    time = sent if math.isfinite(sent) else None
    return Item(message.id, keys, tuple(f"{origin}/{ask}" for ask in asks), time)


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
