"""What to label next, so that few labels teach much.

Uncertainty: what the current model is least sure of (Lewis and Gale, SIGIR 1994). Disagreement:
where annotators contradict each other (query by committee; Seung et al., COLT 1992). Diversity:
what is least like anything labelled or chosen so far (k-center; Sener and Savarese, ICLR 2018).
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import DataError
from pipeline.labeling.learner import Scores, features, fit_predict, hits_of
from pipeline.labeling.lists import Item
from pipeline.labeling.log import latest
from pipeline.labeling.project import Project
from pipeline.labeling.resolve import MACHINES, resolve
from pipeline.records import Annotation, Message, render

By = Literal["mixed", "uncertainty", "disagreement", "diversity", "random"]

_POOL = 20
"""Diversity is looked for among so many times the wanted messages, at most."""


def next_messages(project: Project, count: int, by: By = "mixed") -> list[Item]:
    """The messages to label next, the most useful first.

    Messages that a person has labelled are left out, and so are near-duplicates of them and of
    each other. Without labels to learn from there is no uncertainty; diversity takes its place.

    Args:
        project: messages and log.
        count: how many.
        by: one strategy, or all of them taking turns.

    Raises:
        DataError: every message is labelled already.
    """
    standing = [a for a in latest(project.annotations) if a.asks is not None]
    people = resolve((a for a in standing if a.role not in MACHINES), project.settings.task)
    open_ = _without_duplicates(project.messages, people.keys())
    if not open_:
        raise DataError("Every message, or a near-duplicate of it, is labelled already.")
    order = {m.id: i for i, m in enumerate(project.messages)}
    rows = features([render(m.subject, m.text) for m in project.messages])
    known = [order[m] for m in people]
    asked = [order[m.id] for m in open_]
    multi_label = project.settings.task.multi_label
    scores = None
    if known:
        hits = hits_of(list(people.values()), project.settings.task)
        scores = fit_predict(rows[known], hits, rows[asked], multi_label)
    disputes = _disputes(standing, [m.id for m in open_])
    chosen = choose(
        rows[asked], rows[known], scores, disputes, min(count, len(asked)), by,
        seed=project.settings.seed, multi_label=multi_label,
    )  # fmt: skip
    return [Item(open_[i].id, reason, round(score, 4)) for i, reason, score in chosen]


def choose(
    rows: Any,
    known: Any,
    scores: Scores | None,
    disputes: NDArray[np.float64],
    count: int,
    by: By,
    *,
    seed: int,
    multi_label: bool,
) -> list[tuple[int, str, float]]:
    """Choose among rows; each choice with its reason and score, none twice.

    Args:
        rows: features of length 1, shape (rows, words), sparse or dense.
        known: features of what is labelled, shape (known, words).
        scores: the current model's probabilities, shape (rows, labels), or None without one.
        disputes: per row, how much annotators contradict each other, from 0 to 1.
        count: how many to choose.
        by: a strategy, or `mixed`.
        seed: for the random ones.
        multi_label: as in `uncertainty`.
    """
    total = rows.shape[0]
    unsure = np.zeros(total) if scores is None else uncertainty(scores, multi_label)
    rng = random.Random(seed)  # noqa: S311 - a draw, not a secret
    shuffled = rng.sample(range(total), total)
    queues: dict[str, Iterator[tuple[int, float]]] = {
        "uncertainty": _highest(unsure, shuffled),
        "disagreement": _highest(disputes, shuffled),
        "diversity": _farthest(rows, known, shuffled[: max(500, _POOL * count)]),
        "random": ((i, 0.0) for i in shuffled),
    }
    if by == "mixed":
        turns = ["uncertainty", "uncertainty", "disagreement", "diversity", "random"]
    else:
        turns = [by]
    if scores is None:
        turns = ["diversity" if turn == "uncertainty" else turn for turn in turns]
    if not disputes.any() and by == "mixed":
        turns.remove("disagreement")
    taken: dict[int, tuple[str, float]] = {}
    while len(taken) < count and turns:
        for turn in list(turns):
            found = next(((i, s) for i, s in queues[turn] if i not in taken), None)
            if found is None:
                turns.remove(turn)
            elif len(taken) < count:
                taken[found[0]] = (turn, found[1])
    return [(i, reason, score) for i, (reason, score) in taken.items()]


def uncertainty(scores: Scores, multi_label: bool) -> NDArray[np.float64]:
    """How unsure probabilities of shape (rows, labels) are, from 0 to 1; shape (rows,).

    Multi-label: the most uncertain label's nearness to one half. Single-label: the entropy.
    """
    if multi_label:
        return np.asarray((1 - np.abs(2 * scores - 1)).max(axis=1))
    safe = np.clip(scores, 1e-12, 1)
    return np.asarray(-(safe * np.log(safe)).sum(axis=1) / np.log(scores.shape[1]))


def _highest(values: NDArray[np.float64], order: Sequence[int]) -> Iterator[tuple[int, float]]:
    for i in sorted(order, key=lambda i: -values[i]):
        if values[i] > 0:
            yield i, float(values[i])


def _farthest(rows: Any, known: Any, pool: Sequence[int]) -> Iterator[tuple[int, float]]:
    """Rows of the pool, each the farthest from all that are known or were given before it."""
    if not pool:
        return
    mine = rows[list(pool)]
    nearest = np.zeros(len(pool))
    if known.shape[0]:
        nearest = _dense((mine @ known.T).max(axis=1))
    for _ in pool:
        at = int(np.argmin(nearest))
        yield pool[at], float(1 - nearest[at])
        nearest = np.maximum(nearest, _dense(mine @ mine[at].T))
        nearest[at] = np.inf


def _dense(column: Any) -> NDArray[np.float64]:
    array = column.toarray() if hasattr(column, "toarray") else np.asarray(column)
    return np.asarray(array, dtype=np.float64).ravel()


def _disputes(standing: Sequence[Annotation], ids: Sequence[str]) -> NDArray[np.float64]:
    """Per message, the share of pairs of its annotators whose answers differ."""
    given: dict[str, list[Annotation]] = defaultdict(list)
    for annotation in standing:
        given[annotation.message].append(annotation)
    return np.array([dispute(given.get(i, ())) for i in ids])


def dispute(votes: Sequence[Annotation]) -> float:
    """The share of pairs of answers that contradict each other.

    A rule speaks of what it looks for only: it contradicts whoever says otherwise about that.
    """
    pairs = [(a, b) for i, a in enumerate(votes) for b in votes[i + 1 :]]
    if not pairs:
        return 0.0
    return sum(_differ(a, b) for a, b in pairs) / len(pairs)


def _differ(one: Annotation, other: Annotation) -> bool:
    if "rule" not in (one.role, other.role):
        return one.asks != other.asks or one.primary != other.primary
    if one.role == other.role:
        return bool(one.asks) != bool(other.asks)
    rule, judge = (one, other) if one.role == "rule" else (other, one)
    return not set(rule.asks or ()) <= set(judge.asks or ()) if rule.asks else bool(judge.asks)


def _without_duplicates(messages: Sequence[Message], labelled: Any) -> list[Message]:
    """Unlabelled messages, one of each group of near-duplicates and none that is known so."""
    seen = {_copy_of(m) for m in messages if m.id in labelled}
    found = []
    for message in messages:
        key = _copy_of(message)
        if key not in seen:
            seen.add(key)
            found.append(message)
    return found


def _copy_of(message: Message) -> str:
    return message.template or " ".join(render(message.subject, message.text).lower().split())
