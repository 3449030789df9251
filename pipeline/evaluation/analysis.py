"""Everything that is found out about a model, in one place: what the report shows and counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from pipeline.evaluation import behaviour, fairness, slices
from pipeline.evaluation.agreement import agreement
from pipeline.evaluation.behaviour import TestResult
from pipeline.evaluation.curves import ThresholdCurve, selective, threshold_curves
from pipeline.evaluation.fairness import SwapResult, Triage
from pipeline.evaluation.gold import Bools, Floats, GoldSet, Scores
from pipeline.evaluation.intervals import Bootstrap
from pipeline.evaluation.metrics import Figures, flatten, measure
from pipeline.evaluation.mistakes import Mistakes, find_mistakes
from pipeline.evaluation.sentences import Score
from pipeline.evaluation.slices import Slice, WeakSpot
from pipeline.evaluation.swaps import load_swaps, read_data
from pipeline.evaluation.thin_line import ThinLine, thin_line
from pipeline.records import Annotation
from pipeline.settings import Evaluation

_FEW_LABELS = 12


@dataclass(frozen=True)
class Model:
    """A model as the analysis needs it."""

    name: str
    labels: tuple[str, ...]
    multi_label: bool
    thresholds: Floats
    score: Score


@dataclass(frozen=True)
class Analysis:
    """What was found out; every part that the task or the data does not allow is empty."""

    gold: GoldSet
    scores: Scores
    bootstrap: Bootstrap
    figures: dict[str, dict[str, Figures]]
    """Who (`model`, `reference`), then where (`all`, `written`, `public`), then the figure."""
    curves: list[ThresholdCurve]
    agreement: Figures
    thin_line: ThinLine | None
    slices: list[Slice]
    weak_spots: list[WeakSpot]
    swaps: list[SwapResult]
    triage: list[Triage]
    mistakes: Mistakes
    behaviour: list[TestResult]
    cut_short: float | None
    """Share of the messages that the model cannot read whole, where it is known."""
    extra: dict[str, float] = field(default_factory=dict)

    def flat(self) -> dict[str, float]:
        """Every figure as a flat JSON number; the names are explained in the docs."""
        flat: dict[str, float] = {}
        for who, places in self.figures.items():
            for where, figures in places.items():
                flat |= flatten(figures, f"{who}.{where}")
        flat |= flatten(self.agreement, "agreement")
        if self.thin_line:
            flat |= flatten(self.thin_line.figures, "model.all")
        flat |= flatten(slices.flat_figures(self.slices), "slice")
        flat |= flatten(fairness.flat_figures(self.swaps), "fairness")
        flat |= flatten(_triage_figures(self.triage), "triage")
        flat |= behaviour.flat(self.behaviour)
        flat |= {
            "mistakes.wrong": self.mistakes.wrong,
            "mistakes.doubtful_labels": len(self.mistakes.doubtful),
        }
        if self.cut_short is not None:
            flat["cut_short"] = round(self.cut_short, 6)
        return flat


def analyse(
    gold: GoldSet,
    model: Model,
    said: Mapping[str, Scores],
    settings: Evaluation,
    seed: int,
    *,
    annotations: Iterable[Annotation] = (),
    truncated: Bools | None = None,
) -> Analysis:
    """Measure a model on a set and look at it from every side.

    Args:
        gold: the labelled messages.
        model: asked again with changed messages.
        said: what `model`, and perhaps `reference`, say of the set.
        settings: how many resamples, swaps and so on.
        seed: of resampling and of the draw of messages to swap.
        annotations: single annotators' labels of the same messages.
        truncated: per message whether the model cannot read it whole.
    """
    bootstrap = Bootstrap(
        gold.groups, resamples=settings.bootstrap, confidence=settings.confidence, seed=seed
    )
    scores = said["model"]
    facts = slices.columns(gold, None if truncated is None else truncated.tolist())
    few = len(gold.labels) <= _FEW_LABELS
    suited = gold.multi_label and set(read_data("keywords.yaml")) == set(gold.labels)
    return Analysis(
        gold=gold,
        scores=scores,
        bootstrap=bootstrap,
        figures={
            who: _everywhere(gold, what, bootstrap, whole=who == "model")
            for who, what in said.items()
        },
        curves=threshold_curves(gold, scores, model.thresholds) if few and gold.multi_label else [],
        agreement=agreement(gold, scores, annotations, bootstrap),
        thin_line=thin_line(gold, scores, bootstrap, settings.thin_line),
        slices=slices.measure_slices(gold, scores, bootstrap, facts),
        weak_spots=slices.find_weak_spots(gold, scores, facts),
        swaps=_swapped(gold, model, settings, bootstrap, seed) if suited else [],
        triage=fairness.triage(gold, scores, bootstrap),
        mistakes=find_mistakes(
            gold, scores, model.score, read_data("keywords.yaml") if suited else {}, truncated
        ),
        behaviour=behaviour.run_suite(
            gold.labels, model.thresholds, model.score, behaviour.load_cases()
        )
        if suited
        else [],
        cut_short=None if truncated is None else float(truncated.mean()),
    )


def _swapped(
    gold: GoldSet, model: Model, settings: Evaluation, bootstrap: Bootstrap, seed: int
) -> list[SwapResult]:
    if not settings.swapped_messages:
        return []
    rows = fairness.sample(gold, settings.swapped_messages, seed)
    return fairness.swap_all(gold, load_swaps(), model.score, model.thresholds, bootstrap, rows)


def _everywhere(
    gold: GoldSet, scores: Scores, bootstrap: Bootstrap, *, whole: bool
) -> dict[str, Figures]:
    """Figures of the whole set and, where it is known, of written messages and real mail apart."""
    origins = np.array(gold.origins)
    parts = {name: origins == name for name in sorted(set(gold.origins)) if name}
    found = {"all": measure(gold, scores, bootstrap)}
    if whole:
        found["all"] |= selective(gold, scores, bootstrap)
    return found | {name: measure(gold, scores, bootstrap, rows) for name, rows in parts.items()}


def _triage_figures(found: Iterable[Triage]) -> Figures:
    figures: Figures = {}
    for t in found:
        figures[f"{t.ask}.base"] = t.base
        for share, among, change in t.tops:
            figures[f"{t.ask}.top_{round(100 * share)}"] = among
            figures[f"{t.ask}.top_{round(100 * share)}_change"] = change
    return figures
