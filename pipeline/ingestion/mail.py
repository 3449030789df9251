"""One mail (RFC 5322) as a message: its headers, its text, and whether a person wrote it.

Real mail breaks every rule (bad addresses, unknown character sets, bytes where only ASCII may
stand), so every step has a fallback. Nothing here raises on any bytes.
"""

from __future__ import annotations

import email.errors
import email.header
import email.utils
import hashlib
import re
from functools import lru_cache
from pathlib import PurePath

from pipeline.ingestion import mime
from pipeline.ingestion.decode import decode, readable
from pipeline.ingestion.incoming import Incoming
from pipeline.ingestion.markup import looks_like_html, to_text
from pipeline.ingestion.mbox import MAX_MAIL
from pipeline.records import Message, Rejection

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
_HEADERS = frozenset({"from", "to", "subject", "date", "message-id", "received", "x-gm-thrid"})
_ADDRESS = re.compile(r"[^\s<>,;:\"()\[\]]{1,64}@[^\s<>,;:\"()\[\]@]{1,255}")
# Thunderbird leaves deleted mails in the file, marked, until it is compacted.
_MOZILLA_DELETED = re.compile(r"[0-9a-fA-F]{3}[89a-fA-F]")
_ANSWERED = re.compile(r"<([^<>\s]+)>")


def parse(data: bytes, source: str, position: str) -> Incoming | Rejection:
    """The message of one mail.

    Args:
        data: the mail as it stands in its file, from its first header on.
        source: the file it was read from.
        position: where in it, for `Message.position`.
    """
    mail = mime.parse(data)
    if mail.fields.keys().isdisjoint(_HEADERS):
        return Rejection(source, position, "not_mail", "expected mail headers", shown(data))
    sender = _addresses(mail, "from")
    unwanted = _unwanted(mail, source, sender)
    if unwanted:
        return Rejection(source, position, *unwanted)
    text = _text(mail)
    subject = _header(mail, "subject")
    if not text.strip():
        if len(data) >= MAX_MAIL:
            detail = f"no text in the first {MAX_MAIL:,} bytes"
            return Rejection(source, position, "too_long", detail)
        return Rejection(source, position, "empty_text", "expected a text or HTML part with text")
    sent_at = _date(mail)
    recipients = _addresses(mail, "to", "cc", "delivered-to", "x-original-to")
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


def _unwanted(mail: mime.Part, source: str, sender: tuple[str, ...]) -> tuple[str, str] | None:
    """The reason and detail for which no person should answer this mail; None if there is none."""
    standing = _places(mail, source)
    for reason, places in _UNWANTED.items():
        found = places & standing
        if found:
            return reason, f"found in '{min(found)}'"
    auto = _header(mail, "auto-submitted").lower()
    if auto and not auto.startswith("no"):
        return "automatic", "Auto-Submitted"
    if mail.content_type == "multipart/report":
        return "automatic", "a delivery report"
    if _header(mail, "precedence").lower() in ("bulk", "list", "junk", "auto_reply"):
        return "bulk", "Precedence"
    telling = min(_TELLING.keys() & mail.fields.keys(), default="")
    if telling:
        return _TELLING[telling], telling
    if any(_ROBOT.match(address) for address in sender):
        return "automatic", "a sender that takes no replies"
    return None


def _places(mail: mime.Part, source: str) -> frozenset[str]:
    """The folders and labels a mail stands in, lower-cased."""
    names = _header(mail, "x-gmail-labels").split(",")
    if _header(mail, "x-spam-flag").lower() == "yes":
        names.append("spam")
    if _MOZILLA_DELETED.fullmatch(_header(mail, "x-mozilla-status")):
        names.append("trash")
    return _folders(source) | {name.strip().strip('"').lower() for name in names}


@lru_cache(maxsize=16)
def _folders(source: str) -> frozenset[str]:
    path = PurePath(source)
    names = [path.stem, *map(_folder, path.parts[-3:-1])]
    flags = path.name.rpartition("2,")[2] if ":2," in path.name or "!2," in path.name else ""
    names += [name for flag, name in (("T", "trash"), ("D", "draft")) if flag and flag in flags]
    return frozenset(name.lower() for name in names)


def _folder(name: str) -> str:
    """A folder's name in the mail program.

    Maildir++ writes Junk as .Junk and Work/Junk as .Work.Junk, Apple Mail exports Junk.mbox, and
    Thunderbird keeps the folders below Junk in Junk.sbd.
    """
    return name.rpartition(".")[2] if name.startswith(".") else re.sub(r"\.(?:mbox|sbd)$", "", name)


def _header(mail: mime.Part, name: str) -> str:
    """A header as text, its encoded words decoded (RFC 2047)."""
    value = mail.field(name)
    return _decoded(value) if value else ""


def _decoded(value: bytes) -> str:
    text = decode(value)
    if "=?" in text:
        try:
            parts = email.header.decode_header(text)
            text = "".join(
                decode(part, charset or "") if isinstance(part, bytes) else part
                for part, charset in parts
            )
        except (ValueError, LookupError, email.errors.HeaderParseError):
            pass
    return readable(" ".join(text.split()))


def _addresses(mail: mime.Part, *names: str) -> tuple[str, ...]:
    """The bare, lower-cased addresses of these headers, in their order."""
    values = (_decoded(value) for name in names for value in mail.fields.get(name, ()))
    # The library's parser gives up on a whole header for one bad address in it.
    return tuple(dict.fromkeys(_ADDRESS.findall(" ".join(values).lower())))


def _date(mail: mime.Part) -> str:
    try:
        return email.utils.parsedate_to_datetime(_header(mail, "date")).isoformat()
    except (ValueError, TypeError, IndexError, OverflowError):
        return ""


def _id(mail: mime.Part) -> str:
    found = _header(mail, "message-id").strip("<> ")
    return found if found and len(found) < 500 else ""


def _thread(mail: mime.Part, identity: str) -> str:
    """Gmail's thread number, else the first mail of the thread that the headers name."""
    gmail = _header(mail, "x-gm-thrid")
    if gmail:
        return gmail
    answered = _ANSWERED.findall(_header(mail, "references") + _header(mail, "in-reply-to"))
    return answered[0] if answered else identity


def _text(mail: mime.Part) -> str:
    """The text a reader sees first: the plain part, or the HTML part if that says more."""
    plain = ""
    html: mime.Part | None = None
    for part in mime.leaves(mail):
        kind = part.content_type
        if kind == "text/html":
            html = html or part
        # A multipart without its boundaries is text too, as the mail programs show it.
        elif kind.startswith(("text/plain", "multipart/")) and not plain.strip():
            plain = _flowed(part, _content(part))
    if plain.strip() and looks_like_html(plain):
        plain = to_text(plain)
    # A plain part of one line is often only "your program cannot show this mail".
    if html is not None and len(plain.split(None, 8)) < 8:
        from_html = to_text(_content(html))
        return from_html if len(from_html.split()) > len(plain.split()) else plain
    return plain


def _content(part: mime.Part) -> str:
    return readable(decode(part.content(), part.parameter("charset")))


def _flowed(part: mime.Part, text: str) -> str:
    """Join the soft line breaks of ``format=flowed`` (RFC 3676)."""
    if part.parameter("format").lower() != "flowed":
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
