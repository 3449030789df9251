"""Resolving with a model of how reliable each annotator is, and how reliable each turns out.

Dawid-Skene (1979) estimates each annotator's confusion matrix; MACE (Hovy et al., NAACL 2013)
estimates how often each annotator guesses. Both come from crowd-kit.
"""

from __future__ import annotations

import math
import warnings
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from pipeline.errors import DataError
from pipeline.labeling.log import latest
from pipeline.labeling.resolve import GOLD, Ballots, Resolved, by_majority
from pipeline.records import NONE, Annotation
from pipeline.settings import Task

_SEED = 13


def by_model(
    cast: Ballots, task: Task, method: Literal["dawid_skene", "mace"]
) -> dict[str, Resolved]:
    """Resolve ballots with a model of the annotators.

    Multi-label tasks get one model per ask and one for the primary; the targets are the asks'
    probabilities, an ask counts from one half, and the primary is the most probable one among
    the asks (or `none` where that is likelier than any).

    Raises:
        DataError: nobody annotated a message that somebody else annotated too, so there is
            nothing to learn about them.
    """
    if not any(len(votes) > 1 for votes in cast.values()):
        raise DataError(
            f"label.method {method} learns from messages with several annotators, and none has. "
            "Let annotators overlap, or use label.method=majority."
        )
    primaries = _posterior(_rows(cast, lambda vote: vote.primary), method)
    per_ask: list[Mapping[str, Mapping[Any, float]]] = []
    if task.multi_label:
        per_ask = [
            _posterior(_rows(cast, lambda vote, ask=ask: ask in (vote.asks or ())), method)
            for ask in task.labels
        ]
    resolved = {}
    for message, votes in cast.items():
        primary = primaries[message]
        targets = tuple(found[message].get(True, 0.0) for found in per_ask) or tuple(
            primary.get(label, 0.0) for label in task.labels
        )
        resolved[message] = _answer(primary, targets, len(votes), task)
    return resolved


def _answer(
    primary: Mapping[str, float], targets: Sequence[float], annotators: int, task: Task
) -> Resolved:
    order = (*task.labels, NONE) if task.multi_label else task.labels
    best = max(order, key=lambda label: (primary.get(label, 0.0), -order.index(label)))
    asks = tuple(
        label
        for label, target in zip(task.labels, targets, strict=True)
        if label == best or (task.multi_label and best != NONE and target >= 0.5)
    )
    return Resolved(asks, best, tuple(targets), annotators)


def _rows(cast: Ballots, answer: Any) -> list[tuple[str, str, Any]]:
    return [
        (message, vote.annotator, answer(vote)) for message, votes in cast.items() for vote in votes
    ]


def _posterior(rows: Sequence[tuple[str, str, Any]], method: str) -> dict[str, dict[Any, float]]:
    """Per message, the probability of each answer."""
    import pandas as pd
    from crowdkit.aggregation import MACE, DawidSkene

    frame = pd.DataFrame(rows, columns=["task", "worker", "label"])
    if frame["label"].nunique() == 1:  # crowd-kit wants two answers to choose from
        return {message: {rows[0][2]: 1.0} for message in frame["task"].unique()}
    model = (
        DawidSkene(n_iter=100)
        if method == "dawid_skene"
        else MACE(n_restarts=3, n_iter=30, random_state=_SEED)
    )
    with warnings.catch_warnings():  # crowd-kit 1.4 uses what pandas 4 will drop
        warnings.simplefilter("ignore", DeprecationWarning)
        found = model.fit_predict_proba(frame).to_dict(orient="index")
    return {
        message: {answer: 0.0 if math.isnan(p) else float(p) for answer, p in row.items()}
        for message, row in found.items()
    }


@dataclass(frozen=True)
class Quality:
    """How one annotator compares with the others."""

    annotator: str
    role: str
    messages: int
    """Messages with an answer; `abstained` counts those without."""
    abstained: int
    sure: float
    """Share of the answers given without doubt."""
    with_others: float | None
    """Share of shared messages on which the primary equals what the others resolve to."""
    shared: int
    with_gold: float | None
    """Share of gold messages on which the primary is right."""
    gold: int

    def to_row(self) -> dict[str, Any]:
        """As a plain dict, for JSON."""
        return asdict(self)


def annotator_quality(annotations: Iterable[Annotation], task: Task) -> list[Quality]:
    """How each annotator compares with the majority of the others, and with gold.

    The others never include the annotator. Rules are compared only where they spoke. Sorted by
    role and name.
    """
    mine: dict[tuple[str, str], list[Annotation]] = defaultdict(list)
    by_message: dict[str, list[Annotation]] = defaultdict(list)
    for annotation in latest(annotations):
        mine[annotation.role, annotation.annotator].append(annotation)
        by_message[annotation.message].append(annotation)
    return [
        _quality(role, name, given, by_message, task)
        for (role, name), given in sorted(mine.items())
    ]


def _quality(
    role: str,
    name: str,
    given: Sequence[Annotation],
    by_message: Mapping[str, Sequence[Annotation]],
    task: Task,
) -> Quality:
    answers = [annotation for annotation in given if annotation.asks is not None]
    others = by_majority(
        (o for a in answers for o in by_message[a.message] if o.annotator != name), task
    )
    truth = by_majority(
        (o for a in answers for o in by_message[a.message] if o.role == GOLD != role), task
    )
    return Quality(
        name,
        role,
        len(answers),
        len(given) - len(answers),
        sum(a.sure for a in answers) / len(answers) if answers else 0.0,
        _agreement(answers, others),
        len(others),
        _agreement(answers, truth),
        len(truth),
    )


def _agreement(answers: Sequence[Annotation], others: Mapping[str, Resolved]) -> float | None:
    shared = [a for a in answers if a.message in others]
    if not shared:
        return None
    return sum(a.primary == others[a.message].primary for a in shared) / len(shared)
