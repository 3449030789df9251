"""Two models on the same messages: paired differences, McNemar's test, what got fixed or broke."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest

from pipeline.errors import DataError, InputError
from pipeline.evaluation.gold import GoldSet, Scores
from pipeline.evaluation.intervals import Bootstrap, Figure
from pipeline.evaluation.metrics import Figures, flatten, resampled
from pipeline.evaluation.report import render_template, write_text
from pipeline.evaluation.stage import PREDICTIONS
from pipeline.records import LabelledMessage, Prediction
from pipeline.settings import Evaluation
from pipeline.store import read_records, write_json


@dataclass(frozen=True)
class Change:
    """One message that one of the two reads right and the other does not."""

    id: str
    truth: str
    first: str
    second: str


@dataclass(frozen=True)
class Comparison:
    """Two models' figures on the same messages; a difference is the second less the first."""

    names: tuple[str, str]
    messages: int
    first: Figures
    second: Figures
    differences: Figures
    p_value: float
    """McNemar's exact test on the primaries."""
    fixed: list[Change]
    broke: list[Change]

    def flat(self) -> dict[str, float]:
        """All figures as flat JSON numbers: `first.…`, `second.…`, `difference.…` and counts."""
        return {
            "messages": self.messages,
            "fixed": len(self.fixed),
            "broke": len(self.broke),
            "mcnemar_p": self.p_value,
            **flatten(self.first, "first"),
            **flatten(self.second, "second"),
            **flatten(self.differences, "difference"),
        }

    def is_clear(self, name: str) -> bool:
        """Whether a difference's interval leaves out zero."""
        found = self.differences[name]
        return found.low is not None and found.high is not None and found.low * found.high > 0


def compare(
    first: Path, second: Path, settings: Evaluation, *, seed: int, output: Path | None = None
) -> Comparison:
    """Compare two reports, each named by its own folder or by its model's.

    Args:
        first: the one before.
        second: the one after.
        settings: how many resamples, and how much an interval covers.
        seed: of the resamples.
        output: where to write `compare.html` and `compare.json`; None: nowhere.

    Raises:
        InputError: there is no report; the message names the command that makes one.
        DataError: the two were not measured on the same messages with the same labels.
    """
    rows = [_predictions(path) for path in (first, second)]
    shared = _shared(*rows)
    names = _names(first, second)
    said = [[own[name] for name in shared] for own in rows]
    gold = _gold(*said)
    scores = [_scores(gold, own) for own in said]
    bootstrap = Bootstrap(
        gold.groups, resamples=settings.bootstrap, confidence=settings.confidence, seed=seed
    )
    found = _compare(names, gold, scores, bootstrap)
    if output is not None:
        write_json(output / "compare.json", found.flat())
        write_text(output / "compare.html", render_template("compare.html.j2", {"c": found}))
    return found


def report_folder(path: Path) -> Path:
    """The report that a path names: its own folder, or its model's.

    Raises:
        InputError: there is none.
    """
    for folder in (path, path / "report"):
        if (folder / PREDICTIONS).is_file():
            return folder
    raise InputError(f"{path}: no report there; make one with `outreach evaluate {path}`.")


def _predictions(path: Path) -> dict[str, Prediction]:
    return {p.id: p for p in read_records(report_folder(path) / PREDICTIONS, Prediction)}


def _names(first: Path, second: Path) -> tuple[str, str]:
    found = [
        str(path.parent.name if path.name == "report" else path.name) for path in (first, second)
    ]
    if found[0] == found[1]:
        found = [str(first), str(second)]
    return found[0], found[1]


def _shared(first: dict[str, Prediction], second: dict[str, Prediction]) -> list[str]:
    shared = [name for name in first if name in second]
    if not shared:
        raise DataError("the two reports have no message in common; measure both on one file.")
    facts = ("gold_primary", "gold_asks")
    differ = [n for n in shared if any(first[n].extra[f] != second[n].extra[f] for f in facts)]
    if differ or list(first[shared[0]].scores) != list(second[shared[0]].scores):
        raise DataError(
            f"the two reports do not mean the same by their labels ({len(differ)} messages are "
            "labelled differently); measure both models anew on one file."
        )
    return shared


def _gold(first: Sequence[Prediction], second: Sequence[Prediction]) -> GoldSet:
    labels = tuple(first[0].scores)
    messages = tuple(
        LabelledMessage(
            id=row.id,
            text="",
            template=f"group {row.extra['group']}",
            asks=tuple(row.extra["gold_asks"]),
            primary=row.extra["gold_primary"],
        )
        for row in first
    )
    answers: list[LabelledMessage | Prediction] = [*messages, *first, *second]
    several = any(len(answer.asks) != 1 for answer in answers)
    return GoldSet(messages, labels, multi_label=several)


def _scores(gold: GoldSet, rows: Sequence[Prediction]) -> Scores:
    place = {name: i for i, name in enumerate(gold.classes)}
    return Scores(
        np.array([list(row.scores.values()) for row in rows]),
        np.array([[label in row.asks for label in gold.labels] for row in rows]),
        np.array([place[row.primary] for row in rows]),
    )


def _compare(
    names: tuple[str, str], gold: GoldSet, scores: Sequence[Scores], bootstrap: Bootstrap
) -> Comparison:
    everywhere = np.ones(len(gold), bool)
    one, two = (resampled(gold, s, bootstrap, everywhere) for s in scores)
    right = [s.primary == gold.primary for s in scores]
    fixed, broke = ~right[0] & right[1], right[0] & ~right[1]
    changed = int(fixed.sum() + broke.sum())

    def changes(where: Any) -> list[Change]:
        rows = np.flatnonzero(where)
        said = [[gold.classes[s.primary[row]] for s in scores] for row in rows]
        messages = [gold.messages[row] for row in rows]
        return [Change(m.id, m.primary, *own) for m, own in zip(messages, said, strict=True)]

    return Comparison(
        names,
        len(gold),
        _figures(one, bootstrap),
        _figures(two, bootstrap),
        # The same resamples on both sides: what they share falls out of the difference.
        _figures({name: two[name] - one[name] for name in one}, bootstrap),
        float(binomtest(int(fixed.sum()), changed).pvalue) if changed else 1.0,
        changes(fixed),
        changes(broke),
    )


def _figures(values: dict[str, Any], bootstrap: Bootstrap) -> dict[str, Figure]:
    return {name: bootstrap.figure(own) for name, own in values.items()}
