"""Explanations as HTML: everything from a message is escaped, nothing is loaded or run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from pipeline.inference.explain import Explanation, Span

_STYLE = """
:root { color-scheme: light dark; --ink: #1c1b1a; --ground: #fbfaf7; --soft: #6b6760;
  --mark: #ffe08a; --note: #4d4313; --line: #ddd8cc; }
@media (prefers-color-scheme: dark) { :root { --ink: #eceae4; --ground: #1b1a18; --soft: #a39e93;
  --mark: #6b5410; --note: #f2e3b0; --line: #3a3731; } }
body { margin: 0 auto; max-width: 46rem; padding: 1.5rem 1rem 3rem; background: var(--ground);
  color: var(--ink); font: 1rem/1.55 system-ui, sans-serif; }
h1 { font-size: 1.3rem; } h2 { font-size: 1rem; margin: 0 0 .4rem; }
article { border-top: 1px solid var(--line); padding: 1.1rem 0; }
.text { white-space: pre-wrap; overflow-wrap: anywhere; margin: 0 0 .6rem; }
mark { background: var(--mark); color: inherit; padding: .08em .1em; border-radius: .2em; }
mark b { text-decoration: underline; text-underline-offset: .2em; }
mark::after { content: attr(title); font-size: .72rem; margin-left: .5em; color: var(--note);
  white-space: nowrap; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem .8rem; margin: 0;
  color: var(--soft); font-size: .9rem; } dd { margin: 0; }
""".strip()


def to_html(explanations: Sequence[Explanation]) -> str:
    """A whole page, one article a message."""
    articles = "\n".join(_article(found) for found in explanations) or "<p>No messages.</p>"
    return (
        '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>What messages ask, and where</title>\n<style>{_STYLE}</style></head>\n<body>\n"
        "<main><h1>What messages ask, and where</h1>\n"
        "<p>The highlighted sentences make the asks; the underlined words carry them.</p>\n"
        f"{articles}\n</main>\n</body>\n</html>\n"
    )


def _article(found: Explanation) -> str:
    answer = ", ".join(found.prediction.asks) or found.prediction.primary
    facts = "".join(
        f"<dt>{escape(reason.label)}</dt><dd>{reason.score:.2f}; without the sentence "
        f"{reason.score - reason.sentence.moved:.2f}"
        + "".join(f", without the other {reason.score - s.moved:.2f}" for s in reason.also)
        + "</dd>"
        for reason in found.reasons
    )
    return (
        f"<article><h2>{escape(answer)}</h2>\n<p class=text>{highlighted(found)}</p>"
        f"<dl>{facts}</dl></article>"
    )


def highlighted(found: Explanation) -> str:
    """The message as an escaped fragment; each ask's sentence in ``mark``, its words in ``b``."""
    sentences: dict[tuple[int, int], tuple[list[str], list[Span]]] = {}
    for reason in found.reasons:
        for span in reason.sentences:
            labels, words = sentences.setdefault((span.start, span.end), ([], []))
            labels.append(reason.label)
            if span is reason.sentence:
                words += [word for word in reason.words if word not in words]
    pieces, at = [], 0
    for (start, end), (labels, words) in sorted(sentences.items()):
        pieces.append(escape(found.text[at:start]))
        inner = _with_words(found.text, start, end, words)
        pieces.append(f'<mark title="{escape(", ".join(labels))}">{inner}</mark>')
        at = end
    pieces.append(escape(found.text[at:]))
    return "".join(pieces)


def _with_words(text: str, start: int, end: int, words: Iterable[Span]) -> str:
    pieces, at = [], start
    for first, last in sorted({(word.start, word.end) for word in words}):
        pieces.append(escape(text[at:first]) + f"<b>{escape(text[first:last])}</b>")
        at = last
    return "".join(pieces) + escape(text[at:end])
