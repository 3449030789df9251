"""From what several annotators say of a message to one answer, keeping how much they agreed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.labeling.log import latest
from pipeline.records import NONE, Annotation
from pipeline.settings import Task


@dataclass(frozen=True)
class Resolved:
    """What the annotations of one message amount to."""

    asks: tuple[str, ...]
    primary: str
    targets: tuple[float, ...]
    """Per label, in task order, the share of annotators who found that ask."""
    annotators: int


def by_majority(annotations: Iterable[Annotation], task: Task) -> dict[str, Resolved]:
    """Resolve each message by the majority of its annotators; those who abstained do not count.

    Where a `gold` annotation exists only gold counts. Ties go to the side with more annotators
    who were sure, then to the ask (rather than its absence) and to the first in label order.
    Each annotator has one vote, its standing answer (`pipeline.labeling.log.latest`).
    """
    votes: dict[str, list[Annotation]] = defaultdict(list)
    for annotation in latest(annotations):
        if annotation.asks is not None:
            votes[annotation.message].append(annotation)
    return {message: _resolve(cast, task) for message, cast in votes.items()}


def _resolve(cast: Sequence[Annotation], task: Task) -> Resolved:
    gold = [vote for vote in cast if vote.role == "gold"]
    cast = gold or cast
    found = [[label in (vote.asks or ()) for vote in cast] for label in task.labels]
    targets = tuple(sum(hits) / len(cast) for hits in found)
    primary = _primary(cast, task)
    if primary == NONE:
        asks: tuple[str, ...] = ()
    else:
        asks = tuple(
            label
            for label, hits in zip(task.labels, found, strict=True)
            if label == primary or (task.multi_label and _carried(hits, cast))
        )
    return Resolved(asks, primary, targets, len(cast))


def _carried(hits: Sequence[bool], cast: Sequence[Annotation]) -> bool:
    lead = 2 * sum(hits) - len(hits)
    sure = sum((1 if hit else -1) for hit, vote in zip(hits, cast, strict=True) if vote.sure)
    return lead > 0 or (lead == 0 and sure >= 0)


def _primary(cast: Sequence[Annotation], task: Task) -> str:
    order = (*task.labels, NONE)
    votes: dict[str, tuple[int, int, int]] = {}
    for i, label in enumerate(order):
        mine = [vote for vote in cast if vote.primary == label]
        votes[label] = (len(mine), sum(vote.sure for vote in mine), -i)
    return max(order, key=lambda label: votes[label])
