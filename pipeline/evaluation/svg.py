"""Matplotlib figures as SVG that follows the page: its fonts, its light and dark colours.

Matplotlib draws with colours that stand for roles, and the finished text of the SVG gets CSS
variables in their place. Letters stay letters, so they can be read aloud, searched and selected.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

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
def drawing(width: float, height: float, across: int = 1) -> Iterator[tuple[Canvas, list[Axes]]]:
    """A figure of `width` by `height` inches with axes side by side, in the report's style."""
    with mpl.rc_context(_STYLE):
        canvas = Canvas(figsize=(width, height), layout="constrained")
        yield canvas, list(canvas.subplots(1, across, squeeze=False, sharey=True)[0])


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
