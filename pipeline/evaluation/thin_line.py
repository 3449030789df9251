"""The thin line between two asks, looked at on its own: information against influence.

"What is it like there?" and "could you get me in there?" are often a word apart, and often stand
in one message.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.evaluation.gold import Bools, Floats, GoldSet, Scores
from pipeline.evaluation.intervals import Bootstrap, Figure, ratio
from pipeline.evaluation.metrics import Figures


@dataclass(frozen=True)
class ThinLine:
    """What the report shows of two neighbouring asks."""

    first: str
    second: str
    both: dict[str, int]
    """Of the messages that make both asks: how often the model finds both, one, or neither."""
    pairs: list[tuple[str, int, int]]
    """Per kind of contrast pair ("information / influence"): how many, how many both right."""
    score_among_first_only: Floats
    """The second ask's probability in messages that make only the first."""
    score_among_second_only: Floats
    figures: Figures

    @property
    def exists(self) -> bool:
        """Whether there is anything to show."""
        return bool(len(self.score_among_first_only) or self.pairs or sum(self.both.values()))


def thin_line(
    gold: GoldSet, scores: Scores, bootstrap: Bootstrap, asks: tuple[str, str]
) -> ThinLine | None:
    """Look at the line between two asks; None where the model does not know them both.

    Returns:
        among the figures: `thin_line.both_found` (share of two-ask messages whose two asks are
        found), `thin_line.false_alarm` (share of messages that make only the first ask where the
        second is found too), `thin_line.missed`, `thin_line.mean_score`, `pairs.both_right` (share
        of all contrast pairs with both primaries right).
    """
    if not gold.multi_label or not set(asks) <= set(gold.labels):
        return None
    one, two = (gold.labels.index(ask) for ask in asks)
    both = gold.asks[:, one] & gold.asks[:, two]
    only_one = gold.asks[:, one] & ~gold.asks[:, two]
    only_two = gold.asks[:, two] & ~gold.asks[:, one]
    found = scores.asks[:, [one, two]]
    counts = {
        "both asks found": int((found.all(axis=1) & both).sum()),
        f"only {asks[0]}": int((found[:, 0] & ~found[:, 1] & both).sum()),
        f"only {asks[1]}": int((~found[:, 0] & found[:, 1] & both).sum()),
        "neither": int((~found.any(axis=1) & both).sum()),
    }
    score = scores.probabilities[:, two]
    return ThinLine(
        asks[0],
        asks[1],
        counts,
        _pair_kinds(gold, scores),
        score[only_one],
        score[only_two],
        {
            "thin_line.both_found": _share(bootstrap, found.all(axis=1), both),
            "thin_line.false_alarm": _share(bootstrap, found[:, 1], only_one),
            "thin_line.missed": _share(bootstrap, ~found[:, 1], only_two),
            "thin_line.mean_score": _share(bootstrap, score, only_one),
            "pairs.both_right": _both_right(gold, scores, bootstrap),
        },
    )


def _share(bootstrap: Bootstrap, what: Any, where: Bools) -> Figure:
    """The mean of `what` among the rows `where` holds."""
    sums = bootstrap.sums(np.column_stack([what * where, where]))
    return bootstrap.figure(ratio(sums[:, 0], sums[:, 1]))


def whole_pairs(gold: GoldSet) -> dict[str, list[int]]:
    """The contrast pairs both of whose messages stand in the set: name to rows."""
    rows: dict[str, list[int]] = defaultdict(list)
    for row, message in enumerate(gold.messages):
        if message.pair:
            rows[message.pair].append(row)
    return {name: members for name, members in rows.items() if len(members) > 1}


def _pair_kinds(gold: GoldSet, scores: Scores) -> list[tuple[str, int, int]]:
    right = gold.primary == scores.primary
    kinds: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for rows in whole_pairs(gold).values():
        kind = " / ".join(sorted({gold.messages[row].primary for row in rows}))
        kinds[kind][0] += 1
        kinds[kind][1] += bool(right[rows].all())
    found = [(kind, total, good) for kind, (total, good) in kinds.items()]
    return sorted(found, key=lambda entry: (-entry[1], entry[0]))


def _both_right(gold: GoldSet, scores: Scores, bootstrap: Bootstrap) -> Figure:
    right = gold.primary == scores.primary
    statistics = np.zeros((len(gold), 2), np.float32)
    for rows in whole_pairs(gold).values():
        statistics[rows[0]] = right[rows].all(), 1  # a pair is one group, so any row may carry it
    sums = bootstrap.sums(statistics)
    return bootstrap.figure(ratio(sums[:, 0], sums[:, 1]))
