"""The report: one self-contained page that opens from disk, needs no network and runs no script."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from pipeline import __version__
from pipeline.evaluation import plots
from pipeline.evaluation.gold import GoldSet, Scores
from pipeline.evaluation.headline import headline
from pipeline.evaluation.intervals import Bootstrap
from pipeline.evaluation.metrics import Figures, claims, flatten
from pipeline.store import atomic_path

_OVERALL = (
    ("primary right", "primary.accuracy"),
    ("primary macro-F1", "primary.macro_f1"),
    ("mean F1 of the labels", "ask.macro_f1"),
    ("all asks exactly right", "exact_match"),
    ("calibration error (ECE)", "calibration.ece"),
    ("Brier score", "calibration.brier"),
)


@dataclass(frozen=True)
class Measured:
    """What the report shows: the set, what was said of it, and every figure."""

    gold: GoldSet
    scores: Scores
    bootstrap: Bootstrap
    figures: dict[str, dict[str, Figures]]
    """Who (`model`, `reference`), then where (`all`, `written`, `public`), then the figure."""

    def flat(self) -> dict[str, float]:
        """Every figure as a flat JSON number, named `WHO.WHERE.FIGURE`."""
        flat: dict[str, float] = {}
        for who, places in self.figures.items():
            for where, figures in places.items():
                flat |= flatten(figures, f"{who}.{where}")
        return flat


def write_page(path: Path, measured: Measured, model_name: str) -> None:
    """Write the report's page, atomically."""
    page = _environment().get_template("report.html.j2").render(_context(measured, model_name))
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("pipeline.evaluation", "templates"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _context(measured: Measured, model_name: str) -> dict[str, Any]:
    gold, figures, bootstrap = measured.gold, measured.figures, measured.bootstrap
    counts = confusion_counts(gold, measured.scores)
    claimed, true = claims(gold, measured.scores)
    return {
        "title": f"How well {model_name} reads",
        "css": _css(),
        "rows": f"{len(gold):,}",
        "groups": f"{len(set(gold.groups.tolist())):,}",
        "made_by": f"Made by outreach-intent {__version__}.",
        "confidence": f"{100 * bootstrap.confidence:g} %" if bootstrap.resamples else "",
        "headline": headline(measured.flat()),
        "overall": _OVERALL,
        "labels": gold.labels,
        "model": figures["model"]["all"],
        "reference": figures.get("reference", {}).get("all"),
        "origins": list(figures["model"].items())[1:],
        "confusion_picture": plots.confusion(counts, gold.classes),
        "confused": _confused(counts, gold.classes),
        "reliability_picture": plots.reliability(
            claimed, true, gold.labels if gold.multi_label else ["the best label"]
        ),
    }


def confusion_counts(gold: GoldSet, scores: Scores) -> np.ndarray:
    """How often each class is taken for each; shape (classes, classes), rows are what is so."""
    size = len(gold.classes)
    return np.bincount(gold.primary * size + scores.primary, minlength=size**2).reshape(size, size)


def _confused(counts: np.ndarray, names: tuple[str, ...], most: int = 15) -> list[dict[str, Any]]:
    off = counts - np.diag(np.diag(counts))
    order = np.argsort(-off, axis=None, kind="stable")[:most]
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
