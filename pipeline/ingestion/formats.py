"""What format is a file of? Its first bytes tell; its name only where they do not."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from pipeline.errors import InputError
from pipeline.ingestion import linkedin, mbox, whatsapp
from pipeline.ingestion.place import Place

_MAGIC = {
    b"PAR1": "parquet",
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "msg",
    b"!BDN": "pst",
}
_HEADER = rb"(?:[!-9;-~]{1,100}:(?:[ \t].{0,2000})?\r?\n(?:[ \t].{0,2000}\r?\n){0,60})"
_MAIL = re.compile(rb"\s{0,20}" + _HEADER + rb"{2,}|\s{0,20}" + _HEADER + rb"\r?\n")
_KNOWN_HEADER = re.compile(
    rb"^(?:from|to|subject|date|received|message-id|return-path|delivered-to|mime-version"
    rb"|x-gm-thrid|x-gmail-labels):",
    re.IGNORECASE | re.MULTILINE,
)
_EMLX = re.compile(rb"\s{0,5}(\d{1,12})\s{0,20}\r?\n")
_BY_NAME = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
    ".tab": "csv",
    ".txt": "text",
    ".text": "text",
    ".md": "text",
    ".eml": "mail",
    ".mbox": "mbox",
}


def format_of(start: bytes, place: Place) -> str:
    """The format of a file, by its first bytes where they tell and else by its name.

    Raises:
        InputError: neither tells.
    """
    for magic, form in _MAGIC.items():
        if start.startswith(magic):
            return form
    text = start.removeprefix(codecs.BOM_UTF8).lstrip()
    suffix = Path(place.name).suffix.lower()
    if suffix == ".parquet":
        raise InputError(f"{place}: not a Parquet file; its first bytes should be PAR1.")
    if b"\0" in start[:8000] and suffix not in (".csv", ".tsv", ".jsonl", ".eml", ".mbox"):
        raise InputError(f"{place}: found no known format (binary, name ends in '{suffix}').")
    form = _by_content(text)
    if form:
        return form
    if not text and not suffix:
        return "text"
    if suffix in _BY_NAME:
        return _BY_NAME[suffix]
    if place.source == "-":
        return "csv" if _has_header(text) else "text"
    raise InputError(
        f"{place}: found no known format (name ends in '{suffix}'). Expected a mailbox, a mail, an "
        "export of LinkedIn, Slack or WhatsApp, or a JSON Lines, CSV, Parquet, XLSX or text file."
    )


def _by_content(text: bytes) -> str:
    if mbox.SEPARATOR.match(text):
        return "mbox"
    if text.startswith(b"{"):
        return "jsonl"
    kind = linkedin.kind_of(text[:2000])
    if kind:
        return f"linkedin_{kind}"
    counted = _EMLX.match(text)
    if counted and _is_mail(text[counted.end() :]):
        return "emlx"
    if _is_mail(text):
        return "mail"
    return "whatsapp" if whatsapp.is_chat(text[:8000].decode("utf-8", "replace")) else ""


def _is_mail(start: bytes) -> bool:
    found = _MAIL.match(start)
    return found is not None and bool(_KNOWN_HEADER.search(start[: found.end()]))


def _has_header(text: bytes) -> bool:
    first = text.split(b"\n", 1)[0]
    return b"text" in first.lower() and any(d in first for d in (b",", b"\t", b";"))
