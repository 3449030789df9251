"""The web application behind `outreach serve`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import FastAPI, Form, Request, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from pipeline import __version__
from pipeline.inference.batching import AsyncClassifier, BusyError, ClosedError
from pipeline.inference.serve import shapes
from pipeline.inference.serve.meters import Metered, Meters
from pipeline.inference.serve.pages import Pages
from pipeline.inference.serve.rate import RateLimit
from pipeline.ingestion.prepare import prepare
from pipeline.records import Message, render
from pipeline.web import LOCAL, STATIC, Guard, mount_static

if TYPE_CHECKING:
    from pipeline.inference.classifier import Classifier

MAX_BODY = 8_000_000
"""Bytes of a request."""

_DESCRIPTION = (
    "What outreach messages ask of their readers. Messages are prepared as in training (quoted "
    "mail and signatures out, private data replaced); nothing of them is stored or logged."
)
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"model": shapes.Problem, "description": "Not JSON, or not HTTP as it should be."},
    413: {"description": "The body is too large.", "content": {"text/plain": {}}},
    422: {"model": shapes.Problem, "description": "The body is not what this path takes."},
    429: {"model": shapes.Problem, "description": "Too many requests from this address."},
    503: {"model": shapes.Problem, "description": "Too many messages wait, or it is stopping."},
}
_STRANGER: dict[int | str, dict[str, Any]] = {
    401: {
        "description": "The token is missing or wrong.",
        # Not by `model`: /metrics, which is plain text else, answers this as JSON too.
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
}


def create_app(
    classifier: Classifier,
    *,
    token: str = "",
    hosts: Sequence[str] = LOCAL,
    rate: int = 0,
    max_body: int = MAX_BODY,
) -> FastAPI:
    """The application for a loaded model.

    Args:
        classifier: the model.
        token: what clients must know; empty lets everybody in, for a local address only.
        hosts: names under which the server may be asked for.
        rate: requests a minute from one address; 0 sets no limit.
        max_body: bytes of a request.
    """
    answering = AsyncClassifier(classifier, on_batch=lambda size: meters.batches.observe(size))
    meters = Meters(lambda: answering.waiting)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await answering.close()

    app = FastAPI(
        title="outreach-intent",
        version=__version__,
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    mount_static(app, Path(__file__).parent / "static")
    pages = Pages(classifier)
    _handle_errors(app)
    _add_api(app, answering, meters, has_token=bool(token))
    _add_page(app, answering, meters, pages)
    app.add_middleware(RequestBodyLimitMiddleware, max_body_size=max_body)
    if rate:
        app.add_middleware(RateLimit, per_minute=rate)
    app.add_middleware(Guard, token=token, refuse=pages.refusal, open_paths=(STATIC, "/health"))
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))
    app.add_middleware(Metered, meters=meters)
    return app


def _handle_errors(app: FastAPI) -> None:
    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Response:
        # Where and what, but not the value: an answer never repeats a message.
        found = [f"{'.'.join(map(str, e['loc'][1:]))}: {e['msg']}" for e in error.errors()[:5]]
        return JSONResponse({"detail": "; ".join(found)}, 422)

    @app.exception_handler(HTTPException)
    def refused(request: Request, error: HTTPException) -> Response:
        return JSONResponse({"detail": error.detail}, error.status_code, error.headers)

    @app.exception_handler(BusyError)
    @app.exception_handler(ClosedError)
    def busy(request: Request, error: Exception) -> Response:
        return JSONResponse({"detail": str(error)}, 503, {"Retry-After": "1"})


def _add_api(app: FastAPI, answering: AsyncClassifier, meters: Meters, *, has_token: bool) -> None:
    classifier = answering.classifier
    # `Guard` asks for the token; this tells OpenAPI of it.
    guarded = [Security(HTTPBearer(auto_error=False))] if has_token else []
    stranger = _STRANGER if has_token else {}

    @app.post("/predict", responses=_PROBLEMS | stranger, dependencies=guarded)
    async def predict(asked: shapes.PredictIn) -> shapes.PredictOut:
        """Tell what each message asks for."""
        ids, texts = await asyncio.to_thread(_read, classifier, asked.messages)
        found = await answering.predict(texts, ids, asked.min_confidence)
        meters.count(found)
        return shapes.PredictOut(predictions=[shapes.PredictionOut.of(p) for p in found])

    @app.post("/explain", responses=_PROBLEMS | stranger, dependencies=guarded)
    async def explain(asked: shapes.ExplainIn) -> shapes.ExplainOut:
        """Tell what each message asks for, and which sentence and words make it so."""
        ids, texts = await asyncio.to_thread(_read, classifier, asked.messages)
        found = await answering.explain(texts)
        meters.count(explanation.prediction for explanation in found)
        named = [
            replace(e, prediction=replace(e.prediction, id=name))
            for name, e in zip(ids, found, strict=True)
        ]
        return shapes.ExplainOut(explanations=[shapes.ExplanationOut.of(e) for e in named])

    @app.get("/health")
    async def health() -> shapes.Health:
        """Tell whether the server answers, and with what."""
        return shapes.Health(
            status="ok",
            model=classifier.folder.name,
            version=__version__,
            labels=list(classifier.labels),
            waiting=answering.waiting,
        )

    @app.get(
        "/metrics",
        response_class=PlainTextResponse,
        responses=stranger,
        dependencies=guarded,
    )
    async def metrics() -> PlainTextResponse:
        """Counters for Prometheus."""
        return PlainTextResponse(meters.page(), media_type="text/plain; version=0.0.4")


def _add_page(app: FastAPI, answering: AsyncClassifier, meters: Meters, pages: Pages) -> None:
    @app.get("/", include_in_schema=False)
    async def form() -> Response:
        return pages.form()

    @app.post("/", include_in_schema=False)
    async def answer(
        text: Annotated[str, Form()] = "", subject: Annotated[str, Form()] = ""
    ) -> Response:
        if not text.strip():
            return pages.form(subject, text, problem="Paste a message first.", status=422)
        if len(text) > shapes.MAX_EXPLAINED_TEXT:
            words = f"That is too long for this page: {len(text):,} characters of at most "
            return pages.form(problem=f"{words}{shapes.MAX_EXPLAINED_TEXT:,}.", status=422)
        given = [shapes.MessageIn(text=text, subject=subject)]
        _, texts = await asyncio.to_thread(_read, answering.classifier, given)
        (explanation,) = await answering.explain(texts)
        meters.count([explanation.prediction])
        return pages.answer(subject, text, explanation)


def _read(
    classifier: Classifier, messages: Sequence[shapes.MessageIn]
) -> tuple[list[str], list[str]]:
    """Ids, and what the model reads of each message, prepared as in training."""
    ids = [message.id or str(i) for i, message in enumerate(messages)]
    given = (
        Message(name, message.text, message.subject)
        for name, message in zip(ids, messages, strict=True)
    )
    prepared = [prepare(message, classifier.cleaning) for message in given]
    return ids, [render(message.subject, message.text) for message in prepared]
