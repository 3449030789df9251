"""The review page's web application: a few forms, rendered here; the browser keeps no state."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from fastapi import Depends, FastAPI, Form, Request
from fastapi.responses import RedirectResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.middleware.trustedhost import TrustedHostMiddleware

from pipeline.labeling.review.pages import Pages, Suggest, filled
from pipeline.labeling.review.session import Session
from pipeline.web import LOCAL, Guard, mount_static

NAME = re.compile(r"[\w][\w .@-]{0,39}")
"""Names of people; without a colon, so that nobody passes for a rule or a model."""

_WHO = "outreach_annotator"


def create_app(
    session: Session,
    *,
    suggest: Suggest | None = None,
    token: str = "",
    hosts: Sequence[str] = LOCAL,
) -> FastAPI:
    """The application for a session.

    Args:
        session: hands out messages and takes answers.
        suggest: what machines say of a message; None offers no suggestions.
        token: what a visitor must know; empty lets everybody in, for a local address only.
        hosts: names under which the page may be asked for; others are refused, so that no foreign
            web page can reach it through a name of its own.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    page = Pages(session, suggest)
    mount_static(app, Path(__file__).parent / "static")
    app.add_middleware(
        Guard, token=token, refuse=lambda words, status, _path: page.problem(words, status)
    )
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))
    _routes(app, page)
    return app


class _NamelessError(Exception):
    """The visitor has not said who they are."""


def _who(request: Request) -> str:
    name = bytes(request.cookies.get(_WHO, ""), "ascii", "ignore").decode("unicode_escape")
    if not NAME.fullmatch(name):
        raise _NamelessError
    return name


Who = Annotated[str, Depends(_who)]


def _routes(app: FastAPI, page: Pages) -> None:
    session = page.session

    @app.exception_handler(_NamelessError)
    def ask_name(request: Request, error: Exception) -> Response:
        return RedirectResponse("/", 303)

    @app.get("/")
    def name_form() -> Response:
        return page.render("name.html")

    @app.post("/name")
    def take_name(name: Annotated[str, Form()] = "") -> Response:
        name = " ".join(name.split())
        if not NAME.fullmatch(name):
            words = "Please give a name of up to 40 letters, digits, spaces or . - @"
            return page.render("name.html", 422, problem=words)
        response = RedirectResponse("/message", 303)
        value = name.encode("unicode_escape").decode("ascii")
        response.set_cookie(_WHO, value, httponly=True, samesite="strict", max_age=30 * 86400)
        return response

    @app.get("/message")
    def show(who: Who, id: str = "", skipped: bool = False) -> Response:  # noqa: A002 - the URL's word
        message = session.message(id) if id else session.next_for(who, skipped=skipped)
        if message is None:
            return page.done(who)
        # Blind, unless somebody came back to undo: then the form stands as they left it.
        return page.message(
            who, message, filled(session.last_answer(who, message.id) if id else None)
        )

    @app.post("/message")
    async def answer(request: Request, who: Who) -> Response:
        form = await request.form()
        given = {key: [str(v) for v in form.getlist(key)] for key in form}
        return await run_in_threadpool(page.take, who, given)
