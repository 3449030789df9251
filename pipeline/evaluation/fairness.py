"""Does the answer change with what should not matter? And whom would sorting by score favour?

Source of the method: Kusner et al., Counterfactual Fairness, 2017; Garg et al., Counterfactual
Fairness in Text Classification through Robustness, 2019.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.evaluation.gold import Bools, Floats, GoldSet, Scores
from pipeline.evaluation.intervals import Bootstrap, Figure, ratio
from pipeline.evaluation.metrics import Figures
from pipeline.evaluation.quote import quote
from pipeline.evaluation.sentences import Score
from pipeline.evaluation.swaps import Swap
from pipeline.records import render

TOP_SHARES = (0.1, 0.2, 0.5)
_EXAMPLES = 3
_SHOWN = 60
"""Letters of a message shown on each side of a change."""
_WORDS = re.compile(r"\S+\s*")


@dataclass(frozen=True)
class Flip:
    """One message whose answer changed: between which groups, from what to what."""

    id: str
    first: str
    second: str
    """The two groups, and what each was given."""
    before: str
    after: str
    """The two primaries."""
    moved: float
    leading: str
    trailing: str
    """What stands before and behind the change, redacted and short."""


@dataclass(frozen=True)
class SwapResult:
    """What one kind of swap did."""

    kind: str
    source: str
    messages: int
    primary_flips: Figure
    """Share of messages whose primary differs between any two groups."""
    asks_flips: Figure
    moved: Figure
    """How far the score that moves most moves between two groups, mean over messages."""
    worst: list[Flip]


def sample(gold: GoldSet, most: int, seed: int) -> np.ndarray:
    """The rows that are swapped: all, or `most` drawn at random; in order."""
    if len(gold) <= most:
        return np.arange(len(gold))
    return np.sort(np.random.default_rng(seed).choice(len(gold), most, replace=False))


def swap_all(
    gold: GoldSet,
    swaps: Sequence[Swap],
    score: Score,
    thresholds: Any,
    bootstrap: Bootstrap,
    rows: np.ndarray,
) -> list[SwapResult]:
    """Swap every kind in the messages `rows` and compare the answers; the most flips first."""
    results = [_swap(gold, s, score, thresholds, bootstrap, rows) for s in swaps]
    done = [result for result in results if result is not None]
    return sorted(done, key=lambda r: -r.primary_flips.value)


def _swap(
    gold: GoldSet,
    swap: Swap,
    score: Score,
    thresholds: Any,
    bootstrap: Bootstrap,
    rows: np.ndarray,
) -> SwapResult | None:
    messages = [gold.messages[row] for row in rows]
    made = [swap.variants(m.id, m.text) for m in messages]
    touched = [i for i, variants in enumerate(made) if variants]
    if not touched:
        return None
    groups = list(made[touched[0]])
    texts = [render(messages[i].subject, made[i][g]) for i in touched for g in groups]
    probabilities = score(texts).reshape(len(touched), len(groups), -1)
    decided = Scores.decide(
        probabilities.reshape(len(texts), -1), thresholds, multi_label=gold.multi_label
    )
    primary = decided.primary.reshape(len(touched), len(groups))
    asks = decided.asks.reshape(len(touched), len(groups), -1)
    moved = (probabilities.max(axis=1) - probabilities.min(axis=1)).max(axis=1)
    primary_flips = (primary != primary[:, :1]).any(axis=1)
    asks_flips = (asks != asks[:, :1]).any(axis=(1, 2))
    own = rows[touched]
    statistics = np.zeros((len(gold), 4), np.float32)
    statistics[own] = np.column_stack([primary_flips, asks_flips, moved, np.ones(len(own))])
    sums = bootstrap.sums(statistics)
    primaries, any_ask, mean = (bootstrap.figure(ratio(sums[:, i], sums[:, 3])) for i in range(3))
    worst = np.argsort(-(moved * primary_flips), kind="stable")[:_EXAMPLES]
    return SwapResult(
        swap.kind,
        swap.source,
        len(touched),
        primaries,
        any_ask,
        mean,
        [
            _flip(gold, swap, made[touched[i]], int(own[i]), primary[i], probabilities[i])
            for i in worst
            if primary_flips[i]
        ],
    )


def _flip(
    gold: GoldSet,
    swap: Swap,
    variants: Mapping[str, str],
    row: int,
    primary: Any,
    scores: Floats,
) -> Flip:
    groups = list(variants)
    other = int(np.flatnonzero(primary != primary[0])[0])
    leading, parts, trailing = changed_part(variants[groups[0]], variants[groups[other]])
    if swap.how == "wording":  # the words are the message's own, not those of our table
        parts = (quote(parts[0], _SHOWN), quote(parts[1], _SHOWN))
    return Flip(
        gold.messages[row].id,
        f"{groups[0]} ({parts[0]})",
        f"{groups[other]} ({parts[1]})",
        gold.classes[primary[0]],
        gold.classes[primary[other]],
        float(np.abs(scores[other] - scores[0]).max()),
        quote(leading, _SHOWN, end=True),
        quote(trailing, _SHOWN),
    )


def changed_part(first: str, second: str) -> tuple[str, tuple[str, str], str]:
    """What two texts share before they differ, where they do, and what they share after.

    >>> changed_part("Hi Ana, I work at Apple. Hiring?", "Hi Ana, I work at a bakery. Hiring?")
    ('Hi Ana, I work at', ('Apple.', 'a bakery.'), 'Hiring?')
    """
    one, two = _WORDS.findall(first), _WORDS.findall(second)
    most = min(len(one), len(two))
    start = next((i for i in range(most) if one[i] != two[i]), most)
    most -= start
    end = next((i for i in range(most) if one[-1 - i] != two[-1 - i]), most)
    parts = ("".join(own[start : len(own) - end]).strip() for own in (one, two))
    shared = "".join(one[:start]).strip(), "".join(one[len(one) - end :]).strip()
    return shared[0], (next(parts), next(parts)), shared[1]


def flat_figures(results: Sequence[SwapResult]) -> Figures:
    """The swaps' figures by name, and `max_flip_rate`, the largest share of flipped primaries."""
    figures: Figures = {}
    for r in results:
        key = r.kind.replace(", ", "_").replace(" ", "_")
        figures |= {
            f"{key}.messages": Figure(r.messages),
            f"{key}.primary_flips": r.primary_flips,
            f"{key}.asks_flips": r.asks_flips,
            f"{key}.moved": r.moved,
        }
    if results:
        figures["max_flip_rate"] = Figure(max(r.primary_flips.value for r in results))
    return figures


@dataclass(frozen=True)
class Triage:
    """Who would be read, of those who make one ask, if only the top by score were."""

    ask: str
    messages: int
    base: Figure
    """Share of senders with a shared-connection cue among all who make the ask."""
    tops: list[tuple[float, Figure, Figure]]
    """Per share read: that share among the top, and the difference from the base rate."""


def triage(gold: GoldSet, scores: Scores, bootstrap: Bootstrap) -> list[Triage]:
    """Per ask, whether ranking by score changes how many senders with a shared cue are read.

    Only messages whose cues are known count; empty where none are.
    """
    known = np.array(["cues" in m.extra for m in gold.messages])
    cued = np.array([bool(m.extra.get("cues")) for m in gold.messages])
    if not gold.multi_label or not (known & cued).any():
        return []
    found = []
    for i, ask in enumerate(gold.labels):
        asked = gold.asks[:, i] & known
        if asked.sum() >= 2 * len(TOP_SHARES):
            found.append(_triage(ask, asked, cued, scores.probabilities[:, i], bootstrap))
    return found


def _triage(ask: str, asked: Bools, cued: Bools, score: Floats, bootstrap: Bootstrap) -> Triage:
    tops = [asked & (score >= np.quantile(score[asked], 1 - share)) for share in TOP_SHARES]
    sets = np.stack([asked, *tops], axis=1)
    sums = bootstrap.sums(np.hstack([sets & cued[:, None], sets]))
    shares = ratio(sums[:, : sets.shape[1]], sums[:, sets.shape[1] :])
    figures = [bootstrap.figure(shares[:, i]) for i in range(sets.shape[1])]
    changes = [bootstrap.figure(shares[:, i] - shares[:, 0]) for i in range(1, sets.shape[1])]
    return Triage(
        ask,
        int(asked.sum()),
        figures[0],
        list(zip(TOP_SHARES, figures[1:], changes, strict=True)),
    )
