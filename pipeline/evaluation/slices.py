"""Where the model is weak: figures for every kind of message, and a search for weak kinds.

Slices come from a message's own fields and every plain column it was read with. The search joins
up to two of them (SliceLine: Sagadeeva and Boehm, SIGMOD 2021, through the sliceline library).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import sparse

from pipeline.evaluation.gold import Bools, GoldSet, Scores
from pipeline.evaluation.intervals import Bootstrap, Figure, mean_defined, ratio
from pipeline.evaluation.metrics import Figures, f1_score

FEWEST = 10
"""Messages below which a slice's figures say nothing."""
_MOST_VALUES = 20
"""Values of a column that become slices; of more, the most frequent."""
_LENGTHS = ((15, "under 15 words"), (40, "15 to 39"), (90, "40 to 89"), (180, "90 to 179"))
_CUES = ("mutual_contact", "family", "alma_mater", "shared_employer", "shared_community")
_NOT_A_KIND = frozenset({"cues", "evidence", "words", "commit", "path", "loc", "sha256", "votes"})


@dataclass(frozen=True)
class Slice:
    """One kind of message and how the model does on it."""

    column: str
    value: str
    rows: Bools
    accuracy: Figure
    macro_f1: Figure
    """The mean F1 of the labels."""

    @property
    def count(self) -> int:
        """How many messages."""
        return int(self.rows.sum())


@dataclass(frozen=True)
class WeakSpot:
    """A kind of message that the search found: its facts, and how often the primary is wrong."""

    facts: tuple[tuple[str, str], ...]
    count: int
    wrong: int


Columns = dict[str, list[tuple[str, ...]]]
"""Per column and message its values: none, one, or several (cues)."""


def columns(gold: GoldSet, truncated: Iterable[bool] | None = None) -> Columns:
    """What messages can be sliced by.

    Args:
        gold: the set.
        truncated: per message whether the model could not read it whole, where that is known.
    """
    messages = gold.messages
    found: Columns = {
        "channel": [(m.channel,) if m.channel else () for m in messages],
        "length": [(_length(m.text),) for m in messages],
        "source": [(m.source,) if m.source else () for m in messages],
        "cue": [_cues(m.extra) for m in messages],
        "asks": [
            (str(min(len(m.asks), 2)) + ("" if len(m.asks) < 2 else " or more"),) for m in messages
        ]
        if gold.multi_label
        else [() for _ in messages],
    }
    if truncated is not None:
        found["read whole"] = [("no" if cut else "yes",) for cut in truncated]
    for name in sorted({key for m in messages for key in m.extra} - _NOT_A_KIND):
        found[name] = _kinds([m.extra.get(name) for m in messages])
    return {name: values for name, values in found.items() if _is_a_kind(values)}


def _length(text: str) -> str:
    words = len(text.split())
    return next((name for limit, name in _LENGTHS if words < limit), "180 words or more")


def _cues(extra: Mapping[str, Any]) -> tuple[str, ...]:
    if "cues" not in extra:
        return ()
    cues = extra["cues"]
    named = cues.split(";") if isinstance(cues, str) else list(cues or ())
    return tuple(c.strip() for c in named if c.strip()) or ("none",)


def _kinds(values: Sequence[Any]) -> list[tuple[str, ...]]:
    """A column as kinds: of numbers the quarters, of words the most frequent."""
    plain = [value if isinstance(value, str | bool | int | float) else "" for value in values]
    words = [str(value).strip() for value in plain]
    counts = Counter(word for word in words if word)
    if len(counts) > _MOST_VALUES and all(map(_is_number, counts)):
        return _quarters(words)
    kept = {word for word, _ in counts.most_common(_MOST_VALUES)}
    return [(word,) if word in kept else () for word in words]


def _is_number(word: str) -> bool:
    try:
        return math.isfinite(float(word))
    except ValueError:
        return False


def _quarters(words: Sequence[str]) -> list[tuple[str, ...]]:
    """Numbers as the quarter of the set that they fall into."""
    known = np.array([float(word) for word in words if word])
    edges = np.unique(np.quantile(known, [0, 0.25, 0.5, 0.75, 1]))
    names = [f"{low:g} to {high:g}" for low, high in pairwise(edges)]
    places = np.clip(np.searchsorted(edges, known, side="right") - 1, 0, len(names) - 1)
    found = (names[place] for place in places)
    return [(next(found),) if word else () for word in words]


def _is_a_kind(values: list[tuple[str, ...]]) -> bool:
    """Whether a column tells kinds of some size apart; ids and the like do not."""
    counts = Counter(value for row in values for value in row)
    return len(counts) > 1 and max(counts.values()) >= min(FEWEST, len(values) // 4)


def measure_slices(
    gold: GoldSet, scores: Scores, bootstrap: Bootstrap, facts: Columns
) -> list[Slice]:
    """Figures of every slice of at least `FEWEST` messages, the worst accuracy first."""
    named = [
        (column, value, np.array([value in row for row in rows]))
        for column, rows in facts.items()
        for value in sorted({value for row in rows for value in row})
    ]
    named = [entry for entry in named if entry[2].sum() >= FEWEST]
    slices = [Slice(*entry, *_figures(gold, scores, bootstrap, entry[2])) for entry in named]
    return sorted(slices, key=lambda s: (s.accuracy.value, s.column, s.value))


def _figures(
    gold: GoldSet, scores: Scores, bootstrap: Bootstrap, rows: Bools
) -> tuple[Figure, Figure]:
    here = rows[:, None]
    both, right = gold.asks & scores.asks & here, (gold.primary == scores.primary)[:, None] & here
    size = len(gold.labels)
    # Most rows of most slices are empty, and sparse sums pass over those.
    counted = np.hstack([both, scores.asks & here, gold.asks & here, right, here])
    sums = bootstrap.sums(sparse.csr_array(counted.astype(np.float32)))
    f1 = f1_score(*(sums[:, i * size : (i + 1) * size] for i in range(3)))
    return (
        bootstrap.figure(ratio(sums[:, -2], sums[:, -1])),
        bootstrap.figure(mean_defined(f1)),
    )


def flat_figures(slices: Iterable[Slice]) -> Figures:
    """The slices' figures by name: `COLUMN.VALUE.rows`, `….accuracy` and `….macro_f1`."""
    figures: Figures = {}
    for s in slices:
        figures |= {
            f"{s.column}.{s.value}.rows": Figure(s.count),
            f"{s.column}.{s.value}.accuracy": s.accuracy,
            f"{s.column}.{s.value}.macro_f1": s.macro_f1,
        }
    return figures


def find_weak_spots(gold: GoldSet, scores: Scores, facts: Columns, most: int = 8) -> list[WeakSpot]:
    """Search the kinds of message, alone and two together, where the primary is wrong most.

    Only kinds with clearly more errors than the rest of the set are given (twice their standard
    error above it); a kind that a wider one explains is left to the search's own ranking.
    """
    from sliceline.slicefinder import Slicefinder

    names, table = _table(facts)
    wrong = gold.primary != scores.primary
    if not names or not wrong.any():
        return []
    finder = Slicefinder(
        alpha=0.95, k=3 * most, max_l=2, min_sup=max(2 * FEWEST, len(gold) // 100), verbose=False
    )
    finder.fit(table, wrong.astype(float))
    spots = []
    for row in finder.top_slices_:
        named = [(name, value) for name, value in zip(names, row, strict=True) if value is not None]
        inside = np.all([table[:, names.index(n)] == v for n, v in named], axis=0)
        spot = WeakSpot(tuple(named), int(inside.sum()), int(wrong[inside].sum()))
        if _is_clear(spot, wrong.mean()):
            spots.append(spot)
    return spots[:most]


def _table(facts: Columns) -> tuple[list[str], np.ndarray]:
    """One value a cell, "" where nothing is known; a cue becomes a column of its own."""
    # The number of asks is part of the label, not something known of a new message.
    single = {name: rows for name, rows in facts.items() if name not in ("cue", "asks")}
    table = {name: [row[0] if row else "" for row in rows] for name, rows in single.items()}
    if "cue" in facts:
        for cue in _CUES:
            table[f"cue {cue}"] = ["yes" if cue in row else "" for row in facts["cue"]]
    table = {name: cells for name, cells in table.items() if len(Counter(cells)) > 1}
    return list(table), np.array(list(table.values()), dtype=object).T


def _is_clear(spot: WeakSpot, base: float) -> bool:
    rate = spot.wrong / spot.count
    known = all(value for _, value in spot.facts)
    return bool(known and rate - base > 2 * np.sqrt(base * (1 - base) / spot.count))
