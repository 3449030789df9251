"""From bytes to readable text, whatever they were meant to be."""

from __future__ import annotations

import re

# What a name says is often a subset of what is meant.
_MEANT = {
    "us-ascii": "utf-8",
    "ascii": "utf-8",
    "iso-8859-1": "windows-1252",
    "latin-1": "windows-1252",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "ks_c_5601-1987": "cp949",
    "euc-kr": "cp949",
    "shift_jis": "cp932",
    "cp-850": "cp850",
    "utf8mb4": "utf-8",
    "iso-8859-8-i": "iso-8859-8",
    "unicode-1-1-utf-7": "utf-7",
}
# Control characters that no text needs, zero-width noise of trackers, and bidirectional marks;
# joiners stay, because emoji and several scripts are written with them.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u00ad\u034f\u061c\u180e\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb]"
)
_LOOSE_JOINER = re.compile("(?:(?<=\\s)|^)[\u200c\u200d]+|[\u200c\u200d]+(?=\\s|$)")
_SPACES = re.compile("[\u00a0\u2000-\u200a\u202f\u205f\u3164]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_NOT_ASCII = re.compile(r"[^\x09\x0a\x20-\x7e]")
_MOJIBAKE = re.compile("[ÃÂâÐÑ][\u0080-\u00bf\u0152-\u0178\u02c6-\u2122]")


def decode(data: bytes, charset: str = "") -> str:
    """Text from bytes: as declared where that works, else UTF-8, else windows-1252.

    >>> decode("Grüße".encode()), decode("Grüße".encode("latin-1"), "x-unknown")
    ('Grüße', 'Grüße')
    """
    declared = _MEANT.get(charset.lower().strip("\"' "), charset.strip("\"' "))
    for name in (declared, "utf-8"):
        try:
            if name:
                return data.decode(name)
        except (LookupError, ValueError):
            continue
    return data.decode("windows-1252", "replace")


def readable(text: str) -> str:
    r"""Text without invisible noise, its line ends and spaces plain, its mojibake mended.

    >>> readable("a\u200bb\r\ncafÃ© \u200c \u200c")
    'ab\ncafé  '
    """
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if _NOT_ASCII.search(text) is None:
        return text
    if _SURROGATE.search(text):
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    text = _LOOSE_JOINER.sub("", _INVISIBLE.sub("", text))
    return _mended(_SPACES.sub(" ", text))


def _mended(text: str) -> str:
    """Undo UTF-8 that was read as another encoding, where there are signs of it."""
    if not _MOJIBAKE.search(text):
        return text
    from ftfy import fix_encoding

    return fix_encoding(text)
