"""Take private data out of the few sentences that a report quotes, since strangers may read it.

Too much rather than too little. Addresses, links, numbers and accounts go as they do at ingestion
(`pipeline.ingestion.redact`). Names go by what is *no* name: a word is quoted only where it is an
ordinary English word and stands where no name is likely. So a name in lower case goes too, and with
it rare words, misspelt words and words of other languages. A name that is an ordinary word (mark,
baker) can stay where it is in lower case and nothing beside it says that it is a name; the share of
names that stay is measured by ``python -m bench redaction``.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

from pipeline.evaluation.swaps import read_data
from pipeline.ingestion.redact import KINDS
from pipeline.ingestion.redact import redact as without_private_data

NAME = "[NAME]"

_HANDLE = re.compile(r"(?<!\w)@[\w.-]+")
_NUMBER = re.compile(r"(?<![\w\[])\+?\d[\d\s().,/:-]{4,}\d|\w*\d{4,}\w*")
_TOKEN = re.compile(r"\[[A-Z]+\]|[^\W\d_]+(?:['’][^\W\d_]+)*")
# A greeting may be followed by names until its comma, a closing until the end of the text.
_GREETING = re.compile(
    r"(?:^|(?<=[.!?\n]))\s*(?:hi+|hello|he+y+|dear|hiya|greetings"
    r"|good (?:morning|afternoon|evening)|morning|evening)\b"
    r"(?P<names>(?: +[^\W\d_][\w.'’-]*){1,4}?)(?=\s*(?:[,:!\n–-]|\.(?:\s|$)|$))",
    re.IGNORECASE,
)
_CLOSING = re.compile(
    r"(?:^|[.!?,\n]|\b(?:many|kind|kindest|best|warm|warmest|with|yours|very|lots of))\s*"
    r"\b(?:thanks|thank you|thx|cheers|regards|best|wishes|yours|truly|sincerely|faithfully|love"
    r"|ta|xx?|rgds|br)[,.!]*\s+[-–—]?\s*"
    r"(?P<names>[^\W\d_][\w.'’-]*(?: +[^\W\d_][\w.'’-]*){0,2})[.,\s]*$",
    re.IGNORECASE,
)
# A line that is nothing but capitalised words: whom it is to, or whom it is from.
_ALONE = re.compile(
    r"^[ \t>*-]*(?P<names>[^\W\d_a-z][\w'’-]*\.?(?: +[^\W\d_a-z][\w'’-]*\.?){0,3})"
    r"[ \t]*[,:!]?[ \t]*$",
    re.MULTILINE,
)
_SUFFIXES = frozenset(("s", "t", "m", "d", "re", "ve", "ll"))


def quote(text: str, most: int = 240, *, end: bool = False) -> str:
    """The text without private data and probable names, in one line, cut to about `most` letters.

    Args:
        text: any text.
        most: letters that are kept.
        end: keep the last letters and not the first.

    >>> quote("Dear Ana, could ben okoro at Acme call +44 20 7946 0000 or write to a@b.org?")
    'Dear [NAME], could [NAME] at [NAME] call [PHONE] or write to [EMAIL]?'
    """
    text = without_private_data(text, KINDS)
    text = _NUMBER.sub("[NUMBER]", _HANDLE.sub("[HANDLE]", text))
    text = " ".join(_without_names(text).split())
    if len(text) <= most:
        return text
    return f"… {text[-most:].split(' ', 1)[-1]}" if end else f"{text[:most].rsplit(' ', 1)[0]} …"


def _without_names(text: str) -> str:
    tokens = list(_TOKEN.finditer(text))
    shouted = _is_shouted([t[0] for t in tokens])
    named = {
        i
        for i, token in enumerate(tokens)
        if not token[0].startswith("[") and _is_name(text, tokens, i, shouted=shouted)
    }
    named |= _named_by_place(text, tokens)
    named |= _beside_names(text, tokens, named)
    parts, end = [], 0
    for i, token in enumerate(tokens):
        between = text[end : token.start()]
        joined = i in named and i - 1 in named and _are_one_name(tokens[i - 1][0], between)
        if not joined:
            parts += [between, NAME if i in named else token[0]]
        end = token.end()
    return "".join([*parts, text[end:]])


def _is_name(text: str, tokens: list[re.Match[str]], i: int, *, shouted: bool) -> bool:
    """Whether one word may be a name, by itself and by its capital."""
    word = tokens[i][0]
    stem = _stem(word)
    if word in _listed("kept") or _without_suffix(word) in _listed("kept"):
        return False
    if stem not in _words("words.txt"):
        return True
    before = tokens[i - 1][0].lower() if i else ""
    could_be = stem in _words("name_words.txt")
    if before in _listed("titles"):
        return True
    if shouted or not word[0].isupper():
        return could_be and before in _listed("before_names") and stem not in _listed("verbs")
    if _begins_sentence(text, tokens[i].start()):
        return could_be and stem not in _listed("verbs")
    return True


def _begins_sentence(text: str, start: int) -> bool:
    before = text[:start].rstrip(" \t\"'“‘(*-–—•>")
    return not before or before[-1] in ".!?\n…"


def _named_by_place(text: str, tokens: list[re.Match[str]]) -> set[int]:
    """Words that stand where names stand: after a greeting, after a closing."""
    spans = [
        m.span("names") for pattern in (_GREETING, _CLOSING, _ALONE) for m in pattern.finditer(text)
    ]
    return {
        i
        for i, token in enumerate(tokens)
        for start, end in spans
        if start <= token.start() < end
        and token[0].lower() not in (_listed("courtesies") | _listed("titles"))
        and token[0] not in _listed("kept")
        and not token[0].startswith("[")
    }


def _beside_names(text: str, tokens: list[re.Match[str]], named: set[int]) -> set[int]:
    """Ordinary words that are names too, next to a name: the mark of "mark okoro"."""
    found = set()
    for i in sorted(named):
        for other in (i - 1, i + 1):
            if 0 <= other < len(tokens) and _stem(tokens[other][0]) in _words("name_words.txt"):
                left, right = sorted((i, other))
                if not text[tokens[left].end() : tokens[right].start()].strip(" .-"):
                    found.add(other)
    return found - {i for i in found if _stem(tokens[i][0]) in _listed("verbs")}


def _are_one_name(first: str, between: str) -> bool:
    """Whether two names stand together as one: "Ben Okoro", "D. Aoki", "Anne-Marie"."""
    return not between.strip(" \t'’-") or (len(first) == 1 and between == ". ")


def _is_shouted(words: list[str]) -> bool:
    """Whether capitals say nothing here, since nearly all letters are capitals."""
    long = [word for word in words if len(word) > 1 and not word.startswith("[")]
    return len(long) >= 3 and sum(word.isupper() for word in long) > 0.7 * len(long)


def _stem(word: str) -> str:
    return _without_suffix(word).lower()


def _without_suffix(word: str) -> str:
    """A word without 's, n't and the like: what is left decides whether it is a name."""
    stem, mark, suffix = word.replace("’", "'").rpartition("'")
    return stem if mark and suffix.lower() in _SUFFIXES else word


@cache
def _listed(name: str) -> frozenset[str]:
    return frozenset(read_data("quote.yaml")[name])


@cache
def _words(name: str) -> frozenset[str]:
    text = resources.files("pipeline.evaluation").joinpath("data", name).read_text("utf-8")
    return frozenset(line for line in text.splitlines() if line and not line.startswith("#"))
