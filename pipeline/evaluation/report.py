"""The report: one self-contained page that opens from disk, needs no network and runs no script."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from pipeline import __version__
from pipeline.evaluation import curves, plots
from pipeline.evaluation.analysis import Analysis
from pipeline.evaluation.gold import Floats, GoldSet, Ints, Scores
from pipeline.evaluation.headline import headline
from pipeline.evaluation.metrics import claims
from pipeline.store import atomic_path

OVERALL = (
    ("primary right", "primary.accuracy"),
    ("primary macro-F1", "primary.macro_f1"),
    ("mean F1 of the labels", "ask.macro_f1"),
    ("all asks exactly right", "exact_match"),
    ("calibration error (ECE)", "calibration.ece"),
    ("Brier score", "calibration.brier"),
)
_SLICES_DRAWN = 24
_CONFUSED = 15


def write_page(path: Path, analysis: Analysis, model_name: str, thresholds: Floats) -> None:
    """Write the report's page, atomically."""
    context = _context(analysis, model_name, thresholds)
    write_text(path, render_template("report.html.j2", context))


def write_card(path: Path, analysis: Analysis) -> None:
    """Write the figures as Markdown for the model card, atomically."""
    context = {
        "headline": headline(analysis.flat()),
        "labels": analysis.gold.labels,
        "overall": OVERALL,
        "model": analysis.figures["model"]["all"],
        "reference": analysis.figures.get("reference", {}).get("all"),
        "places": analysis.figures["model"],
        "swaps": analysis.swaps,
        "behaviour": analysis.behaviour,
    }
    write_text(path, render_template("card.md.j2", context))


def render_template(name: str, context: dict[str, Any]) -> str:
    """One of the package's templates, with everything in the context escaped for HTML."""
    environment = Environment(
        loader=PackageLoader("pipeline.evaluation", "templates"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shared = {"css": _css(), "made_by": f"Made by outreach-intent {__version__}."}
    return environment.get_template(name).render(shared | context)


def write_text(path: Path, text: str) -> None:
    """Write a text file, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _context(analysis: Analysis, model_name: str, thresholds: Floats) -> dict[str, Any]:
    gold, bootstrap = analysis.gold, analysis.bootstrap
    counts = confusion_counts(gold, analysis.scores)
    model = analysis.figures["model"]
    return {
        "title": f"How well {model_name} reads",
        "a": analysis,
        "groups": len(set(gold.groups.tolist())),
        "confidence": f"{100 * bootstrap.confidence:g} %" if bootstrap.resamples else "",
        "headline": headline(analysis.flat()),
        "overall": OVERALL,
        "labels": gold.labels,
        "thresholds": dict(zip(gold.labels, thresholds.tolist(), strict=True))
        if gold.multi_label
        else {},
        "model": model["all"],
        "reference": analysis.figures.get("reference", {}).get("all"),
        "origins": list(model.items())[1:] if len(model) > 2 else [],
        "confused": _confused(counts, gold.classes),
        "pictures": _pictures(analysis, counts),
        "coverages": [round(100 * c) for c in curves.COVERAGES],
    }


def _pictures(analysis: Analysis, counts: Ints) -> dict[str, Markup]:
    gold, scores = analysis.gold, analysis.scores
    claimed, true = claims(gold, scores)
    names = gold.labels if gold.multi_label else ["the best label"]
    whole = analysis.figures["model"]["all"]["primary.accuracy"].value
    pictures = {
        "confusion": plots.confusion(counts, gold.classes),
        "reliability": plots.reliability(claimed, true, names),
        "risk": plots.risk_coverage(*curves.risk_coverage(gold, scores)),
    }
    if analysis.curves:
        pictures["thresholds"] = plots.thresholds(analysis.curves)
    if analysis.slices:
        pictures["slices"] = plots.forest(
            [(f"{s.column}: {s.value}", s.accuracy) for s in analysis.slices[:_SLICES_DRAWN]],
            whole,
            "slices",
            "Primary accuracy of the weakest slices with intervals; the table holds the same.",
        )
    if analysis.swaps:
        pictures["swaps"] = plots.forest(
            [(s.kind, s.primary_flips) for s in analysis.swaps],
            0.0,
            "swaps",
            "Share of messages whose primary flips, per kind of swap; the table holds the same.",
        )
    line = analysis.thin_line
    if line and line.exists:
        pictures["thin_line"] = plots.score_histogram(
            [
                (f"asks only for {line.first.replace('_', ' ')}", line.score_among_first_only),
                (f"asks only for {line.second.replace('_', ' ')}", line.score_among_second_only),
            ],
            line.second,
        )
    return pictures


def confusion_counts(gold: GoldSet, scores: Scores) -> Ints:
    """How often each class is taken for each; shape (classes, classes), rows are what is so."""
    size = len(gold.classes)
    cells = np.bincount(gold.primary * size + scores.primary, minlength=size**2)
    return cells.reshape(size, size)


def _confused(counts: Ints, names: tuple[str, ...]) -> list[dict[str, Any]]:
    off = counts - np.diag(np.diag(counts))
    order = np.argsort(-off, axis=None, kind="stable")[:_CONFUSED]
    cells = [tuple(map(int, np.unravel_index(i, off.shape))) for i in order]
    return [
        {
            "truth": names[row],
            "said": names[column],
            "count": int(off[row, column]),
            "share": off[row, column] / counts[row].sum(),
        }
        for row, column in cells
        if off[row, column]
    ]


def _css() -> Markup:
    style = Path(__file__).with_name("templates") / "report.css"
    return Markup(style.read_text(encoding="utf-8"))  # noqa: S704 - our own file
