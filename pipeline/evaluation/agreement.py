"""How far annotators agree with one another, and the model with them: the human ceiling.

A model that agrees with an annotator as often as a second annotator does cannot be told apart from
one by these labels; a figure far above that says more about the labels than about the model.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations

import numpy as np
from scipy import sparse

from pipeline.evaluation.gold import Floats, GoldSet, Scores
from pipeline.evaluation.intervals import Bootstrap, mean_defined, ratio
from pipeline.evaluation.metrics import Figures, f1_score
from pipeline.records import NONE, Annotation


def agreement(
    gold: GoldSet, scores: Scores, annotations: Iterable[Annotation], bootstrap: Bootstrap
) -> Figures:
    """Agreement on the primary, of annotator pairs and of the model with single annotators.

    Both are counted over the messages that at least two annotators read, so that they compare.

    Returns:
        `humans.{messages,agreement,kappa,macro_f1}` and `model.…` the same; empty where no message
        has two annotators.
    """
    answers = _answers(gold, annotations)
    twice = {row: marks for row, marks in answers.items() if len(marks) > 1}
    if not twice:
        return {}
    humans = [(row, a, b) for row, marks in twice.items() for a, b in combinations(marks, 2)]
    machine = [
        (row, int(scores.primary[row]), mark) for row, marks in twice.items() for mark in marks
    ]
    both_ways = humans + [(row, b, a) for row, a, b in humans]  # no annotator is the truth
    return {
        "humans.messages": bootstrap.figure(np.array([len(twice)], float)),
        **_figures("humans", both_ways, gold, bootstrap),
        **_figures("model", machine, gold, bootstrap),
    }


def _answers(gold: GoldSet, annotations: Iterable[Annotation]) -> dict[int, list[int]]:
    """Per row of the set the places of the primaries that its annotators gave."""
    row_of = {message.id: row for row, message in enumerate(gold.messages)}
    place_of = {name: place for place, name in enumerate(gold.classes)}
    answers: dict[int, list[int]] = {}
    for mark in annotations:
        if mark.asks is None or mark.message not in row_of:
            continue
        primary = mark.primary or (mark.asks[0] if mark.asks else NONE)
        if primary in place_of:
            answers.setdefault(row_of[mark.message], []).append(place_of[primary])
    return answers


def _figures(
    name: str, pairs: list[tuple[int, int, int]], gold: GoldSet, bootstrap: Bootstrap
) -> Figures:
    """Observed agreement, Cohen's kappa and macro-F1 of pairs (row, said, so)."""
    size = len(gold.classes)
    rows, said, is_so = (np.array(column) for column in zip(*pairs, strict=True))
    both = np.where(said == is_so, said, -1)
    columns = np.concatenate([said, size + is_so, 2 * size + both[both >= 0]])
    places = np.concatenate([rows, rows, rows[both >= 0]])
    counted = sparse.coo_array(
        (np.ones(len(columns), np.float32), (places, columns)), shape=(len(gold), 3 * size)
    ).tocsr()
    sums = bootstrap.sums(counted)
    first, second, hits = sums[:, :size], sums[:, size : 2 * size], sums[:, 2 * size :]
    observed = ratio(hits.sum(axis=1), first.sum(axis=1))
    expected = _expected(first, second)
    return {
        f"{name}.agreement": bootstrap.figure(observed),
        f"{name}.kappa": bootstrap.figure(ratio(observed - expected, 1 - expected)),
        f"{name}.macro_f1": bootstrap.figure(mean_defined(f1_score(hits, first, second))),
    }


def _expected(first: Floats, second: Floats) -> Floats:
    """Agreement by chance, from both sides' own shares (Cohen, 1960)."""
    shares = [ratio(side, side.sum(axis=1, keepdims=True)) for side in (first, second)]
    return np.asarray((shares[0] * shares[1]).sum(axis=1))
