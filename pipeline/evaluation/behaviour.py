"""The behaviour suite: small cases that a reader of outreach messages must get right.

Three kinds of tests after CheckList (Ribeiro et al., ACL 2020): minimum functionality, invariance
and direction. The cases stand in ``data/behaviour.yaml``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pipeline.errors import DataError
from pipeline.evaluation.gold import Scores
from pipeline.evaluation.sentences import Score
from pipeline.evaluation.swaps import read_data
from pipeline.records import NONE

Kind = Literal["minimum", "invariance", "direction"]


@dataclass(frozen=True)
class Case:
    """One case: a text, or a text and its changed form."""

    test: str
    kind: Kind
    rule: str
    texts: tuple[str, ...]
    primary: str = ""
    must: tuple[str, ...] = ()
    must_not: tuple[str, ...] = ()
    ask: str = ""
    up: bool = True


@dataclass(frozen=True)
class Outcome:
    """What the model did with a case."""

    case: Case
    passed: bool
    found: tuple[str, ...]
    """Per text the primary and its probability, in words."""


@dataclass(frozen=True)
class TestResult:
    """One test: how many of its cases passed, and the outcomes."""

    __test__ = False  # not a pytest class

    name: str
    kind: Kind
    rule: str
    outcomes: tuple[Outcome, ...]

    @property
    def passed(self) -> int:
        """How many cases passed."""
        return sum(outcome.passed for outcome in self.outcomes)


def load_cases() -> list[Case]:
    """The cases that the package ships."""
    return [case for entry in read_data("behaviour.yaml") for case in _cases(entry)]


def _cases(entry: dict[str, Any]) -> list[Case]:
    texts = [[t] for t in entry["texts"]] if entry["kind"] == "minimum" else entry["pairs"]
    return [
        Case(
            entry["name"],
            entry["kind"],
            entry.get("rule", ""),
            tuple(own),
            entry.get("primary", ""),
            tuple(entry.get("with", ())),
            tuple(entry.get("without", ())),
            entry.get("ask", ""),
            entry.get("change", "up") == "up",
        )
        for own in texts
    ]


def run_suite(
    labels: Sequence[str], thresholds: Any, score: Score, cases: Sequence[Case]
) -> list[TestResult]:
    """Run cases against a multi-label model; the tests with the most failures first.

    Args:
        labels: the model's labels, in the order of its columns.
        thresholds: per label the probability from which an ask counts.
        score: texts to probabilities.
        cases: what `load_cases` gives.

    Raises:
        DataError: the cases speak of labels that the model does not have.
    """
    named = {n for c in cases for n in (c.primary, c.ask, *c.must, *c.must_not) if n}
    if unknown := sorted(named - {*labels, NONE}):
        raise DataError(
            f"the behaviour suite is for a task with {', '.join(unknown)}, "
            f"but this model knows {', '.join(list(labels)[:5])} … It has no suite."
        )
    texts = [text for case in cases for text in case.texts]
    scores = Scores.decide(score(texts), thresholds, multi_label=True)
    outcomes, start = [], 0
    for case in cases:
        outcomes.append(_judge(case, scores.take(slice(start, start + len(case.texts))), labels))
        start += len(case.texts)
    tests = dict.fromkeys(case.test for case in cases)
    results = [
        TestResult(name, own[0].case.kind, own[0].case.rule, own)
        for name in tests
        if (own := tuple(o for o in outcomes if o.case.test == name))
    ]
    return sorted(results, key=lambda r: r.passed / len(r.outcomes))


def _judge(case: Case, scores: Scores, labels: Sequence[str]) -> Outcome:
    classes = (*labels, NONE)
    found = tuple(
        _words(classes[place], row, labels)
        for place, row in zip(scores.primary, scores.probabilities, strict=True)
    )
    if case.kind == "minimum":
        asks = {label for label, is_so in zip(labels, scores.asks[0], strict=True) if is_so}
        primary_right = case.primary in ("", classes[scores.primary[0]])
        passed = primary_right and asks >= set(case.must) and not asks & set(case.must_not)
    elif case.kind == "invariance":
        same_asks = bool((scores.asks[0] == scores.asks[1]).all())
        passed = same_asks and bool(scores.primary[0] == scores.primary[1])
    else:
        before, after = scores.probabilities[:, list(labels).index(case.ask)]
        passed = bool(after > before) if case.up else bool(after < before)
    return Outcome(case, passed, found)


def _words(primary: str, row: Any, labels: Sequence[str]) -> str:
    listed = ", ".join(f"{label} {p:.2f}" for label, p in zip(labels, row, strict=True))
    return f"{primary} ({listed})"


def flat(results: Sequence[TestResult]) -> dict[str, float]:
    """The suite's result as flat numbers: `behaviour.cases`, `.passed`, `.rate`, and per kind."""
    numbers: dict[str, float] = {}
    groups = {"": list(results)} | {
        f".{kind}": [r for r in results if r.kind == kind]
        for kind in ("minimum", "invariance", "direction")
    }
    for name, own in groups.items():
        cases = sum(len(r.outcomes) for r in own)
        passed = sum(r.passed for r in own)
        if cases:
            numbers |= {
                f"behaviour{name}.cases": cases,
                f"behaviour{name}.passed": passed,
                f"behaviour{name}.rate": round(passed / cases, 6),
            }
    return numbers
