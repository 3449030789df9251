"""One mail (RFC 5322) as a message: its headers, its text, and whether a person wrote it.

Real mail breaks every rule, and the standard library's parser raises on some of it (headers with a
bad address, unknown character sets), so headers are read with the older, forgiving policy and every
step has a fallback. Nothing here raises on any bytes.
"""

from __future__ import annotations

import email
import email.errors
import email.header
import email.message
import email.utils
import hashlib
import re
from collections.abc import Iterator
from pathlib import PurePath

from pipeline.ingestion.decode import decode, readable
from pipeline.ingestion.incoming import Incoming
from pipeline.ingestion.markup import looks_like_html, to_text
from pipeline.records import Message, Rejection

Mail = email.message.Message

MAX_PARTS = 200
"""MIME parts looked at; a mail with more is an attack or an archive."""

_ROBOT = re.compile(
    r"^(?:no[-_.]?reply|do[-_.]?not[-_.]?reply|mailer-daemon|postmaster|bounces?|notifications?"
    r"|newsletter|news|alerts?|automated)(?:[-+_.].*)?@",
    re.IGNORECASE,
)
_UNWANTED = {
    "spam_folder": {"spam", "junk", "junk e-mail", "bulk mail", "trash", "deleted items", "bin",
                    "spamverdacht", "papierkorb", "gelöschte elemente", "corbeille", "indésirables",
                    "courrier indésirable", "correo no deseado", "papelera", "posta indesiderata",
                    "cestino", "lixo eletrônico", "lixeira", "ongewenst", "prullenbak", "спам",
                    "корзина", "垃圾邮件", "迷惑メール", "ゴミ箱"},
    "draft": {"draft", "drafts", "entwürfe", "brouillons", "borradores", "bozze", "rascunhos",
              "concepten", "черновики", "草稿", "下書き"},
}  # fmt: skip
_TELLING = {
    "x-autoreply": "automatic",
    "x-autorespond": "automatic",
    "x-failed-recipients": "automatic",
    "list-id": "bulk",
    "list-unsubscribe": "bulk",
    "x-mailman-version": "bulk",
}
_ADDRESS = re.compile(r"[^\s<>,;:\"()\[\]]{1,64}@[^\s<>,;:\"()\[\]@]{1,255}")
_ANSWERED = re.compile(r"<([^<>\s]+)>")


def parse(data: bytes, source: str, position: str) -> Incoming | Rejection:
    """The message of one mail.

    Args:
        data: the mail as it stands in its file, from its first header on.
        source: the file it was read from.
        position: where in it, for `Message.position`.
    """
    mail = email.message_from_bytes(data)
    head = {name.lower() for name in mail.keys()}  # noqa: SIM118 (a mail is no dict)
    if not head & {"from", "to", "subject", "date", "message-id", "received", "x-gm-thrid"}:
        return Rejection(source, position, "not_mail", "expected mail headers", shown(data))
    unwanted = _unwanted(mail, source)
    if unwanted:
        return Rejection(source, position, *unwanted)
    text = _text(mail)
    subject = _header(mail, "Subject")
    if not text.strip():
        return Rejection(source, position, "empty_text", "expected a text or HTML part with text")
    sender = _addresses(mail, "From")
    sent_at = _date(mail)
    recipients = _addresses(mail, "To", "Cc", "Delivered-To", "X-Original-To")
    identity = _id(mail)
    if not identity:
        core = "\n".join((*sender, sent_at, subject, text))
        identity = hashlib.sha256(core.encode("utf-8", "replace")).hexdigest()[:24]
    message = Message(
        id=identity,
        text=text,
        subject=subject,
        channel="email",
        sender=sender[0] if sender else "",
        sent_at=sent_at,
        thread=_thread(mail, identity),
        source=source,
        position=position,
    )
    row = {
        "id": identity,
        "sent_at": sent_at,
        "from": ", ".join(sender),
        "to": ", ".join(recipients),
        "subject": subject,
        "text": text,
    }
    return Incoming(message, row, recipients=recipients)


def shown(data: bytes, limit: int = 20_000) -> str:
    """Raw bytes for `Rejection.record`."""
    return readable(data[:limit].decode("utf-8", "backslashreplace"))


def _unwanted(mail: Mail, source: str) -> tuple[str, str] | None:
    """The reason and detail for which no person should answer this mail; None if there is none."""
    standing = _places(mail, source)
    for reason, places in _UNWANTED.items():
        found = places & standing
        if found:
            return reason, f"found in '{min(found)}'"
    auto = _header(mail, "Auto-Submitted").lower()
    if auto and not auto.startswith("no"):
        return "automatic", "Auto-Submitted"
    if mail.get_content_type() == "multipart/report":
        return "automatic", "a delivery report"
    if _header(mail, "Precedence").lower() in ("bulk", "list", "junk", "auto_reply"):
        return "bulk", "Precedence"
    telling = min(_TELLING.keys() & {name.lower() for name in mail.keys()}, default="")  # noqa: SIM118
    if telling:
        return _TELLING[telling], telling
    if any(_ROBOT.match(address) for address in _addresses(mail, "From")):
        return "automatic", "a sender that takes no replies"
    return None


def _places(mail: Mail, source: str) -> set[str]:
    """The folders and labels a mail stands in, lower-cased."""
    path = PurePath(source)
    names = [path.stem, *path.parts[-3:-1]]
    names += _header(mail, "X-Gmail-Labels").split(",")
    if _header(mail, "X-Spam-Flag").lower() == "yes":
        names.append("spam")
    flags = path.name.rpartition("2,")[2] if ":2," in path.name or "!2," in path.name else ""
    names += [name for flag, name in (("T", "trash"), ("D", "draft")) if flag and flag in flags]
    return {name.strip().strip('"').lower() for name in names}


def _header(mail: Mail, name: str) -> str:
    """A header as text, its encoded words decoded (RFC 2047)."""
    value = mail.get(name)
    if value is None:
        return ""
    return _decoded(value)


def _decoded(value: object) -> str:
    text = str(value)
    # Raw 8-bit bytes come as a Header of an unknown charset.
    if isinstance(value, email.header.Header) or "=?" in text:
        try:
            parts = email.header.decode_header(value)  # type: ignore[arg-type]
            text = "".join(
                decode(part, charset or "") if isinstance(part, bytes) else part
                for part, charset in parts
            )
        except (ValueError, LookupError, email.errors.HeaderParseError):
            pass
    return readable(" ".join(text.split()))


def _addresses(mail: Mail, *names: str) -> tuple[str, ...]:
    """The bare, lower-cased addresses of these headers, in their order."""
    values = (_decoded(value) for name in names for value in mail.get_all(name, []))
    # The library's parser gives up on a whole header for one bad address in it.
    return tuple(dict.fromkeys(_ADDRESS.findall(" ".join(values).lower())))


def _date(mail: Mail) -> str:
    try:
        return email.utils.parsedate_to_datetime(_header(mail, "Date")).isoformat()
    except (ValueError, TypeError, IndexError, OverflowError):
        return ""


def _id(mail: Mail) -> str:
    found = _header(mail, "Message-ID").strip("<> ")
    return found if found and len(found) < 500 else ""


def _thread(mail: Mail, identity: str) -> str:
    """Gmail's thread number, else the first mail of the thread that the headers name."""
    gmail = _header(mail, "X-GM-THRID")
    if gmail:
        return gmail
    answered = _ANSWERED.findall(_header(mail, "References") + _header(mail, "In-Reply-To"))
    return answered[0] if answered else identity


def _text(mail: Mail) -> str:
    """The text a reader sees first: the plain part, or the HTML part if that says more."""
    plain = html = ""
    for part in _parts(mail):
        kind = part.get_content_type()
        if kind == "text/plain" and not plain.strip():
            plain = _flowed(part, _content(part))
        elif kind == "text/html" and not html:
            html = _content(part)
    if plain.strip() and looks_like_html(plain):
        plain = to_text(plain)
    # A plain part of one line is often only "your program cannot show this mail".
    if html and len(plain.split()) < 8:
        from_html = to_text(html)
        return from_html if len(from_html.split()) > len(plain.split()) else plain
    return plain


def _parts(mail: Mail) -> Iterator[Mail]:
    """The parts that may hold the mail's own text, in order; attached mails are someone else's."""
    waiting = [mail]
    for _ in range(MAX_PARTS):
        if not waiting:
            return
        part = waiting.pop()
        payload = part.get_payload()
        if isinstance(payload, list):
            if part.get_content_type() != "message/rfc822":
                waiting += [inner for inner in reversed(payload) if isinstance(inner, Mail)]
        elif not str(part.get("Content-Disposition", "")).lower().startswith("attachment"):
            yield part


def _content(part: Mail) -> str:
    try:
        data = part.get_payload(decode=True)
    except (ValueError, LookupError, AssertionError):
        data = str(part.get_payload()).encode("utf-8", "surrogateescape")
    try:
        charset = part.get_content_charset() or ""
    except (ValueError, LookupError, TypeError, AttributeError):
        charset = ""
    return readable(decode(data if isinstance(data, bytes) else b"", charset))


def _flowed(part: Mail, text: str) -> str:
    """Join the soft line breaks of ``format=flowed`` (RFC 3676)."""
    if str(part.get_param("format", "")).lower() != "flowed":
        return text
    lines: list[str] = []
    soft = False
    for line in text.split("\n"):
        line = line.removeprefix(" ")
        quoted = line.startswith(">")
        if soft and lines and not quoted and not lines[-1].startswith(">"):
            lines[-1] += line
        else:
            lines.append(line)
        soft = line.endswith(" ") and line != "-- "
    return "\n".join(lines)
