"""What stands below a writer's own words: signatures, mobile footers, disclaimers, list footers.

Sign-offs and names stay: they are the writer's, and "Best, Ann" is no private data worth a broken
text. Contact blocks go. A list whose items begin with a dash is never taken for a signature.
"""

from __future__ import annotations

import re

from pipeline.ingestion.history import has_any

MAX_SIGNATURE = 14
"""Lines of a signature at most; more is text under a rule."""
MAX_SIGN_OFF = 80
"""Characters of a line such as "Best regards,"."""

_LETTER = re.compile(r"[^\W\d_]")
_RULES = frozenset("-—–_*")
_DELIMITER = re.compile(r"^(?:--|—|–|_{2,5}|-{3,60}|\*{3,60}|_{6,60})\s*$")
_MOBILE = re.compile(
    r"^\W{0,3}(?:sent (?:from|via|with|using) (?:my |the )?(?:mobile|phone|iphone|ipad|ios"
    r"|android|samsung|blackberry|galaxy"
    r"|windows phone|outlook|mail for|yahoo|proton|gmail|smartphone|tablet|nokia|huawei|xiaomi"
    r"|pixel|a mobile|fastmail|spark|superhuman|airmail|verizon|workspace)\b"
    r"|get outlook for|sent from .{0,40} (?:phone|mobile|smartphone)"
    r"|(?:von|vom) meinem .{1,40} gesendet|gesendet (?:von|mit|aus) (?:meinem|mein|der|outlook"
    r"|mail)\b"
    r"|diese nachricht wurde von meinem"
    r"|envoyé (?:de|depuis|à partir de) (?:mon|ma|l['’]|outlook|yahoo|mail)|télécharger outlook"
    r"|enviado (?:desde|de|do|a partir do) (?:mi|meu|el|o|outlook|yahoo|correo)\b|obtener outlook"
    r"|obter o outlook"
    r"|inviato (?:da|dal|con) (?:il mio|iphone|ipad|outlook|smartphone|libero|yahoo|samsung"
    r"|dispositivo)|scarica outlook"
    r"|verzonden vanaf (?:mijn|outlook|een)|verstuurd vanaf (?:mijn|een)|outlook downloaden"
    r"|skickat från (?:min|outlook)|sendt fra (?:min|outlook)|lähetetty (?:iphone|puhelim)"
    r"|wysłane z|odesláno z|отправлено (?:с|из)|надіслано з|发自我的|從我的|iphone\s?から送信"
    r"|내 .{1,20}에서 보냄)"
    r".{0,80}$",
    re.IGNORECASE,
)
# Every line that it matches holds one of these, in lower case.
_MOBILE_HINTS = (
    "sent ", "get outlook", "gesendet", "diese nachricht", "envoyé", "télécharger", "enviado",
    "obtener", "obter", "inviato", "scarica", "verzonden", "verstuurd", "downloaden", "skickat",
    "sendt", "lähetetty", "wysłane", "odesláno", "отправлено", "надіслано", "发自", "從我的",
    "送信", "보냄",
)  # fmt: skip
_DISCLAIMER = re.compile(
    r"^\W{0,4}(?:(?:confidentiality|privacy|legal|email) (?:notice|note|disclaimer|statement)"
    r"|disclaimer\s*[:.]"
    r"|this (?:e-?mail|message|communication|transmission|electronic (?:mail"
    r"|message))\b[^.?!]{0,120}"
    r"\b(?:confidential|privileged|intended (?:only |solely |recipient)|solely for)"
    r"|the (?:information|contents?) (?:contained )?(?:in|of) this (?:e-?mail|message"
    r"|communication|transmission)\b"
    r"|if you (?:are not|have received) (?:the intended|this (?:e-?mail|message"
    r"|communication) in error)"
    r"|privileged (?:and|/) ?confidential"
    r"|please consider (?:the environment|your environmental)|(?:🌳|🌱|♻)?\s?think before you print"
    r"|diese (?:e-?mail|nachricht)\b[^.?!]{0,80}\b(?:vertraulich|ausschließlich für)"
    r"|der inhalt dieser (?:e-?mail|nachricht)|bitte denken sie an die umwelt"
    r"|bitte prüfen sie, ob diese"
    r"|ce (?:message|courriel|mail|courrier)\b[^.?!]{0,100}\b(?:confidentiel|destinataire|réservé)"
    r"|(?:pensez|merci de penser) à l['’]environnement|avis de confidentialité"
    r"|este (?:mensaje|correo|e-?mail)\b[^.?!]{0,100}\b(?:confidencial|destinatario|dirigido)"
    r"|aviso (?:legal|de confidencial)|antes de imprimir|esta mensagem\b[^.?!]{0,100}\bconfidencia"
    r"|(?:questo messaggio|questa e-?mail|le informazioni contenute)\b[^.?!]{0,120}\b(?:riservat"
    r"|confidenzial|destinatari)"
    r"|avviso di riservatezza|(?:dit|deze) (?:bericht|e-?mail)\b[^.?!]{0,100}\b(?:vertrouwelijk"
    r"|uitsluitend bestemd)"
    r"|настоящее (?:сообщение|письмо)|это (?:сообщение|письмо)\b[^.?!]{0,80}конфиденциал"
    r"|本邮件|此邮件.{0,20}保密)",
    re.IGNORECASE,
)
_LIST_FOOTER = re.compile(
    r"^\W{0,4}(?:to unsubscribe\b|unsubscribe(?:\s|$|:)|you(?:'re| are)? receiv(?:ed"
    r"|ing) this (?:e-?mail|message|because)"
    r"|you received this message because|manage (?:your )?(?:email )?(?:preferences|subscription)"
    r"|view this email in your browser"
    r"|sie erhalten diese (?:e-?mail|nachricht), weil|vom newsletter abmelden|se désabonner"
    r"|se désinscrire"
    r"|darse de baja|cancelar (?:la )?(?:suscripción|inscrição)|annulla (?:l['’])?iscrizione"
    r"|afmelden\b"
    r"|\S{1,40} mailing list$|virus-free\.|this email has been (?:checked|scanned)"
    r"|diese e-?mail wurde (?:von|auf) "
    r"|scanned by|do not delete or change any of the following text|join zoom meeting\b)",
    re.IGNORECASE,
)
_BANNER = re.compile(
    r"^\W{0,12}(?:\[?external\]?(?: (?:email|e-mail|sender|message))?\b[^a-z]{0,4}(?:$"
    r"|use caution|do not|this )"
    r"|caution\s*[:!-].{0,40}(?:external|outside)|this (?:e-?mail|message) (?:originated|came"
    r"|was sent) from (?:outside|an external)"
    r"|you don['’]t often get (?:e-?mail|messages) from"
    r"|some people who received this message don['’]t often"
    r"|warning: (?:external|this email)|externe e-?mail|attention\s*: courriel externe)",
    re.IGNORECASE,
)
# Every line that the three above match holds one of these, in lower case.
_HINTS = (
    "confid", "privacy", "legal", "notice", "disclaimer", "privileged", "intended", "solely",
    "this e", "this m", "this c", "this t", "of this", "environment", "print", "vertraulich",
    "ausschließlich", "der inhalt", "bitte", "destinat", "réservé", "environnement", "dirigido",
    "aviso", "imprimir", "riservat", "uitsluitend", "vertrouwelijk", "настоящее", "конфиденц",
    "本邮件", "此邮件", "unsubscribe", "receiv", "manage", "browser", "erhalten", "abmelden",
    "désabonner", "désinscrire", "darse de baja", "cancelar", "iscrizione", "afmelden",
    "mailing list", "virus", "scanned", "checked", "diese e", "do not delete", "zoom", "external",
    "caution", "often get", "some people", "warning", "externe",
)  # fmt: skip
_SIGN_OFF = re.compile(
    r"^(?:(?:with )?(?:many |very |kind(?:est)? |best |warm(?:est)? |all (?:the "
    r"|my )?)?(?:thanks(?: (?:again|so much|a lot|in advance))?|thank you(?: (?:again|so much"
    r"|very much|in advance))?"
    r"|regards|wishes|best|yours(?: (?:sincerely|truly|faithfully))?)|sincerely(?: yours)?|cheers"
    r"|rgds|respectfully|cordially|warmly|take care|talk soon|ta"
    r"|(?:mit )?(?:freundlichen?|besten?|vielen?|herzlichen?|liebe|schöne) grü(?:ß|ss)e?n?"
    r"|(?:vielen |herzlichen )?dank|danke|vg|lg|mfg|gruß"
    r"|(?:bien )?(?:cordialement|amicalement)|bien à (?:vous|toi)"
    r"|(?:meilleures )?salutations(?: distinguées)?|merci(?: (?:beaucoup|d['’]avance))?"
    r"|(?:un )?(?:cordial )?(?:saludos?)(?: cordiales?)?|atentamente"
    r"|(?:muchas )?gracias(?: de antemano)?|un abrazo"
    r"|(?:cordiali |distinti )?saluti|grazie(?: mille)?|un caro saluto"
    r"|met vriendelijke groet(?:en)?|groet(?:en|jes)?|(?:hartelijk )?dank|bedankt"
    r"|atenciosamente|abraços?|obrigad[oa]|cumprimentos|(?:с )?уважением|спасибо"
    r"|med vänliga hälsningar|hälsningar|mvh|(?:med )?venlig hilsen"
    r"|pozdrawiam|z poważaniem|saygılarımla|此致|敬礼|谢谢|祝好|よろしくお願いいたします。?"
    r"|よろしくお願いします。?|敬具)[\s,.!:;–-]{0,4}$",
    re.IGNORECASE,
)
_CONTACT = re.compile(
    r"[\w.+-]@[\w-]|https?://|www\.|\b(?:tel|phone|mobile|cell|fax|direct|office|telefon|mobil"
    r"|tél|móvil|whatsapp|skype)\b\.?\s?[:.]?\s?[+(\d]"
    r"|[+(]?\d[\d\s().\-/]{7,}\d| \| |\b[mtfpocew]\s?(?::\s?[+(\w]|\.\s?[+(\d])|linkedin\.com"
    r"|電話|电话|手机",
    re.IGNORECASE,
)
_ROLE = re.compile(
    r"\b(?:inc|llc|ltd|gmbh|corp|s\.?a\.?s?|b\.?v\.?|plc|ag|university|universität|université"
    r"|universidad|institute|department|dept"
    r"|director|manager|engineer|officer|analyst|consultant|recruiter|founder|ceo|cto|cfo|vp"
    r"|president|professor|lecturer|editor"
    r"|head of|associate|partner|specialist|coordinator|developer|designer|assistant"
    r"|leiter(?:in)?|geschäftsführer(?:in)?|directeur|directrice|responsable|jefe|gerente"
    r"|direttore|responsabile|straße|strasse|street|avenue|suite|floor|road|p\.?o\.? box)\b",
    re.IGNORECASE,
)


def without_footers(lines: list[str]) -> tuple[list[str], set[str]]:
    """The lines above (and, for banners, below) what is no word of the writer's."""
    removed: set[str] = set()
    whole = "\n".join(lines).lower()
    # Most messages hold no word of either kind and are done with here.
    kept = _without_disclaimers(lines, removed) if has_any(whole, _HINTS) else list(lines)
    if has_any(whole, _MOBILE_HINTS):
        own = [line for line in kept if not _is_mobile_footer(line)]
        if len(own) < len(kept):
            removed.add("mobile_footer")
        kept = own
    while removed and kept and (not kept[-1].strip() or _DELIMITER.match(kept[-1])):
        kept.pop()  # the rule above a footer
    return _without_signature(kept, removed), removed


def _is_mobile_footer(line: str) -> bool:
    return len(line) <= 160 and bool(_MOBILE.match(line.strip()))


def _without_disclaimers(lines: list[str], removed: set[str]) -> list[str]:
    kept: list[str] = []
    starts_paragraph, own_above = True, False
    at = 0
    while at < len(lines):
        line = lines[at].strip()[:300]
        text = " ".join([line, *(following.strip()[:200] for following in lines[at + 1 : at + 3])])
        if starts_paragraph and _BANNER.match(line):
            removed.add("banner")
            while at < len(lines) and lines[at].strip():
                at += 1
            continue
        if own_above and line and (_DISCLAIMER.match(text) or _LIST_FOOTER.match(line)):
            removed.add("disclaimer")
            break
        kept.append(lines[at])
        own_above = own_above or _LETTER.search(line) is not None
        starts_paragraph = not line
        at += 1
    return kept


def _without_signature(lines: list[str], removed: set[str]) -> list[str]:
    for at in range(len(lines) - 1, -1, -1):
        if lines[at][:1] in _RULES and _DELIMITER.match(lines[at]) and _is_signature(lines, at):
            removed.add("signature")
            return lines[:at]
    end = _contact_block(lines)
    if end is not None:
        removed.add("signature")
        return lines[:end]
    return lines


def _is_signature(lines: list[str], delimiter: int) -> bool:
    """Whether the lines under a delimiter are a signature and not more text."""
    below = [line.strip() for line in lines[delimiter + 1 :] if line.strip()]
    above = any(_LETTER.search(line) for line in lines[:delimiter])
    if not above or len(below) > MAX_SIGNATURE:
        return False
    if any(re.match(r"p\.? ?s\b", line, re.IGNORECASE) for line in below):
        return False
    strict = lines[delimiter].rstrip() == "--"
    asks = any("?" in line and len(line.split()) > 3 for line in below)
    prose = any(len(line.split()) > 16 for line in below)
    if strict:
        return not asks and not (prose and len(below) > 5)
    return bool(below) and not asks and not prose and any(map(_is_contact, below))


def _contact_block(lines: list[str]) -> int | None:
    """Where a contact block without delimiter begins: short lines under a sign-off and a name."""
    texts = [at for at, line in enumerate(lines) if line.strip()]
    for back in range(2, min(MAX_SIGNATURE, len(texts)) + 1):
        at = texts[-back]
        if len(lines[at]) > MAX_SIGN_OFF or not _SIGN_OFF.match(lines[at].strip()):
            continue
        below = texts[-back + 1 :]
        named = len(lines[below[0]].split()) <= 5 and not _is_contact(lines[below[0]])
        rest = below[1:] if named else below
        if rest and _is_block([lines[i].strip() for i in rest]):
            return rest[0]
        return None
    return None


def _is_block(block: list[str]) -> bool:
    if any("?" in line or len(line.split()) > 14 for line in block):
        return False
    if any(re.match(r"p\.? ?s\b|[-*•\d]\W", line, re.IGNORECASE) for line in block):
        return False
    return any(_is_contact(line) for line in block) or (
        len(block) <= 4 and any(_ROLE.search(line) for line in block)
    )


def _is_contact(line: str) -> bool:
    return bool(_CONTACT.search(line[:300]))
