"""From a body to the sender's own new words.

HTML to text, invisible noise out, then earlier mail (`history`) and footers (`footers`) out. Where
that leaves nothing, the text stays as it was: better too much than an empty message.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pipeline.ingestion.decode import readable
from pipeline.ingestion.footers import without_footers
from pipeline.ingestion.history import own_lines
from pipeline.ingestion.markup import looks_like_html, to_text

MAX_TEXT = 200_000
"""Characters of a body that are looked at; what is asked stands long before."""

_WORDS = re.compile(r"[^\W\d_]{2}|[^\W\d_].*[^\W\d_]", re.DOTALL)

KEPT = "kept_whole"
"""Said instead of what was removed where nothing would have been left."""


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A cleaned text and what was taken out of it."""

    text: str
    removed: tuple[str, ...]
    """Of `html`, `quote`, `forward`, `signature`, `mobile_footer`, `disclaimer`, `banner`; or only
    `kept_whole`."""


def clean_text(text: str) -> Cleaned:
    r"""The sender's own words in a body.

    >>> clean_text("Yes please!\n\nOn 3 May 2026, at 10:12, Bo <bo@x.org> wrote:\n> Coffee?")
    Cleaned(text='Yes please!', removed=('quote',))
    """
    text = text[:MAX_TEXT]
    removed: set[str] = set()
    if looks_like_html(text):
        text = to_text(text)
        removed.add("html")
    whole = _tidy(readable(text))
    lines, history = own_lines(whole.split("\n"))
    lines, footers = without_footers(lines)
    own = _tidy("\n".join(lines))
    if whole and not _WORDS.search(own):
        return Cleaned(whole, (KEPT,))
    return Cleaned(own, tuple(sorted(removed | history | footers)))


def _tidy(text: str) -> str:
    """Trailing spaces and all but one of several empty lines out."""
    text = "\n".join([line.rstrip() for line in text.split("\n")])
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n")
