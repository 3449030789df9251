"""How far annotators agree: Krippendorff's alpha, Cohen's kappa pair by pair, and the disputes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import DataError
from pipeline.labeling.lists import Item
from pipeline.labeling.log import latest
from pipeline.labeling.queue import dispute
from pipeline.labeling.resolve import MACHINES
from pipeline.records import NONE, Annotation
from pipeline.settings import Task

Given = Mapping[str, Sequence[Annotation]]
FEWEST = 10
"""Shared messages below which a pair of annotators is not compared."""


@dataclass(frozen=True)
class Figure:
    """A coefficient with its interval, and how many messages it rests on."""

    value: float
    low: float
    high: float
    messages: int


@dataclass(frozen=True)
class Agreement:
    """How far annotators agree."""

    messages: int
    """Messages with at least two answers."""
    annotators: int
    alpha: dict[str, Figure]
    """Krippendorff's alpha for each ask, and for `primary`."""
    kappa: dict[tuple[str, str], Figure]
    """Cohen's kappa on the primary for each pair with enough shared messages."""
    suggested: int
    """Answers given after a suggestion; they are left out."""


def agreement(
    annotations: Iterable[Annotation],
    task: Task,
    *,
    machines: bool = False,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 13,
) -> Agreement:
    """Measure how far annotators agree on the messages they share.

    Intervals are percentile bootstraps over messages. Answers given after a suggestion are not
    independent and do not count.

    Args:
        annotations: the whole log.
        task: names the labels.
        machines: whether rules' and models' answers count too; else only people's.
        resamples: how many for the intervals.
        confidence: how much of them an interval covers.
        seed: of the resampling.

    Raises:
        DataError: no message has two answers.
    """
    given, suggested = shared(annotations, machines=machines)
    if not given:
        raise DataError(
            "No message has been labelled by two annotators, so there is no agreement to measure. "
            "`outreach label review` gives a share of messages to several people (--overlap)."
        )
    rng = np.random.default_rng(seed)
    tail = (1 - confidence) / 2

    def alpha(answer: Callable[[Annotation], object], values: Sequence[object]) -> Figure:
        counts = np.array(
            [[sum(answer(v) == x for v in votes) for x in values] for votes in given.values()]
        )
        patterns, times = np.unique(counts, axis=0, return_counts=True)
        draws = rng.multinomial(len(counts), times / len(counts), size=resamples)
        return _figure(_alpha(counts), _alphas(patterns, draws), tail, len(counts))

    def found(label: str) -> Callable[[Annotation], object]:
        return lambda vote: label in (vote.asks or ())

    figures = {label: alpha(found(label), (False, True)) for label in task.labels}
    primaries = (*task.labels, NONE) if task.multi_label else task.labels
    figures["primary"] = alpha(lambda v: v.primary, primaries)
    names = {vote.annotator for votes in given.values() for vote in votes}
    kappas = {
        pair: _kappa_figure(answers, primaries, rng, resamples, tail)
        for pair, answers in sorted(_pairs(given).items())
        if len(answers) >= FEWEST
    }
    return Agreement(len(given), len(names), figures, kappas, suggested)


def shared(
    annotations: Iterable[Annotation], *, machines: bool = False
) -> tuple[dict[str, list[Annotation]], int]:
    """The messages with at least two independent answers, and how many answers were suggested."""
    given: dict[str, list[Annotation]] = defaultdict(list)
    suggested = 0
    for annotation in latest(annotations):
        if annotation.asks is None or (annotation.role in MACHINES and not machines):
            continue
        suggested += annotation.suggested
        if not annotation.suggested and annotation.role != "rule":
            given[annotation.message].append(annotation)
    return {m: votes for m, votes in given.items() if len(votes) > 1}, suggested


def disputed(annotations: Iterable[Annotation], count: int = 50) -> list[Item]:
    """The messages that people disagree on most, then those with most doubt."""
    given, _ = shared(annotations)
    ranked = sorted(
        ((dispute(votes), sum(not v.sure for v in votes), m) for m, votes in given.items()),
        key=lambda entry: (-entry[0], -entry[1], entry[2]),
    )
    return [
        Item(m, "disputed", round(share, 4), "; ".join(_in_words(v) for v in given[m]))
        for share, _, m in ranked[:count]
        if share > 0
    ]


def _in_words(vote: Annotation) -> str:
    asks = "+".join(vote.asks or ()) or NONE
    return f"{vote.annotator}: {asks}{'' if vote.sure else '?'}"


def _alpha(counts: NDArray[np.int64]) -> float:
    import krippendorff

    if (counts.sum(axis=0) > 0).sum() < 2:
        return 1.0  # everybody always gave the same answer; the coefficient is not defined
    return float(krippendorff.alpha(value_counts=counts, level_of_measurement="nominal"))


def _alphas(patterns: NDArray[np.int64], draws: NDArray[np.int64]) -> NDArray[np.float64]:
    """Nominal alpha of many resamples at once.

    `patterns` holds the distinct rows of answer counts, shape (patterns, values), and `draws` how
    often each occurs, shape (resamples, patterns). Krippendorff (2011), "Computing alpha".
    """
    size = patterns.sum(axis=1)
    agree = (patterns * (patterns - 1)).sum(axis=1) / (size - 1)
    observed = 1 - (draws @ agree) / (draws @ size)
    totals = draws @ patterns
    n = totals.sum(axis=1)
    expected = 1 - (totals * (totals - 1)).sum(axis=1) / (n * (n - 1))
    return np.asarray(1 - observed / np.where(expected > 0, expected, 1))


def _kappa_figure(
    answers: Sequence[tuple[object, object]],
    values: Sequence[object],
    rng: np.random.Generator,
    resamples: int,
    tail: float,
) -> Figure:
    at = {value: i for i, value in enumerate(values)}
    table = np.zeros((len(values), len(values)))
    for one, other in answers:
        table[at[one], at[other]] += 1
    draws = rng.multinomial(len(answers), table.ravel() / len(answers), size=resamples)
    kappas = _kappas(draws.reshape(resamples, *table.shape))
    return _figure(float(_kappas(table[None])[0]), kappas, tail, len(answers))


def _kappas(tables: NDArray[np.float64] | NDArray[np.int64]) -> NDArray[np.float64]:
    """Cohen's kappa (1960) of confusion tables, shape (tables, values, values)."""
    n = tables.sum(axis=(1, 2))
    same = np.trace(tables, axis1=1, axis2=2) / n
    chance = (tables.sum(axis=1) * tables.sum(axis=2)).sum(axis=1) / n**2
    return np.where(chance < 1, (same - chance) / np.where(chance < 1, 1 - chance, 1), 1.0)


def _pairs(given: Given) -> dict[tuple[str, str], list[tuple[object, object]]]:
    pairs: dict[tuple[str, str], list[tuple[object, object]]] = defaultdict(list)
    for votes in given.values():
        ordered = sorted(votes, key=lambda vote: vote.annotator)
        for i, one in enumerate(ordered):
            for other in ordered[i + 1 :]:
                pairs[one.annotator, other.annotator].append((one.primary, other.primary))
    return pairs


def _figure(value: float, draws: NDArray[np.float64], tail: float, messages: int) -> Figure:
    low, high = np.quantile(draws, [tail, 1 - tail]) if len(draws) else (value, value)
    return Figure(value, float(low), float(high), messages)
