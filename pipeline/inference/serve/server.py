"""From a model folder to a running server."""

from __future__ import annotations

import secrets
import signal
import threading
from typing import TYPE_CHECKING

from pipeline.errors import InputError
from pipeline.inference.serve.app import MAX_BODY, create_app
from pipeline.progress import SILENT, Progress
from pipeline.web import LOCAL, hosts_of, listen

if TYPE_CHECKING:
    from pipeline.inference.classifier import Classifier

RATE_FOR_OTHERS = 600
"""Requests a minute from one address, where others than this machine may ask."""


def serve(
    classifier: Classifier,
    *,
    host: str = LOCAL[0],
    port: int = 8000,
    token: str = "",
    rate: int | None = None,
    max_body: int = MAX_BODY,
    progress: Progress = SILENT,
) -> None:
    """Serve a model until it is stopped; requests under way are answered first.

    Args:
        classifier: what `pipeline.load` gives.
        host: the address to serve at. Any but a local one needs a token.
        port: the port to serve at; 0 takes a free one.
        token: what clients must know.
        rate: requests a minute from one address, 0 for no limit; None limits only strangers.
        max_body: bytes of a request.
        progress: is told the address.

    Raises:
        InputError: no token for an address that others can reach, or the address is in use.
    """
    if host not in LOCAL and not token:
        raise InputError(
            f"--host {host}: whoever reaches this address could ask. Choose a token, for example "
            f"OUTREACH_TOKEN={secrets.token_urlsafe(18)} outreach serve --host {host}"
        )
    limit = rate if rate is not None else 0 if host in LOCAL else RATE_FOR_OTHERS
    app = create_app(classifier, token=token, hosts=hosts_of(host), rate=limit, max_body=max_body)
    server, listening = listen(app, host, port)
    port = listening.getsockname()[1]
    progress.note(f"{classifier.folder} answers at http://{host}:{port}/ (the page), /predict and")
    progress.note("/explain (the API, see /openapi.json), /health and /metrics. Stop with Ctrl-C.")
    if threading.current_thread() is threading.main_thread():
        # uvicorn stops gently on these and raises them again afterwards: by then all is done.
        for stop in (signal.SIGINT, signal.SIGTERM):
            signal.signal(stop, lambda *_: None)
    server.run(sockets=[listening])
    progress.note("Stopped; every request that had come was answered.")
