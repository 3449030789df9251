"""The label stage: messages and annotations in, three splits of labelled messages out."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import fields, replace
from itertools import chain
from pathlib import Path
from typing import Any

from pipeline.errors import DataError
from pipeline.labeling.codebook import outdated_in_words, read_codebook
from pipeline.labeling.crowd import annotator_quality
from pipeline.labeling.log import moment
from pipeline.labeling.project import annotation_logs, gather, messages_file
from pipeline.labeling.resolve import Resolved, judged_by_people, resolve
from pipeline.labeling.split import (
    SPLITS,
    Item,
    group,
    keys_of,
    prove_disjoint,
    read_splits,
    split,
    split_by_time,
)
from pipeline.progress import SILENT, Progress
from pipeline.records import NONE, Annotation, LabelledMessage, Message, Rejection
from pipeline.settings import Settings
from pipeline.store import StageResult, read_records, run_stage, write_json, write_records

SPLITS_FILE = "splits.jsonl"

FEWEST = 20
"""Messages below which three splits make no sense."""

FEW = 30
"""Messages below which a held-out split gives rough figures."""


def label(settings: Settings, *, force: bool = False, progress: Progress = SILENT) -> StageResult:
    """Resolve the annotations and split the labelled messages.

    Writes ``train.parquet``, ``validation.parquet`` and ``test.parquet`` (labelled messages),
    ``annotations.parquet`` (those that were used), ``rejected.parquet`` (those that were not,
    each with its reason), ``annotators.json`` (how each annotator compares with the others) and
    ``splits.jsonl`` (what `settings.label.splits` takes, so that messages stay where they are when
    others come) into `settings.label_dir`.

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
        inputs=[messages, *logs, *settings.label.splits],
        output_dir=settings.label_dir,
        force=force,
    )


def _label(
    settings: Settings, source: Path, logs: Sequence[Path], folder: Path, progress: Progress
) -> dict[str, Any]:
    messages = read_records(source, Message)
    annotations, rejected = gather(settings, messages, logs)
    labelled = _labelled(messages, annotations, settings)
    by_people = judged_by_people(annotations)
    if settings.label.held_out == "anyone":
        by_people = {message.id for message in labelled}
    parts = _split(settings, labelled, by_people)
    if settings.label.held_out == "people" and settings.label.machines == "always":
        theirs = resolve(annotations, settings.task, settings.label.method, "never")
        for name in ("validation", "test"):
            parts[name] = [_answered(message, theirs[message.id]) for message in parts[name]]
    _check_labels(parts["train"], settings)
    for name, rows in parts.items():
        write_records(folder / f"{name}.parquet", rows, LabelledMessage)
    (folder / SPLITS_FILE).write_text(
        "".join(f"{json.dumps({'id': m.id, 'split': m.split})}\n" for m in chain(*parts.values())),
        encoding="utf-8",
    )
    write_records(folder / "annotations.parquet", annotations, Annotation)
    write_records(folder / "rejected.parquet", rejected, Rejection)
    qualities = annotator_quality(annotations, settings.task)
    write_json(folder / "annotators.json", [quality.to_row() for quality in qualities])
    counts = {
        **{name: len(rows) for name, rows in parts.items()},
        "by_machines": len(labelled) - len(by_people),
        "left_out": len(labelled) - sum(len(rows) for rows in parts.values()),
        "unlabelled": len(messages) - len(labelled),
        "annotations": len(annotations),
        "rejected": len(rejected),
    }
    _say(settings, counts, annotations, rejected, progress)
    return counts


def _labelled(
    messages: Sequence[Message], annotations: Sequence[Annotation], settings: Settings
) -> list[LabelledMessage]:
    options = settings.label
    resolved = resolve(annotations, settings.task, options.method, options.machines)
    return [
        _answered(LabelledMessage(**{f.name: getattr(m, f.name) for f in fields(Message)}), answer)
        for m in messages
        if (answer := resolved.get(m.id))
    ]


def _answered(message: LabelledMessage, answer: Resolved) -> LabelledMessage:
    return replace(
        message,
        asks=answer.asks,
        primary=answer.primary,
        targets=answer.targets,
        annotators=answer.annotators,
    )


def _say(
    settings: Settings,
    counts: Mapping[str, int],
    annotations: Sequence[Annotation],
    rejected: Sequence[Rejection],
    progress: Progress,
) -> None:
    """What people should know of the splits beyond their sizes."""
    if counts["by_machines"]:
        left = f", {counts['left_out']} left out beside held-out ones" if counts["left_out"] else ""
        progress.note(
            f"{counts['by_machines']} message(s) have labels of machines alone and are for "
            f"training only{left} (label.held_out: people)."
        )
    for name in ("validation", "test"):
        if 0 < counts[name] < FEW:
            progress.note(
                f"Only {counts[name]} message(s) for {name}: its figures will be rough. Let people "
                f"label more, or raise label.{name}."
            )
    if settings.label.codebook.exists():
        older = outdated_in_words(annotations, read_codebook(settings.label.codebook))
        if older:
            progress.note(older)
    if rejected:
        reasons = ", ".join(f"{n} {r}" for r, n in Counter(x.reason for x in rejected).items())
        kept = settings.label_dir / "rejected.parquet"
        progress.note(f"{len(rejected)} annotation(s) could not be used ({reasons}); see {kept}.")


def _split(
    settings: Settings, labelled: Sequence[LabelledMessage], by_people: Container[str]
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
    judged = [item for item in items if item.id in by_people]
    if not judged:
        raise DataError(
            f"all {len(labelled)} labels come from rules and models alone, and validation and test "
            "want people's. Label some messages (`outreach label review`), or take machines' word "
            "for it with label.held_out=anyone."
        )
    shares = {"validation": settings.label.validation, "test": settings.label.test}
    shares = {"train": 1 - sum(shares.values()), **shares}
    drawn = [item for item in judged if item.id not in held_out]
    if settings.label.split_by == "time":
        assigned = split_by_time(drawn, shares)
    else:
        assigned = split(drawn, shares, settings.seed, read_splits(settings.label.splits))
    assigned |= {item.id: "test" for item in judged if item.id in held_out}
    assigned |= _for_training(items, assigned, held_out)
    prove_disjoint([item for item in items if item.id in assigned], assigned)
    parts: dict[str, list[LabelledMessage]] = {name: [] for name in SPLITS}
    for message in labelled:
        if name := assigned.get(message.id):
            parts[name].append(replace(message, split=name))
    for name in ("train", "validation"):
        if not parts[name]:
            raise DataError(
                f"no message is left for {name}: {len(judged)} messages that people labelled fall "
                "into too few groups. Label more, or take a kind out of label.keep_together."
            )
    return parts


def _for_training(
    items: Sequence[Item], assigned: Mapping[str, str], held_out: Container[str]
) -> dict[str, str]:
    """The other messages, labelled by machines alone: to train, but for those of held-out groups.

    People's messages are split first and as if these were not there, so that machines' labels may
    come and go without moving a message from one split to another.
    """
    return {
        item.id: "train"
        for members in group(items)
        if all(assigned.get(item.id, "train") == "train" for item in members)
        for item in members
        if item.id not in assigned and item.id not in held_out
    }


def split_item(message: LabelledMessage, settings: Settings) -> Item:
    """What splitting needs to know of a message."""
    kinds = {*settings.label.keep_together}
    if settings.label.split_by == "sender":
        kinds.add("sender")
    origin = str(message.extra.get("origin") or message.source)
    asks = message.asks or (NONE,)
    sent = moment(message.sent_at)
    time = sent if math.isfinite(sent) else None
    strata = tuple(f"{origin}/{ask}" for ask in asks)
    return Item(message.id, keys_of(message, sorted(kinds)), strata, time)


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
