"""The header fields and the parts of a mail, cut out of its bytes (RFC 5322, RFC 2046).

The standard library's parser reads a mail line by line and builds every part of it; it took a
quarter of all ingestion. Here only the two things that are needed are found, by searching: the
fields, undecoded, and where each part lies. Rare forms (RFC 2231 parameters, uuencode) are still
left to the library. That both agree is tested on generated mails. Nothing here raises on any bytes.
"""

from __future__ import annotations

import binascii
import email.message
import email.utils
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

MAX_PARTS = 200
"""Parts looked at; a mail with more is an attack or an archive."""

MAX_TYPE = 2000
"""Bytes of a content type that are looked at."""

_FIELD = re.compile(rb"([!-9;-~]+):[ \t]*(.*(?:\n[ \t].*)*)(?:\n|\Z)")
_TYPE = re.compile(r"\s*([^\s;/]+/[^\s;]+)")
_PARAMETER = re.compile(r";\s*([\w.-]+)\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s;]*))")


@dataclass(frozen=True, slots=True)
class Part:
    """A mail or a part of one."""

    fields: dict[str, list[bytes]]
    """Name in lower case to the values as they stand, in their order."""
    body: bytes

    def field(self, name: str) -> bytes:
        """The first value of a field, unfolded but not decoded; empty where there is none."""
        values = self.fields.get(name)
        return values[0] if values else b""

    @property
    def content_type(self) -> str:
        """Such as ``text/plain``, which also stands for none and for one that makes no sense."""
        return _content_type(self.field("content-type")[:MAX_TYPE])[0]

    def parameter(self, name: str) -> str:
        """A parameter of the content type, such as `charset`; empty where there is none."""
        return _content_type(self.field("content-type")[:MAX_TYPE])[1].get(name, "")

    @property
    def is_attachment(self) -> bool:
        """Whether the sender marked it as one."""
        return self.field("content-disposition").lstrip()[:10].lower() == b"attachment"

    def content(self) -> bytes:
        """The body without its transfer encoding."""
        encoding = self.field("content-transfer-encoding").strip().lower()
        if encoding == b"quoted-printable":
            return binascii.a2b_qp(self.body)
        if encoding == b"base64":
            return _from_base64(self.body)
        if encoding in (b"x-uuencode", b"uuencode", b"uue", b"x-uue"):
            return _by_library(encoding, self.body)
        return self.body


def parse(data: bytes) -> Part:
    """The fields and the body of a mail or a part."""
    data = data.lstrip(b"\r\n")
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return _part(data)


def leaves(mail: Part) -> Iterator[Part]:
    """The parts that may hold the mail's own text, in order; attached mails are someone else's."""
    waiting = [mail]
    for _ in range(MAX_PARTS):
        if not waiting:
            return
        part = waiting.pop()
        kind = part.content_type
        pieces = list(islice(_pieces(part), MAX_PARTS)) if kind.startswith("multipart/") else []
        if pieces:
            inner = [_part(piece) for piece in reversed(pieces)]
            # What a digest does not say the type of is a mail.
            digest = kind == "multipart/digest"
            waiting += [p for p in inner if not digest or "content-type" in p.fields]
        elif kind != "message/rfc822" and not part.is_attachment:
            yield part


def _part(data: bytes) -> Part:
    fields: dict[str, list[bytes]] = {}
    at = data.find(b"\n") + 1 if data.startswith((b"From ", b">From ")) else 0
    while found := _FIELD.match(data, at):
        name, value = found.groups()
        fields.setdefault(name.decode("ascii").lower(), []).append(value)
        at = found.end()
    return Part(fields, data[at + 1 :] if data.startswith(b"\n", at) else data[at:])


def _pieces(part: Part) -> Iterator[bytes]:
    """What stands between the boundaries of a multipart body; nothing if there are none."""
    boundary = part.parameter("boundary").rstrip()
    if not boundary:
        return
    mark = b"--" + boundary.encode("utf-8", "surrogateescape")
    body, began, at = part.body, -1, 0
    while (at := body.find(mark, at)) >= 0:
        end = body.find(b"\n", at)
        line = body[at + len(mark) : end if end >= 0 else len(body)].rstrip(b" \t")
        if line in (b"", b"--") and (at == 0 or body[at - 1] == 10):
            if began >= 0:
                yield body[began : max(at - 1, began)]
            if line or end < 0:
                return
            began = end + 1
        at += len(mark)
    if began >= 0:
        yield body[began:]


@lru_cache(maxsize=64)
def _content_type(value: bytes) -> tuple[str, dict[str, str]]:
    text = value.decode("utf-8", "surrogateescape").replace("\n", "")
    found = _TYPE.match(text)
    kind = found[1].lower() if found else "text/plain"
    if "*" in text:
        return kind, _parameters_by_library(text)
    parameters: dict[str, str] = {}
    for name, quoted, plain in _PARAMETER.findall(text):
        parameters.setdefault(name.lower(), re.sub(r"\\(.)", r"\1", quoted) or plain)
    return kind, parameters


def _parameters_by_library(text: str) -> dict[str, str]:
    """Parameters that are split or have a character set of their own (RFC 2231)."""
    message = email.message.Message()
    try:
        message["Content-Type"] = text
        found = {name: message.get_param(name) for name in ("charset", "boundary", "format")}
    except (ValueError, LookupError, TypeError):
        return {}
    return {
        name: email.utils.collapse_rfc2231_value(value)
        for name, value in found.items()
        if value is not None
    }


def _from_base64(body: bytes) -> bytes:
    try:
        return binascii.a2b_base64(body + b"==")
    except binascii.Error:
        kept = re.sub(rb"[^A-Za-z0-9+/]", b"", body)
        return binascii.a2b_base64(kept[: len(kept) // 4 * 4])


def _by_library(encoding: bytes, body: bytes) -> bytes:
    message = email.message.Message()
    message["Content-Transfer-Encoding"] = encoding.decode("ascii", "replace")
    message.set_payload(body.decode("ascii", "surrogateescape"))
    decoded = message.get_payload(decode=True)
    return decoded if isinstance(decoded, bytes) else body
