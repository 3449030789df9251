"""The report's pictures, as SVG that follows the page: its fonts, its light and dark colours.

Matplotlib draws with colours that stand for roles, and the finished text of the SVG gets CSS
variables in their place. Letters stay letters, so they can be read aloud, searched and selected.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from typing import Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from pipeline.evaluation.gold import Bools, Floats, Ints
from pipeline.evaluation.metrics import equal_mass_bins

_ROLES = {"#000001": "var(--ink)", "#000002": "var(--muted)", "#000003": "var(--line)"} | {
    f"#0000f{i}": f"var(--series-{i})" for i in range(6)
}
INK, MUTED, LINE, *SERIES = _ROLES
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a label may hold dollar signs
    "font.size": 9,
    "axes.edgecolor": LINE,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "legend.frameon": False,
    "axes.titlesize": 9,
}


@contextmanager
def _canvas(width: float, height: float) -> Iterator[tuple[Canvas, Axes]]:
    """A figure of `width` by `height` inches with one pair of axes, in the report's style."""
    with mpl.rc_context(_STYLE):
        canvas = Canvas(figsize=(width, height), layout="constrained")
        yield canvas, canvas.add_subplot()


def to_svg(canvas: Canvas, name: str, words: str) -> Markup:
    """A finished figure as an inline SVG element.

    Args:
        canvas: the figure.
        name: unique on the page; every id in the picture begins with it.
        words: what the picture shows, for those who do not see it.
    """
    buffer = io.StringIO()
    with mpl.rc_context(_STYLE | {"svg.hashsalt": name}):
        canvas.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    svg = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px; font-family: inherit", svg)
    svg = re.sub(r' xmlns(:xlink)?="[^"]*"', "", svg, count=2)
    for colour, role in _ROLES.items():
        svg = svg.replace(colour, role)
    width = re.search(r'viewBox="0 0 ([\d.]+)', svg)
    assert width is not None
    # The size gives way to the viewBox, so that the picture shrinks on a phone.
    svg = re.sub(r'(<svg [^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg [^>]*?) height="[^"]*"', r"\1", svg, count=1)
    opening = f'<svg role="img" aria-label="{escape(words)}" style="max-width: {width[1]}pt"'
    return Markup(svg.replace("<svg", opening, 1).strip())  # noqa: S704 - our own, escaped above


def shown(name: str, most: int = 24) -> str:
    """A label as it stands in a picture: without underscores, cut where it is very long."""
    words = name.replace("_", " ")
    return words if len(words) <= most else words[: most - 1] + "…"


def reliability(claimed: Floats, true: Bools, names: Sequence[str]) -> Markup:
    """Reliability curves: what share of claims came true, by how sure the model was.

    Args:
        claimed: probabilities, shape (messages, claims).
        true: whether each claim is so, the same shape.
        names: one per claim.
    """
    with _canvas(4.6, 3.4) as (canvas, axes):
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
    with _canvas(side, side * 0.85) as (canvas, axes):
        share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        for row, column in zip(*np.nonzero(counts), strict=True):
            colour = SERIES[0] if row == column else SERIES[1]
            weight = float(share[row, column])
            axes.add_patch(
                mpl.patches.Rectangle(
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
