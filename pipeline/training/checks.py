"""What the data must have before training can mean anything."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.errors import DataError, InputError
from pipeline.progress import Progress
from pipeline.settings import Task
from pipeline.training.examples import Examples

FEW = 100
"""Fewer training messages than this get a word of warning."""


def check_examples(train: Examples, validation: Examples, task: Task, progress: Progress) -> None:
    """See that there is something to learn and something to measure on.

    Raises:
        DataError: there is not.
    """
    for name, examples in (("training", train), ("validation", validation)):
        if not len(examples):
            raise DataError(
                f"the {name} split is empty. Label more messages, or change label.validation and "
                "label.test."
            )
        if examples.targets.shape[1] != len(task.labels):
            raise DataError(
                f"the {name} split has targets for {examples.targets.shape[1]} labels, the "
                f"settings name {len(task.labels)}; run `outreach label resolve` again."
            )
    if _all_same(train):
        raise DataError(
            f"all {len(train):,} training messages read the same, as far as "
            "training.max_length lets the model see; there is nothing to tell apart."
        )
    _check_labels(train, task)
    _say_what_is_thin(train, validation, task, progress)


def _check_labels(train: Examples, task: Task) -> None:
    targets = train.targets
    if task.multi_label:
        positives = (targets >= 0.5).sum(axis=0)
    else:
        positives = np.bincount(targets.argmax(axis=1), minlength=targets.shape[1])
    missing = [label for label, n in zip(task.labels, positives, strict=True) if not n]
    if missing:
        raise DataError(
            f"no training message has the label {_listed(missing)}, so it cannot be learned. "
            "Label some messages with it (`outreach label next`), or take it out of task.labels."
        )


def _say_what_is_thin(
    train: Examples, validation: Examples, task: Task, progress: Progress
) -> None:
    if len(train) < FEW:
        progress.note(
            f"Only {len(train)} training and {len(validation)} validation messages: the model will "
            "run, but its figures say little."
        )
    if not task.multi_label:  # one temperature for all labels, and no thresholds
        return
    held_out = (validation.targets >= 0.5).sum(axis=0)
    lacking = [label for label, n in zip(task.labels, held_out, strict=True) if not n]
    if lacking:
        progress.note(
            f"No validation message has {_listed(lacking)}: its scores cannot be calibrated and "
            "its threshold stays at one half."
        )


def check_length(base: Path, max_length: int) -> None:
    """See that the base can read messages of that length.

    Raises:
        InputError: it cannot.
    """
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    most = config.get("max_position_embeddings")
    if not isinstance(most, int):
        return
    # RoBERTa and its kin count positions from the padding id's on.
    offset = config.get("pad_token_id") or 0
    if config.get("model_type") in ("roberta", "xlm-roberta", "camembert", "mpnet"):
        most -= offset + 1
    if max_length > most:
        raise InputError(
            f"training.max_length is {max_length}, but {base} reads at most {most} tokens. "
            f"Set training.max_length={most}, or choose another base."
        )


def check_trackers(report_to: Sequence[str]) -> None:
    """See that the trackers exist and are installed, before hours of work are told to them.

    Raises:
        InputError: one does not, or is not.
    """
    from transformers.integrations import integration_utils as trackers

    there = trackers.get_available_reporting_integrations()  # type: ignore[no-untyped-call]
    for name in report_to:
        if name in (*there, "all", "none"):
            continue
        if name not in trackers.INTEGRATION_TO_CALLBACK:
            known = ", ".join(sorted(trackers.INTEGRATION_TO_CALLBACK))
            raise InputError(f"training.report_to: no tracker {name!r}; there are {known}.")
        raise InputError(
            f"training.report_to: {name} is not installed. Install the package of that name into "
            ".venv, or take it out of the list."
        )


def _all_same(examples: Examples) -> bool:
    lengths = examples.ids.lengths
    if len(examples) < 2 or lengths.min() != lengths.max():
        return False
    first = np.asarray(examples.ids[0])
    return all(np.array_equal(first, examples.ids[i]) for i in range(1, len(examples)))


def _listed(labels: Sequence[str]) -> str:
    shown = ", ".join(repr(label) for label in labels[:5])
    return shown + (f" and {len(labels) - 5} more" if len(labels) > 5 else "")
