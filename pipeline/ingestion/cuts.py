"""How the text of a public message is cut from the file that its archive keeps it in.

Every rule takes the file's bytes and the place named by `loc` in ``labels.jsonl``, and gives
exactly the text whose SHA-256 is recorded there; any change here would make every hash fail.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from typing import Any

_LINES = re.compile(r"L(\d+)-L(\d+)")
_LINK = re.compile(r"<(https?://[^<>|\s]+)(?:\|[^<>]*)?>")
_TAG = re.compile(r"<[^>]+>")
_END_OF_KAMINSKI = re.compile(
    r"^[ \t]*(?:- ?){5,}|^.*forwarded by|^[ \t]*(?:- )*original message", re.MULTILINE
)


class CutError(Exception):
    """The file does not hold what `loc` names."""


def cut(rule: str, data: bytes, loc: str) -> str:
    """The text of one message.

    Args:
        rule: one of `RULES`.
        data: the whole file.
        loc: where in it, as ``labels.jsonl`` says; empty for a file of one message.

    Raises:
        CutError: the file has no such place.
    """
    text = RULES[rule](data.decode("utf-8", "replace"), loc)
    text = re.sub(r"[ \t]+", " ", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def _aeslc(text: str, _loc: str) -> str:
    """Everything before the first line that begins ``@subject``."""
    return re.split(r"^@subject", text, maxsplit=1, flags=re.MULTILINE)[0]


def _kaminski(text: str, _loc: str) -> str:
    """All but the first line (the subject), up to the first mark of forwarded or quoted mail.

    Mail that begins with such a mark has no words of its own and stays whole.
    """
    _, _, body = text.replace("\r", "").partition("\n")
    mark = _END_OF_KAMINSKI.search(body)
    return body[: mark.start()] if mark and mark.start() else body


def _quoted_lines(text: str, loc: str) -> str:
    """Lines a to b without their leading ``>`` and one space, links as URLs, entities resolved."""
    lines = [re.sub(r"^>? ?", "", line) for line in _lines_at(text, loc)]
    return _plain("\n".join(lines).replace("<br>", "\n"))


def _dated_lines(text: str, loc: str) -> str:
    """The lines a to b that are neither empty nor begin with a date, unquoted like the above."""
    kept = (
        re.sub(r"^\s*>? ?", "", line)
        for line in _lines_at(text, loc)
        if line.strip() and not re.match(r"\s*\d{1,2}/\d{1,2}/\d{4}", line)
    )
    return _plain("\n".join(kept))


def _zulip(text: str, loc: str) -> str:
    """The content of the message with this id; tags to spaces, white space to single spaces."""
    try:
        messages: list[dict[str, Any]] = json.loads(text)
        content = next(m["content"] for m in messages if str(m["id"]) == loc)
    except (ValueError, KeyError, TypeError, StopIteration):
        raise CutError(f"no message {loc}") from None
    return " ".join(html.unescape(_TAG.sub(" ", content)).split())


def _lines_at(text: str, loc: str) -> list[str]:
    place = _LINES.fullmatch(loc)
    if place is None:
        raise CutError(f"expected a place such as L3-L7, found '{loc}'")
    first, last = int(place[1]), int(place[2])
    return text.split("\n")[first - 1 : last]


def _plain(text: str) -> str:
    return html.unescape(_LINK.sub(r"\1", text))


RULES: dict[str, Callable[[str, str], str]] = {
    "aeslc": _aeslc,
    "kaminski": _kaminski,
    "quoted_lines": _quoted_lines,
    "dated_lines": _dated_lines,
    "zulip": _zulip,
}
