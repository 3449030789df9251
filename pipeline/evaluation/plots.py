"""The report's pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.patches import Rectangle

from pipeline.evaluation.curves import THRESHOLDS, ThresholdCurve
from pipeline.evaluation.gold import Bools, Floats, Ints
from pipeline.evaluation.intervals import Figure
from pipeline.evaluation.metrics import equal_mass_bins
from pipeline.evaluation.svg import INK, LINE, MUTED, SERIES, drawing, shown, to_svg


def reliability(claimed: Floats, true: Bools, names: Sequence[str]) -> Markup:
    """Reliability curves: what share of claims came true, by how sure the model was.

    Args:
        claimed: probabilities, shape (messages, claims).
        true: whether each claim is so, the same shape.
        names: one per claim.
    """
    with drawing(4.6, 3.4) as (canvas, [axes]):
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        for i, name in enumerate(names):
            bins = equal_mass_bins(claimed[:, i])
            points = [(claimed[bins == b, i].mean(), true[bins == b, i].mean()) for b in set(bins)]
            x, y = zip(*sorted(points), strict=True)
            marker = "osD^vP"[i % 6]
            axes.plot(x, y, color=SERIES[i % 6], marker=marker, markersize=4, label=shown(name))
        axes.set(
            xlabel="probability the model gave", ylabel="share that was so", xlim=(-0.02, 1.02)
        )
        axes.set_ylim(-0.02, 1.02)
        axes.legend(loc="upper left")
        return to_svg(
            canvas,
            "reliability",
            "Reliability curves: on the diagonal, a claim of 70 percent is right 70 times in 100.",
        )


def confusion(counts: Ints, names: Sequence[str]) -> Markup:
    """A confusion matrix as squares: rows are what is so, columns what the model says.

    Only cells that are not empty are drawn, so that 77 labels stay small and readable.

    Args:
        counts: shape (classes, classes).
        names: the classes.
    """
    size = len(names)
    few = size <= 12
    side = 0.75 * size + 2.4 if few else 7.5
    with drawing(side, side * 0.85) as (canvas, [axes]):
        share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        for row, column in zip(*np.nonzero(counts), strict=True):
            colour = SERIES[0] if row == column else SERIES[1]
            weight = float(share[row, column])
            axes.add_patch(
                Rectangle(
                    (column - 0.48, row - 0.48), 0.96, 0.96, color=colour, alpha=0.12 + 0.6 * weight
                )
            )
            if few:
                axes.text(column, row, f"{counts[row, column]:,}", ha="center", va="center")
        axes.set(xlim=(-0.5, size - 0.5), ylim=(size - 0.5, -0.5))
        axes.set(xlabel="the model says", ylabel="it is")
        if few:
            axes.set_xticks(range(size), [shown(n) for n in names])
            axes.set_yticks(range(size), [shown(n) for n in names])
        axes.tick_params(length=0)
        return to_svg(
            canvas, "confusion", "Confusion matrix of primaries; the table holds the same."
        )


def risk_coverage(coverage: Floats, risk: Floats) -> Markup:
    """How often the model is wrong if it answers only the share of messages it is surest of."""
    thin = np.unique(np.linspace(0, len(coverage) - 1, 300).astype(int))
    thin = thin[coverage[thin] >= min(0.02, coverage[-1])]
    with drawing(4.6, 3.4) as (canvas, [axes]):
        axes.plot(100 * coverage[thin], 100 * risk[thin], color=SERIES[0], linewidth=1.6)
        axes.set(xlabel="answered, % of messages (surest first)", ylabel="primary wrong, %")
        axes.set(xlim=(0, 101), ylim=(0, None))
        return to_svg(
            canvas,
            "risk",
            "Risk and coverage: the share of wrong answers grows as less sure answers are given.",
        )


def thresholds(curves: Sequence[ThresholdCurve]) -> Markup:
    """Precision, recall and F1 of each label at every threshold; the model's own is marked."""
    with drawing(2.7 * len(curves) + 0.4, 2.6, len(curves)) as (canvas, every):
        for axes, curve in zip(every, curves, strict=True):
            lines = (("precision", curve.precision), ("recall", curve.recall), ("F1", curve.f1))
            styles = ("-", (0, (5, 2)), (0, (1.5, 1.5)))
            for colour, style, (name, values) in zip(SERIES, styles, lines, strict=False):
                axes.plot(THRESHOLDS, values, color=colour, linestyle=style, label=name)
            axes.axvline(curve.threshold, color=INK, linewidth=0.8)
            axes.set(title=shown(curve.label), xlabel="threshold", ylim=(0, 1.02), xlim=(0, 1))
        every[0].legend(loc="lower left", fontsize=8)
        return to_svg(
            canvas, "thresholds", "Precision, recall and F1 of each label against its threshold."
        )


def forest(rows: Sequence[tuple[str, Figure]], whole: float, name: str, words: str) -> Markup:
    """Figures with their intervals, one a line, against the figure of the whole set.

    Args:
        rows: a name and a figure between 0 and 1 each, the first on top.
        whole: the figure of the whole set, drawn as a line.
        name: of the picture, unique on the page.
        words: for those who do not see it.
    """
    with drawing(6.2, 0.24 * len(rows) + 0.7) as (canvas, [axes]):
        axes.axvline(100 * whole, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        for place, (_, figure) in enumerate(rows):
            low, high = figure.low, figure.high
            if low is not None and high is not None:
                axes.plot([100 * low, 100 * high], [place, place], color=SERIES[0], linewidth=1.4)
            axes.plot([100 * figure.value], [place], "o", color=SERIES[0], markersize=4)
        axes.set_yticks(range(len(rows)), [shown(label, 44) for label, _ in rows])
        axes.set(ylim=(len(rows) - 0.4, -0.6), xlabel="%")
        axes.tick_params(axis="y", length=0)
        return to_svg(canvas, name, words)


def score_histogram(parts: Sequence[tuple[str, Floats]], score: str) -> Markup:
    """How one score is distributed in several sets of messages, one above the other.

    Args:
        parts: a name and the scores of its messages each.
        score: the name of the score.
    """
    bins = np.linspace(0, 1, 21)
    with drawing(4.6, 2.8) as (canvas, [axes]):
        for i, (name, values) in enumerate(parts):
            share = np.histogram(values, bins)[0] / max(len(values), 1)
            axes.stairs(100 * share, bins, color=SERIES[i], linewidth=1.6, label=shown(name, 40))
            axes.stairs(100 * share, bins, color=SERIES[i], alpha=0.15, fill=True)
        axes.set(xlabel=f"probability of {shown(score)}", ylabel="% of messages", xlim=(0, 1))
        axes.legend(loc="upper center")
        axes.spines["bottom"].set_color(LINE)
        words = f"How the probability of {score} is spread in {len(parts)} sets of messages."
        return to_svg(canvas, f"scores-{len(parts)}-{score}", words)
