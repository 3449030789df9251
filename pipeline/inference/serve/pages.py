"""The page to paste a message into: one form, rendered here; it also works without scripts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi.responses import HTMLResponse, JSONResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from pipeline.records import NONE

if TYPE_CHECKING:
    from pipeline.inference.classifier import Classifier
    from pipeline.inference.explain import Explanation, Reason

MANY = 6
"""Labels whose scores are all shown; of more, the best are."""


@dataclass(frozen=True)
class Part:
    """A stretch of the text, and the asks that it makes in words; without any it is plain."""

    text: str
    names: str = ""


class Pages:
    """Turns explanations into pages."""

    def __init__(self, classifier: Classifier) -> None:
        """Pages for a model."""
        self._thresholds = dict(zip(classifier.labels, classifier.thresholds, strict=True))
        environment = Environment(
            loader=PackageLoader("pipeline.inference.serve"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._template = environment.get_template("page.html")

    def form(
        self, subject: str = "", text: str = "", *, problem: str = "", status: int = 200
    ) -> HTMLResponse:
        """The form, and what was wrong with what was sent."""
        return self._page(status, subject=subject, text=text, problem=problem)

    def answer(self, subject: str, text: str, explanation: Explanation) -> HTMLResponse:
        """The form as it was sent, and below it what the message asks for."""
        found = explanation.prediction
        best = sorted(found.scores, key=lambda label: -found.scores[label])
        shown = [label for label in found.scores if label in best[:MANY]]
        rest = len(found.scores) - len(shown)
        answer = {
            "headline": _headline(found.asks),
            "scores": [
                {
                    "name": in_words(label),
                    "score": found.scores[label],
                    "percent": f"{found.scores[label]:.0%}",
                    "threshold": f"{self._thresholds[label]:.0%}",
                    "found": label in found.asks,
                }
                for label in shown
            ],
            "more": f"{rest} less likely labels are not shown." if rest else "",
            "reasons": explanation.reasons,
            "parts": parts(explanation.text, explanation.reasons),
        }
        return self._page(200, subject=subject, text=text, answer=answer)

    def refusal(self, words: str, status: int, path: str) -> Response:
        """The answer to somebody who may not ask: a page for people, JSON for programs."""
        if path == "/":
            return self._page(status, form=False, problem=words)
        return JSONResponse(
            {"detail": words}, status, {"WWW-Authenticate": "Bearer"} if status == 401 else None
        )

    def _page(self, status: int, **values: Any) -> HTMLResponse:
        defaults = {"form": True, "subject": "", "text": "", "problem": "", "answer": None}
        return HTMLResponse(self._template.render(**(defaults | values)), status)


def parts(text: str, reasons: Sequence[Reason]) -> list[Part]:
    """The text cut at the sentences that make asks, each with the names of its asks."""
    names: dict[tuple[int, int], list[str]] = {}
    for reason in reasons:
        for span in reason.sentences:
            names.setdefault((span.start, span.end), []).append(reason.label)
    cut, at = [], 0
    for (start, end), labels in sorted(names.items()):
        cut += [
            Part(text[at : max(start, at)]),
            Part(text[start:end], ", ".join(map(in_words, labels))),
        ]
        at = end
    return [part for part in [*cut, Part(text[at:])] if part.text]


def in_words(label: str) -> str:
    """A label as people read it."""
    return label.replace("_", " ")


def _headline(asks: Sequence[str]) -> str:
    if not asks or tuple(asks) == (NONE,):
        return "It asks for none of them."
    *others, last = map(in_words, asks)
    return f"It asks for {', '.join(others)} and {last}." if others else f"It asks for {last}."
