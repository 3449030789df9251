"""The review page's pages, and what sending their forms does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt

from pipeline.errors import InputError
from pipeline.labeling.codebook import gist
from pipeline.labeling.review.session import Session
from pipeline.records import Annotation, Message

Suggest = Callable[[Message], Sequence[tuple[str, str]]]
"""Names who suggests what for a message, in words; called only when somebody asks for it."""


class Pages:
    """Turns the session's state into pages, and sent forms into answers."""

    def __init__(self, session: Session, suggest: Suggest | None) -> None:
        """Pages for a session; without `suggest` they offer no suggestions."""
        self.session = session
        self._suggest = suggest
        self._templates = Environment(
            loader=PackageLoader("pipeline.labeling.review"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        codebook = session.codebook
        markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
        self._codebook = markdown.render(codebook.text)
        self._labels = [(label, gist(codebook, label)) for label in session.task.labels]

    def render(self, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """A template's page with the values it names."""
        values = {"problem": "", **values}
        return HTMLResponse(self._templates.get_template(template).render(**values), status)

    def problem(self, words: str, status: int) -> HTMLResponse:
        """A page that says what is not possible."""
        return self.render("problem.html", status, problem=words)

    def done(self, who: str) -> HTMLResponse:
        """The page for somebody who has nothing left to label."""
        return self.render("done.html", who=who, standing=self.session.standing(who))

    def message(
        self,
        who: str,
        message: Message,
        form: Mapping[str, Any],
        *,
        status: int = 200,
        problem: str = "",
        suggestions: Sequence[tuple[str, str]] | None = None,
    ) -> HTMLResponse:
        """The page of one message, with the form as `form` says it stands."""
        return self.render(
            "message.html",
            status,
            who=who,
            message=message,
            form=form,
            problem=problem,
            suggestions=suggestions,
            can_suggest=self._suggest is not None,
            standing=self.session.standing(who),
            labels=self._labels,
            multi_label=self.session.task.multi_label,
            codebook=self._codebook,
            version=self.session.codebook.version,
        )

    def take(self, who: str, given: Mapping[str, list[str]]) -> Response:
        """Act on a sent form; nothing is shown next before the answer is on the disk."""
        action = given.get("action", ["save"])[0]
        message = self.session.message(given.get("message", [""])[0])
        try:
            if action == "undo":
                back = self.session.undo(who)
                return _to_message(back.id) if back else RedirectResponse("/message", 303)
            if message is None:
                return self.problem("That message is not in this project any more.", 404)
            return self._act(who, message, action, given)
        except InputError as error:
            words = f"Not saved, please try again. {error}"
            if message is None:
                return self.problem(words, 507)
            return self.message(who, message, _form(given), status=507, problem=words)

    def _act(
        self, who: str, message: Message, action: str, given: Mapping[str, list[str]]
    ) -> Response:
        form = _form(given)
        seen = "suggested" in given
        if action == "suggest" and self._suggest is not None:
            return self.message(who, message, form, suggestions=self._suggest(message))
        if action == "skip":
            self.session.save(who, message.id, None, suggested=seen, note=form["note"])
            return RedirectResponse("/message", 303)
        problem = self._problem(form)
        if problem:
            shown = self._suggest(message) if seen and self._suggest else None
            return self.message(who, message, form, status=422, problem=problem, suggestions=shown)
        self.session.save(
            who,
            message.id,
            form["asks"],
            primary=form["primary"],
            sure=form["sure"],
            suggested=seen,
            note=form["note"],
        )
        return RedirectResponse("/message", 303)

    def _problem(self, form: Mapping[str, Any]) -> str:
        task = self.session.task
        if any(ask not in task.labels for ask in form["asks"]):
            return "That label is not one of this project's."
        if not task.multi_label:
            return "" if len(form["asks"]) == 1 else "Choose one label."
        if bool(form["asks"]) == form["none"]:
            return "Choose what the message asks for, or 0 for none of them."
        return ""


def filled(answer: Annotation | None) -> dict[str, Any]:
    """The form as it stands when a message is shown: empty, or with the earlier answer."""
    if answer is None or answer.asks is None:
        return {"asks": (), "none": False, "primary": "", "sure": True, "note": ""}
    return {
        "asks": answer.asks,
        "none": not answer.asks,
        "primary": answer.primary,
        "sure": answer.sure,
        "note": answer.note,
    }


def _form(given: Mapping[str, list[str]]) -> dict[str, Any]:
    return {
        "asks": tuple(given.get("asks", [])),
        "none": "none" in given,
        "primary": given.get("primary", [""])[0],
        "sure": "unsure" not in given,
        "note": given.get("note", [""])[0][:2000],
    }


def _to_message(message: str) -> RedirectResponse:
    return RedirectResponse("/message?" + urlencode({"id": message}), 303)
