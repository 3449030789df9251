"""Where earlier mail begins in a body: quotations, reply headers, forwards, in many languages.

Formats as the mail programs write them; measured on the labelled bodies under
``tests/ingestion/bodies``. Every expression is matched against one line of bounded length and
repeats nothing that can match the same text twice, so none can run away.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_MARKS = frozenset(">-_=*")
MAX_LINE = 400
"""Characters of a line that are looked at; reply headers are shorter."""

_WROTE = (
    "wrote|writes|schrieb|a écrit|écrit|escribió|escribio|ha scritto|scrisse|schreef|escreveu"
    "|skrev|kirjoitti|napisał|napisała|napisał\\(a\\)|napsal|napsala|написал|написала|пишет|yazdı|"
    "wrote the following|a scris|írta|đã viết|написав"
)
_ATTRIBUTION = re.compile(rf"(?:\b|\s)(?:{_WROTE})(?: .{{0,60}})?\s?[:：]\s*$", re.IGNORECASE)
_ATTRIBUTION_START = re.compile(
    r"^\W{0,3}(?:On|Am|Le|El|Il|Op|Em|Den|Il giorno|Dnia|W dniu|Dne|Vào|\d{1,4}[./年-]|At|Quoting"
    r"|In a message)\b"
    r"|^\W{0,3}\d{1,4}[./年-]",
    re.IGNORECASE,
)
_ATTRIBUTION_CJK = re.compile(
    r"(?:写道|寫道|のメール|さんは書きました|님이 작성|작성)\s*[:：]?\s*$"
)
_NAMED = re.compile(r"\d.{0,100}<[^<>@\s]{1,64}@[^<>@\s]{1,200}>\)?\s?[:：]$")
_WHEN_OR_WHO = re.compile(r"\d{4}|\d{1,2}[:.]\d\d|\d{1,2}/\d{1,2}|[\w.]@[\w-]|<[^>]{0,200}>")

_MARK = re.compile(
    r"^\W{0,30}(?:original(?: message| appointment)|ursprüngliche nachricht|originalnachricht"
    r"|message d['’]origine|mensaje original|messaggio originale|oorspronkelijk bericht"
    r"|mensagem original|ursprungligt meddelande|oprindelig meddelelse|opprinnelig melding"
    r"|alkuperäinen viesti|wiadomość oryginalna|исходное сообщение|пересылаемое сообщение"
    r"|原始邮件|原邮件|原始郵件|元のメッセージ|원본 메시지)\W{0,30}$",
    re.IGNORECASE,
)
_FORWARD = re.compile(
    r"^\W{0,30}(?:forwarded (?:message|by\b.{0,200})|begin forwarded message"
    r"|(?:anfang der )?weitergeleitete(?:n)? nachricht|début du message (?:transféré|réexpédié)"
    r"|message transféré|mensaje reenviado|inicio del mensaje reenviado|messaggio inoltrato"
    r"|inizio messaggio inoltrato|doorgestuurd bericht|begin doorgestuurd bericht"
    r"|mensagem encaminhada|início da mensagem reencaminhada|vidarebefordrat meddelande"
    r"|переадресованное сообщение|转发的邮件|转发邮件|転送されたメッセージ)\W{0,30}$",
    re.IGNORECASE,
)
_FROM = re.compile(
    r"^[*_\s]{0,4}(?:from|von|de|da|van|от|från|fra|lähettäjä|od|kimden|发件人|寄件者|差出人"
    r"|보낸 사람)"
    r"\s?[*_]{0,2}\s?[:：]\s?[*_]{0,2}",
    re.IGNORECASE,
)
_OTHER_HEADER = re.compile(
    r"^[*_\s]{0,4}(?:sent|date|to|cc|subject|reply-to|importance|gesendet|datum|an|betreff|kopie"
    r"|envoyé(?: le)?|date|à|objet|copie|enviado(?: el)?|fecha|para|asunto|inviato|data|a|oggetto"
    r"|verzonden|aan|onderwerp|enviada(?: em)?|assunto|отправлено|дата|кому|тема|skickat|till|ämne"
    r"|sendt|til|emne|lähetetty|vastaanottaja|aihe|wysłano|do|temat|gönderilme|kime|konu"
    r"|发送时间|日期|收件人|主题|抄送|寄件日期|收件者|主旨|送信日時|日時|宛先|件名|보낸 날짜"
    r"|받는 사람|제목)"
    r"\s?[*_]{0,2}\s?[:：]",
    re.IGNORECASE,
)
_RULE = re.compile(r"^\s*[-_=*]{8,}\s*$")


# Every ASCII line that `_MARK` and `_FORWARD` match holds one of these, in lower case.
_HINTS = (
    "origin", "oorspronkelijk", "ursprungligt", "oprindelig", "opprinnelig", "oryginalna",
    "forward", "weitergeleitete", "reenviado", "inoltrato", "doorgestuurd", "encaminhada",
    "vidarebefordrat",
)  # fmt: skip


def own_lines(lines: Sequence[str]) -> tuple[list[str], set[str]]:
    """The lines that are not earlier mail, and what was left out: `quote`, `forward`."""
    kept: list[str] = []
    removed: set[str] = set()
    telling = _telling(lines)
    at = 0
    while at < len(lines):
        if not telling[at]:
            kept.append(lines[at])
            at += 1
            continue
        if _is_quoted(lines, at):
            removed.add("quote")
            at += 1
            continue
        length = _attribution(lines, at) or _names_above_quote(lines, at)
        if length:
            removed.add("quote")
            following = _next_text(lines, at + length)
            if following is None or not lines[following].lstrip().startswith(">"):
                break
            at = following
            continue
        kind = _history(lines, at)
        if kind:
            removed.add(kind)
            break
        kept.append(lines[at])
        at += 1
    while removed and kept and (not kept[-1].strip() or _RULE.match(kept[-1])):
        kept.pop()
    return kept, removed


def _telling(lines: Sequence[str]) -> list[bool]:
    """Which lines may begin earlier mail; most cannot, and need no closer look.

    All that does has a mark at its start, a word of `_HINTS`, or a colon (which an attribution that
    was broken has two lines further down); what is not ASCII may be another way to write these.
    """
    marked = [":" in line or line.lstrip()[:1] in _MARKS or not line.isascii() for line in lines]
    hinted = has_any("\n".join(lines).lower(), _HINTS)
    below = [*marked[1:], False, False]
    return [
        here or below[at] or below[at + 1] or (hinted and has_any(lines[at].lower(), _HINTS))
        for at, here in enumerate(marked)
    ]


def has_any(text: str, words: Sequence[str]) -> bool:
    """Whether a text holds one of the words."""
    for word in words:  # noqa: SIM110 (a generator takes three times as long)
        if word in text:
            return True
    return False


def _is_quoted(lines: Sequence[str], at: int) -> bool:
    """Whether a line is quoted with ``>``; a lone one may be an arrow or a bullet."""
    line = lines[at].lstrip()
    if not line.startswith(">"):
        return False
    around = (lines[i].lstrip() for i in (at - 1, at + 1) if 0 <= i < len(lines))
    return (
        line.startswith((">>", "> >"))
        or any(n.startswith(">") for n in around)
        or _alone(lines, at)
    )


def _alone(lines: Sequence[str], at: int) -> bool:
    """Whether a single ``>`` line stands as a paragraph of its own, as quotations do."""
    before = at == 0 or not lines[at - 1].strip() or bool(_ATTRIBUTION.search(lines[at - 1][:400]))
    after = at + 1 >= len(lines) or not lines[at + 1].strip()
    return before and (after or lines[at].lstrip().startswith("> "))


def _attribution(lines: Sequence[str], at: int) -> int:
    """How many lines from here say who wrote what is quoted below; 0 if they do not.

    Mail programs break long ones, so up to three lines are read as one.
    """
    joined = lines[at].strip()
    if not joined or len(joined) > MAX_LINE:
        return 0
    if _says_who_wrote(joined):
        return 1
    if not _ATTRIBUTION_START.match(joined):
        return 0
    for length in (2, 3):
        line = lines[at + length - 1].strip() if at + length <= len(lines) else ""
        if not line:
            return 0
        joined = f"{joined} {line}"[:MAX_LINE]
        if _says_who_wrote(joined):
            return length
    return 0


def _names_above_quote(lines: Sequence[str], at: int) -> int:
    """1 where a line without a verb, such as ``Di, 3 Mar, Ann <a@x.org>:``, stands over a quote."""
    line = lines[at].strip()
    if len(line) > MAX_LINE or not _NAMED.search(line):
        return 0
    following = _next_text(lines, at + 1)
    return int(following is not None and lines[following].lstrip().startswith(">"))


def _says_who_wrote(text: str) -> bool:
    if text.endswith((":", "：")) and _ATTRIBUTION.search(text):
        dated = _ATTRIBUTION_START.match(text) is not None or "<" in text or "@" in text
        return dated and bool(_WHEN_OR_WHO.search(text))
    if text.isascii():
        return False
    return bool(_ATTRIBUTION_CJK.search(text) and _WHEN_OR_WHO.search(text))


def _history(lines: Sequence[str], at: int) -> str:
    """`quote` or `forward` where everything from this line on is earlier mail; else empty."""
    line = lines[at][:MAX_LINE]
    if _FORWARD.match(line) and (line.lstrip().startswith(("-", "_")) or _headers(lines, at + 1)):
        return "forward"
    if _MARK.match(line) and (line.lstrip().startswith(("-", "_")) or _headers(lines, at + 1)):
        return "quote"
    if _RULE.match(line):
        following = _next_text(lines, at + 1)
        if following is not None and following <= at + 2 and _headers(lines, following):
            return "quote"
        return ""
    return "quote" if _FROM.match(line) and _headers(lines, at) else ""


def _headers(lines: Sequence[str], at: int) -> bool:
    """Whether a block such as From:, Sent:, To:, Subject: stands in the next lines."""
    following = [line[:MAX_LINE] for line in lines[at : at + 9] if line.strip()][:7]
    names = sum(bool(_FROM.match(line)) for line in following)
    others = sum(bool(_OTHER_HEADER.match(line)) for line in following)
    return names >= 1 and others >= 2


def _next_text(lines: Sequence[str], at: int) -> int | None:
    return next((i for i in range(at, len(lines)) if lines[i].strip()), None)
