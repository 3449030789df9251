"""Where the sentences of a message stand."""

from __future__ import annotations

import re

Place = tuple[int, int]
"""The characters from the first up to, but without, the second."""

_BREAK = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+|\s*\n\s*")
_NO_END = re.compile(
    r"(?<![\w.])(?:mr|mrs|ms|dr|prof|capt|sgt|lt|gen|rev|sr|jr|st|vs|e\.g|i\.e|inc|ltd|co|no|dept"
    r"|approx|ph\.d|[bm]\.(?:a|sc?|ed)|[a-z])\.$",
    re.IGNORECASE,
)
_WRAPPED = 50
"""Characters from which a line that ends without a stop goes on in a next one in lower case."""


def sentence_places(text: str) -> list[Place]:
    r"""Where the sentences of a text stand; a line break ends one too.

    >>> text = "Hi Dr. Vale,\nAre you hiring?  Thanks!"
    >>> [text[a:b] for a, b in sentence_places(text)]
    ['Hi Dr. Vale,', 'Are you hiring?', 'Thanks!']
    """
    places, start = [], 0
    for found in _BREAK.finditer(text):
        breaks = found.group().count("\n")
        if not breaks and _NO_END.search(text, start, found.start()):
            continue
        if breaks == 1 and _goes_on(text, found.start(), found.end()):
            continue
        places.append((start, found.end()))
        start = found.end()
    places.append((start, len(text)))
    return [place for place in (_trimmed(text, *place) for place in places) if place[0] < place[1]]


def _goes_on(text: str, end: int, start: int) -> bool:
    """Whether a line break only wraps a long line."""
    line = text[text.rfind("\n", 0, end) + 1 : end]
    return len(line) >= _WRAPPED and line[-1] not in ".!?…:;" and text[start : start + 1].islower()


def split_sentences(text: str) -> list[str]:
    """The sentences of a text."""
    return [text[start:end] for start, end in sentence_places(text)]


def _trimmed(text: str, start: int, end: int) -> Place:
    piece = text[start:end]
    left = len(piece) - len(piece.lstrip())
    return start + left, start + max(left, len(piece.rstrip()))
