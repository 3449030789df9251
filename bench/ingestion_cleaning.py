"""Who cuts a body to the sender's own words best? Ours against four libraries, on one labelled set.

    python bench/ingestion_cleaning.py

Needs `pip install quotequail mail-parser-reply email-reply-parser unquotemail`; those not
installed are left out. The set is tests/ingestion/bodies.jsonl: a body passes if every sentence under
`keep` is still there and nothing under `drop` is. It was written by the authors of our rules, beside
them, so our own figure is what the rules were made for and flatters them.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from pipeline.ingestion.clean import clean_text
from pipeline.ingestion.markup import looks_like_html, to_text

BODIES = Path(__file__).parents[1] / "tests" / "ingestion" / "bodies.jsonl"


def passes(body: dict, text: str) -> tuple[bool, bool]:
    """Whether everything to keep was kept, and everything to drop was dropped."""
    flat = " ".join(text.split())
    kept = all(" ".join(part.split()) in flat for part in body["keep"])
    return kept, not any(" ".join(part.split()) in flat for part in body["drop"])


def _plain(body: str) -> str:
    return to_text(body) if looks_like_html(body) else body


def contestants() -> dict[str, Callable[[str], str]]:
    """The cleaners that are installed; those that read only plain text get our HTML to text."""
    cleaners: dict[str, Callable[[str], str]] = {
        "nothing": _plain,
        "outreach-intent": lambda body: clean_text(body).text,
    }
    try:
        import quotequail

        def quoted(body: str) -> str:
            found = quotequail.unwrap(_plain(body))
            parts = (found.get("text_top"), found.get("text_bottom")) if found else (_plain(body),)
            return "\n".join(part for part in parts if part)

        def quoted_html(body: str) -> str:
            if not looks_like_html(body):
                return quoted(body)
            found = quotequail.unwrap_html(body)
            return quoted(found.get("html_top") or "" if found else body)

        cleaners["quotequail"] = quoted_html
    except ImportError:
        pass
    try:
        from mailparser_reply import EmailReplyParser as Reply

        languages = ["en", "de", "fr", "es", "it", "nl", "pl", "sv", "da", "ja"]
        parser = Reply(languages=languages)
        cleaners["mail-parser-reply parse_reply"] = lambda body: (
            parser.parse_reply(_plain(body)) or ""
        )
        cleaners["mail-parser-reply .body"] = lambda body: (
            parser.read(_plain(body)).replies[0].body or ""
        )
    except ImportError:
        pass
    try:
        from email_reply_parser import EmailReplyParser

        cleaners["email-reply-parser"] = lambda body: EmailReplyParser.parse_reply(_plain(body))
    except ImportError:
        pass
    try:
        from unquotemail import Unquote

        def unquoted(body: str) -> str:
            html = body if looks_like_html(body) else None
            unquote = Unquote(html, None if html else body)
            unquote.parse()
            return _plain(unquote.get_html()) if html else unquote.get_text()

        cleaners["unquotemail"] = unquoted
    except ImportError:
        pass
    return cleaners


def group(kind: str) -> str:
    """The part of the table a body belongs to."""
    if kind.startswith(("reply", "forward", "interleaved", "nested", "all")):
        return "quotes"
    if "no " in kind or kind.startswith(("plain", "prose", "conf", "post", "thanks", "short")):
        return "leave alone"
    return "signatures, footers, noise"


def main() -> None:
    """Print the table."""
    bodies = [json.loads(line) for line in BODIES.read_text(encoding="utf-8").splitlines()]
    groups = sorted({group(body["kind"]) for body in bodies})
    sizes = {name: sum(group(b["kind"]) == name for b in bodies) for name in groups}
    print("| cleaner | all | own words whole | " + " | ".join(groups) + " | ms a body |")
    print("|---|---|---|" + "---|" * (len(groups) + 1))
    for name, clean in contestants().items():
        good: dict[str, int] = defaultdict(int)
        whole = 0
        started = time.process_time()
        for body in bodies:
            try:
                text = clean(body["body"])
            except Exception:  # noqa: BLE001 (a library's crash counts as nothing left)
                text = ""
            kept, dropped = passes(body, text)
            whole += kept
            good[group(body["kind"])] += kept and dropped
        spent = (time.process_time() - started) / len(bodies) * 1000
        cells = " | ".join(f"{good[g]}/{sizes[g]}" for g in groups)
        total = f"{sum(good.values())}/{len(bodies)}"
        print(f"| {name} | {total} | {whole}/{len(bodies)} | {cells} | {spent:.2f} |")


if __name__ == "__main__":
    main()
