"""Private data out: e-mail addresses, URLs, phone numbers, postal addresses, account numbers.

Each becomes a typed placeholder, so that "call me on [PHONE]" stays readable to the model. Plain
regular expressions with checks (Luhn, ISO 7064, digit counts); they find the usual forms, not every
form, and are no guarantee. Names are optional and need a language model (`names_out`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from pipeline.errors import InputError

NAMES_MODEL = "en_core_web_sm"

_EMAIL = re.compile(
    r"(?<![\w.+-])(?:mailto:)?[\w.+%'-]{1,64}@(?:[\w-]{1,63}\.){1,8}[a-zA-Z]{2,24}\b"
    # the same in tokenised text: "vince . j @ x . com"
    r"|(?<!\S)[\w-]{1,64}(?: \. [\w-]{1,64}){0,3} @ [\w-]{1,63}(?: \. [\w-]{1,63}){1,3}(?!\w)"
)
_LINK = re.compile(
    r"\b(?:https?|ftp)://[^\s<>\"']{2,2000}|\bwww\.[^\s<>\"']{3,2000}", re.IGNORECASE
)
_TLD = (
    "com|org|net|edu|gov|io|co|ai|de|fr|es|it|nl|uk|eu|us|ca|au|ch|at|se|no|dk|fi|pl|br|in|jp|cn|ru"
    "|info|me|app|dev"
)
_HAS_DOMAIN = re.compile(rf"\.(?:{_TLD})\b")
_DOMAIN = re.compile(
    rf"(?<![\w@.-])(?:[a-zA-Z0-9-]{{1,63}}\.){{1,4}}(?:{_TLD})(?:/[^\s<>\"']{{0,1000}}"
    rf"|\b(?![.@]\w))"
)
_PHONE = re.compile(
    r"(?<![\w.,/@#$€£-])(?:\+|00)?[(]?\d[\d \u00a0().\-/]{5,22}\d(?![\w@]|[.,/-]\d)"
)
_PHONE_WORD = re.compile(
    r"(?:\b(?:tel|telefon\w*|téléphone|tél|teléfono|phone|mobile|mobil|móvil|cell|call|text"
    r"|ring|fax|whatsapp|handy|reach|my number is|direct|office|ph)\b|电话|手机"
    r"|電話)\W{0,4}(?:\w{1,6}\W{1,3}){0,3}$",
    re.IGNORECASE,
)
_PHONE_SHAPE = re.compile(
    r"^(?:\+\d|00\d|\(\d{2,5}\)|0\d)|^\d{3}[ .-]\d{3}[ .-]\d{4}$|^1[ .-]?[( ]?\d{3}|^\d{3}-\d{4}$"
)
_DATE_SHAPE = re.compile(
    r"^(?:\d{4}[-./]\d{1,2}[-./]\d{1,2}|\d{1,2}[-./ ]\d{1,2}[-./ ](?:\d{4}|\d{2}))(?:\D|$)"
    r"|^(?:19|20)\d\d\s?[-–/]\s?(?:19|20)?\d\d$"
)
_CARD = re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w-])")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")
_SSN = re.compile(r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])")
_NUMBERED = re.compile(
    r"\b((?:account|acct|a/c|konto|kontonummer|compte|cuenta|conto|passport|policy|customer"
    r"|member(?:ship)?|invoice|case|ssn|iban|sort code|routing|student (?:id|number)|employee id"
    r"|tax id)"
    r"(?: ?(?:number|no|nr|num|id|#))?\.?\s?[:#]?\s?#?)([A-Z]{0,4}\d[\d -]{3,24}\d)\b",
    re.IGNORECASE,
)
_LONG_NUMBER = re.compile(r"(?<![\w.,/-])\d{9,40}(?![\w.,/-]\d|\w)")
_SIX_DIGITS = re.compile(r"\d[\d \u00a0().\-/]{5}")
_DIGIT = re.compile(r"\d")
_FOUR_DIGITS = re.compile(r"\d[\d -]{2,8}\d")
_STREET_WORD = (
    "street|st|avenue|ave|road|rd|boulevard|blvd|lane|ln|drive|dr|court|ct|way|square|sq"
    "|terrace|place|pl|parkway|pkwy|highway|hwy|crescent|close"
)
_ADDRESS = re.compile(
    r"\b\d{1,5}[a-zA-Z]?,? (?:[NSEW]\.? )?(?:[A-Z][\w'’.-]{1,30} ){1,4}"
    rf"(?i:{_STREET_WORD})\b\.?"
    r"(?:,? (?i:suite|ste|apt|unit|floor|#) ?\w{1,6})?"
    r"(?:,?\s(?:[A-Z][\w'’.-]{1,30},? ){1,3}(?:[A-Z]{2} \d{5}(?:-\d{4})?"
    r"|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}))?"
    r"|\b[A-ZÄÖÜ][\wäöüß-]{2,30}(?:straße|strasse|str\.|weg|platz|allee"
    r"|gasse) \d{1,4}[a-z]?(?:,? \d{5} [A-ZÄÖÜ][\wäöüß-]{2,30})?"
    r"|\b\d{1,4}(?: ?bis)?,? (?:rue|avenue|boulevard|place|chemin|impasse"
    r"|allée) (?:de la |du |des |de |d['’]|de l['’])?(?:[A-ZÉ][\w'’-]{1,30} ?){1,4}"
    r"(?:,? \d{5} [A-ZÉ][\w'’-]{2,30})?"
    r"|\b(?:[Cc]alle|avenida|plaza|via|viale|piazza"
    r"|corso) (?:[A-ZÁÉÍÓÚ][\w'’-]{1,30} ){1,4}\d{1,4}\b"
    r"(?:,? \d{5} [A-ZÁÉÍÓÚ][\w'’-]{2,30})?"
    r"|\b(?i:p\.? ?o\.? box) \d{1,6}\b"
)


def redact(text: str, kinds: Iterable[str]) -> str:
    """The text with private data of these kinds replaced.

    Args:
        text: any text.
        kinds: of `KINDS`.

    >>> redact("Mail ann@x.org or call +44 20 7946 0958, see https://x.org/cv.", KINDS)
    'Mail [EMAIL] or call [PHONE], see [URL].'
    >>> redact("From 2019-2023 I saw 120 people on 2024-03-05 at 10.30.", KINDS)
    'From 2019-2023 I saw 120 people on 2024-03-05 at 10.30.'
    """
    wanted = frozenset(kinds)
    for kind, replace in _REPLACE.items():
        if kind in wanted:
            text = replace(text)
    return text


def _emails(text: str) -> str:
    return _EMAIL.sub("[EMAIL]", text) if "@" in text else text


def _urls(text: str) -> str:
    if "://" in text or "www." in text or "WWW." in text:
        text = _LINK.sub(_url, text)
    return _DOMAIN.sub(_url, text) if _HAS_DOMAIN.search(text) else text


def _url(match: re.Match[str]) -> str:
    found = match[0]
    end = len(found.rstrip(".,;:!?)]}'\"*"))
    return "[URL]" + found[end:]


def _accounts(text: str) -> str:
    if not _FOUR_DIGITS.search(text):
        return text
    text = _IBAN.sub(lambda m: "[ACCOUNT]" if _is_iban(m[0]) else m[0], text)
    text = _CARD.sub(lambda m: "[ACCOUNT]" if _is_card(m[0]) else m[0], text)
    return _NUMBERED.sub(r"\1[ACCOUNT]", _SSN.sub("[ACCOUNT]", text))


def _phones(text: str) -> str:
    if not _SIX_DIGITS.search(text):
        return text
    text = _PHONE.sub(_phone, text)
    return _LONG_NUMBER.sub("[ACCOUNT]", text)


def _phone(match: re.Match[str]) -> str:
    found = match[0]
    digits = sum(c.isdigit() for c in found)
    named = _PHONE_WORD.search(match.string, max(match.start() - 40, 0), match.start())
    shaped = _PHONE_SHAPE.match(found) and digits >= 7
    if not 6 <= digits <= 15 or _DATE_SHAPE.match(found) or not (shaped or named):
        return found
    return "[PHONE]"


def _addresses(text: str) -> str:
    return _ADDRESS.sub("[ADDRESS]", text) if _DIGIT.search(text) else text


def _is_card(number: str) -> bool:
    """Luhn's check (ISO/IEC 7812-1)."""
    digits = [int(c) for c in number if c.isdigit()]
    doubled = [sum(divmod(2 * d, 10)) for d in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _is_iban(text: str) -> bool:
    """The check digits of ISO 13616."""
    bare = text.replace(" ", "")
    if not 15 <= len(bare) <= 34:
        return False
    return int("".join(str(int(c, 36)) for c in bare[4:] + bare[:4])) % 97 == 1


_REPLACE: dict[str, Callable[[str], str]] = {
    "email": _emails,
    "url": _urls,
    "account": _accounts,
    "phone": _phones,
    "address": _addresses,
}
KINDS = tuple(_REPLACE)


def names_out(text: str) -> str:
    """The text with people's names replaced by [PERSON], by spaCy's small English model.

    Raises:
        InputError: the extra `names` or its model is not installed.
    """
    spans = [(e.start_char, e.end_char) for e in _names_model()(text).ents if e.label_ == "PERSON"]
    for start, end in reversed(spans):
        text = f"{text[:start]}[PERSON]{text[end:]}"
    return text


@cache
def _names_model() -> Any:
    try:
        import spacy

        return spacy.load(NAMES_MODEL)
    except (ImportError, OSError):
        raise InputError(
            "ingest.cleaning.names needs spaCy and its model: pip install 'outreach-intent[names]' "
            f"and python -m spacy download {NAMES_MODEL}; or set ingest.cleaning.names=false."
        ) from None
