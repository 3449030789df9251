"""From HTML to the text that a plain-text mail program would have sent.

Quotations become lines that begin with ``>`` and marked signatures stand under ``-- ``, so that one
set of rules (`pipeline.ingestion.clean`) serves plain and HTML mail alike. What a reader never sees
(scripts, hidden preview text, tracking pixels) is left out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lxml import etree

MAX_HTML = 1_000_000
"""Characters of HTML that are read; the rest of a longer part is left out."""

_TAGS = "html|body|p|div|br|table|span|td|font|b|i|a|ul|ol|li|h[1-6]|blockquote|head|meta|style"
_STARTS_AS_HTML = re.compile(rf"\s*<(?:!doctype|!--|{_TAGS})\b[^<>]*>", re.IGNORECASE)
_LINE_TAGS = re.compile(r"<br ?/?>|</(?:p|div|td|li)>", re.IGNORECASE)

_SKIPPED = frozenset(
    {"script", "style", "head", "title", "template", "noscript", "svg", "object", "iframe"}
)
_BLOCKS = frozenset(
    {"div", "tr", "table", "tbody", "section", "article", "header", "footer", "main", "center",
     "address", "form", "dl", "dt", "dd", "ul", "ol"}
)  # fmt: skip
_PARAGRAPHS = frozenset({"p", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "pre"})
_HIDDEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|mso-hide\s*:\s*all|font-size\s*:\s*[01](?:px"
    r"|pt)?\s*(?:;|$)"
    r"|max-height\s*:\s*0(?:px)?\s*(?:;|$)|opacity\s*:\s*0\s*(?:;|$)",
    re.IGNORECASE,
)
_SIGNATURE = re.compile(r"gmail_signature\b|moz-signature|^Signature$|x_Signature", re.IGNORECASE)


def looks_like_html(text: str) -> bool:
    """Whether a text is HTML rather than prose in which a tag is mentioned."""
    start = text[:5000]
    if "<" not in start:
        return False
    return bool(_STARTS_AS_HTML.match(start)) or len(_LINE_TAGS.findall(start)) >= 2


def to_text(html: str) -> str:
    r"""The text of an HTML document or fragment.

    >>> to_text("<p>Hi <b>Ann</b>,</p><div>one<br>two</div><blockquote>old</blockquote>")
    'Hi Ann,\n\none\ntwo\n\n> old'
    """
    from lxml import etree

    # Characters that XML has no place for end the parse.
    clean = re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]", "", html[:MAX_HTML])
    parser = etree.HTMLParser(encoding="utf-8", recover=True, huge_tree=True)
    try:
        root = etree.fromstring(clean.encode(), parser)
    except etree.XMLSyntaxError:
        root = None
    if root is None:
        return ""
    text = _Text()
    skipping: etree._Element | None = None
    for event, element in etree.iterwalk(root, events=("start", "end", "comment", "pi")):
        if event == "start":
            if skipping is None and _is_skipped(element):
                skipping = element
            if skipping is None:
                text.open(element)
                text.add(element.text)
            continue
        if skipping is None and event == "end":
            text.close(element)
        if skipping is element:
            skipping = None
        if skipping is None:
            text.add(element.tail)
    return text.finished()


def _is_skipped(element: etree._Element) -> bool:
    if element.tag in _SKIPPED or "hidden" in element.attrib:
        return True
    style = element.get("style")
    return bool(style and element.tag != "body" and _HIDDEN.search(style))


class _Text:
    """Lines under construction."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._line = ""
        self._depth = 0  # of quotation
        self._kept = 0  # depth of elements whose line breaks count

    def open(self, element: etree._Element) -> None:
        tag = element.tag
        if tag == "br":
            self._end_line()
        elif tag == "li":
            self._break()
            self._line = "- "
        elif tag == "hr" or tag in _PARAGRAPHS:
            self._gap()
        elif tag in _BLOCKS:
            self._break()
        elif tag in ("td", "th") and self._line:
            self._line += " "
        self._depth += tag == "blockquote"
        self._kept += tag == "pre"
        if _SIGNATURE.search(element.get("class") or element.get("id") or ""):
            self._break()
            self._line = "-- "
            self._end_line()

    def close(self, element: etree._Element) -> None:
        tag = element.tag
        if tag in _PARAGRAPHS:
            self._gap()
        elif tag in _BLOCKS or tag == "li":
            self._break()
        self._depth -= tag == "blockquote"
        self._kept -= tag == "pre"

    def add(self, text: str | None) -> None:
        if not text:
            return
        if self._kept:
            first, *others = text.split("\n")
            self._line += first
            for line in others:
                self._end_line()
                self._line = line
            return
        words = " ".join(text.split())
        glue = " " if text[0].isspace() and self._line and not self._line.endswith(" ") else ""
        self._line += glue + words
        if words and text[-1].isspace():
            self._line += " "

    def finished(self) -> str:
        self._break()
        return re.sub(r"\n{3,}", "\n\n", "\n".join(self._lines)).strip("\n")

    def _end_line(self) -> None:
        line = self._line.rstrip() if self._line != "-- " else self._line
        self._lines.append((">" * self._depth + " " + line).rstrip() if self._depth else line)
        self._line = ""

    def _break(self) -> None:
        if self._line.strip():
            self._end_line()
        self._line = ""

    def _gap(self) -> None:
        self._break()
        if self._lines and self._lines[-1]:
            self._lines.append("")
