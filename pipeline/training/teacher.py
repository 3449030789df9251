"""Learning from a stronger model's answers beside people's.

A large model that was trained on the same labels says of each message how likely each answer is,
also where people were all of one mind. A small one that is trained on the mean of both learns more
than from the labels alone (distillation: Hinton, Vinyals and Dean, 2015).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from pipeline.errors import DataError
from pipeline.records import LabelledMessage
from pipeline.settings import Task
from pipeline.store import numbered_lines

Scores = Mapping[str, tuple[float, ...]]
"""Message id to one probability a label, in label order."""


def read_teacher(files: Sequence[Path], task: Task) -> dict[str, tuple[float, ...]]:
    """A stronger model's answers, from JSON Lines as `outreach predict` writes them.

    Where several lines speak of a message, as those of an ensemble do, their mean counts.

    Raises:
        DataError: a line has no id, or not a probability for every label of the task.
    """
    found: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    for place, line in numbered_lines(files):
        try:
            entry = json.loads(line)
            scores = tuple(float(entry["scores"][label]) for label in task.labels)
            name = str(entry["id"])
        except (ValueError, KeyError, TypeError):
            scores, name = (), ""
        if not scores or not all(0 <= score <= 1 for score in scores):
            raise DataError(
                f'{place}: expected {{"id": ID, "scores": {{LABEL: PROBABILITY}}}} with '
                f"{', '.join(task.labels)}; mend the line or leave the file out of data.teacher."
            )
        found[name].append(scores)
    return {name: tuple(map(fmean, zip(*said, strict=True))) for name, said in found.items()}


def taught(
    messages: Iterable[LabelledMessage], teacher: Scores, share: float
) -> Iterator[LabelledMessage]:
    """The messages, the teacher's answer being `share` of the target where it gave one.

    What a message is counted as (its asks) stays what people said.
    """
    for message in messages:
        if (said := teacher.get(message.id)) is None:
            yield message
            continue
        mixed = zip(message.targets, said, strict=True)
        targets = tuple((1 - share) * own + share * other for own, other in mixed)
        yield replace(message, targets=targets)
