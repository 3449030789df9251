"""What `/metrics` tells Prometheus, and the last net under every request."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Iterable
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from pipeline.records import Prediction

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)

log = logging.getLogger(__name__)


class Meters:
    """The server's counters. None of them holds anything of a message but what it asks for."""

    def __init__(self, waiting: Callable[[], float]) -> None:
        """Counters at zero; `waiting` tells how many messages wait for the model."""
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "outreach_requests", "Requests answered.", ["path", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "outreach_request_seconds",
            "From a request's head to its answer's end.",
            ["path"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.batches = Histogram(
            "outreach_batch_messages",
            "Messages scored together.",
            buckets=_SIZES,
            registry=self.registry,
        )
        self.answers = Counter(
            "outreach_messages",
            "Messages answered, by primary.",
            ["primary"],
            registry=self.registry,
        )
        Gauge(
            "outreach_waiting_messages", "Messages that wait for the model.", registry=self.registry
        ).set_function(waiting)

    def count(self, predictions: Iterable[Prediction]) -> None:
        """Count answered messages."""
        for prediction in predictions:
            self.answers.labels(prediction.primary).inc()

    def page(self) -> bytes:
        """The counters in Prometheus' text format."""
        return generate_latest(self.registry)


class Metered:
    """ASGI middleware: counts and times requests, and turns a defect into a plain answer.

    Without it a traceback, which may hold the text of a message, would go to the log.
    """

    def __init__(self, app: ASGIApp, *, meters: Meters) -> None:
        """Count what `app` answers."""
        self._app, self._meters = app, meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        started = time.perf_counter()
        try:
            await self._app(scope, receive, noting)
        except Exception as error:  # noqa: BLE001 - the last net
            place = traceback.extract_tb(error.__traceback__)[-1]
            log.error("%s at %s:%s", type(error).__name__, place.filename, place.lineno)  # noqa: TRY400
            if status:  # the head is out: only breaking off can tell the client
                raise ConnectionAbortedError from None
            await JSONResponse({"detail": "The server has a defect here."}, 500)(
                scope, receive, noting
            )
        finally:
            # The route's own path, never the one asked for: labels must stay few.
            path = getattr(scope.get("route"), "path", "other")
            self._meters.requests.labels(path, str(status)).inc()
            self._meters.seconds.labels(path).observe(time.perf_counter() - started)
