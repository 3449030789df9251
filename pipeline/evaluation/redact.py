"""Take private data out of the few sentences that a report quotes.

Too much rather than too little: addresses, links, numbers, handles, and every word with a capital
that does not begin a sentence, since it may be somebody's name. Names in lower case are not caught.
"""

from __future__ import annotations

import re

_PATTERNS = (
    (re.compile(r"\S+@\S+"), "[address]"),
    (re.compile(r"\b(?:https?://|www\.)\S+", re.IGNORECASE), "[link]"),
    (re.compile(r"(?<!\w)@\w+"), "[handle]"),
    (re.compile(r"(?<!\w)\+?\d[\d\s().-]{5,}\d"), "[number]"),
    (re.compile(r"\b\d{4,}\b"), "[number]"),
)
_GREETING = re.compile(
    r"^(\s*(?:hi|hello|hey|dear|hiya|greetings|good (?:morning|afternoon|evening)))"
    r"((?:\s+[\w.'-]+){1,3})(?=\s*[,:!\n-]|\s*$)",
    re.IGNORECASE,
)
# A capital that does not begin the text or a sentence.
_NAME = re.compile(r"(?<=[^.!?:\n\s])(?P<gap>[ \t]+)(?P<name>[A-Z][\w'’-]*)")
_CALENDAR = (
    "Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday|January|February|March|April|May|June"
    "|July|August|September|October|November|December"
)
_NO_NAME = re.compile(rf"(?:I|I['’](?:m|d|ve|ll)|CV|PhD|PS|OK|English|{_CALENDAR})\Z")
_REPEATED = re.compile(r"\[name\](?:[\s,]*\[name\])+")


def redact(text: str, most: int = 240) -> str:
    """The text without private data, in one line, cut to about `most` characters.

    >>> redact("Dear Ana, could Ben Okoro at Acme call +44 20 7946 0000 or write to a@b.org?")
    'Dear [name], could [name] at [name] call [number] or write to [address]'
    """
    text = _GREETING.sub(r"\1 [name]", text)
    for pattern, word in _PATTERNS:
        text = pattern.sub(word, text)
    text = _NAME.sub(_without_name, text)
    text = " ".join(_REPEATED.sub("[name]", text).split())
    return text if len(text) <= most else text[:most].rsplit(" ", 1)[0] + " …"


def _without_name(match: re.Match[str]) -> str:
    kept = _NO_NAME.match(match["name"])
    return match[0] if kept else f"{match['gap']}[name]"
