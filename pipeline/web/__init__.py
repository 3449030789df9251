"""What every page and API that this project serves has in common: who may ask, and how it listens.

Local by default. Whoever serves beyond this machine gives visitors a token; a foreign web page
can reach neither, since host names are checked and forms of other sites are refused.
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable, Sequence
from http.cookies import SimpleCookie
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from pipeline.errors import InputError

if TYPE_CHECKING:  # the web libraries are extras
    from starlette.applications import Starlette
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send
    from uvicorn import Server

LOCAL = ("127.0.0.1", "localhost")
"""The addresses that only this machine can reach."""

TOKEN_COOKIE = "outreach_token"  # noqa: S105 - the cookie's name
STATIC = "/static/"

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; "
    "img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""What goes with every answer: nothing from elsewhere runs in a page, nothing is kept."""


def hosts_of(host: str) -> tuple[str, ...]:
    """The names under which a server at `host` may be asked for."""
    if host in LOCAL:
        return LOCAL
    return ("*",) if host in ("0.0.0.0", "::") else (host, *LOCAL)  # noqa: S104 - compared


class Guard:
    """ASGI middleware: keeps out strangers and the forms of other sites, and sets `HEADERS`.

    A visitor shows the token once as ``?token=`` (a cookie keeps it), a program as
    ``Authorization: Bearer``.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        token: str,
        refuse: Callable[[str, int, str], Response],
        open_paths: Sequence[str] = (STATIC,),
    ) -> None:
        """Guard `app`.

        Args:
            app: what is guarded.
            token: what a visitor must know; empty lets everybody in, for a local address only.
            refuse: makes the answer to those kept out, from words, status and the path asked for.
            open_paths: the beginnings of paths that need no token.
        """
        self._app, self._token, self._refuse = app, token.encode(), refuse
        self._open = tuple(open_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let the application answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_RAW_HEADERS]
            await send(message)

        answer = self._answer(scope)
        await (answer or self._app)(scope, receive, send_with_headers)

    def _answer(self, scope: Scope) -> Response | None:
        headers = dict(scope["headers"])
        path: str = scope["path"]
        site = headers.get(b"sec-fetch-site", b"none")
        if scope["method"] == "POST" and site not in (b"same-origin", b"none"):
            return self._refuse("This form was sent from another site.", 403, path)
        if not self._token or path.startswith(self._open):
            return None
        query = parse_qs(scope["query_string"].decode("latin-1"))
        if scope["method"] == "GET" and self._is_token(query.get("token", [""])[0]):
            return self._remembered()
        if self._is_token(_bearer(headers)) or self._is_token(_cookie(headers)):
            return None
        return self._refuse("Open the address with the token that the server printed.", 401, path)

    def _is_token(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(), self._token)

    def _remembered(self) -> Response:
        from starlette.responses import RedirectResponse

        response = RedirectResponse("/", 303)
        response.set_cookie(TOKEN_COOKIE, self._token.decode(), httponly=True, samesite="strict")
        return response


def mount_static(app: Starlette, folder: Path) -> None:
    """Serve an application's own style sheets and scripts, and those that all of them share."""
    from starlette.staticfiles import StaticFiles

    shared = Path(__file__).parent / "static"
    app.mount(f"{STATIC}shared", StaticFiles(directory=shared), name="shared")
    app.mount(STATIC.rstrip("/"), StaticFiles(directory=folder), name="static")


_RAW_HEADERS = [(k.lower().encode(), v.encode()) for k, v in HEADERS.items()]


def _bearer(headers: dict[bytes, bytes]) -> str:
    kind, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def _cookie(headers: dict[bytes, bytes]) -> str:
    jar: SimpleCookie = SimpleCookie()
    try:
        jar.load(headers.get(b"cookie", b"").decode("latin-1"))
    except Exception:  # noqa: BLE001 - a broken cookie is no cookie
        return ""
    return jar[TOKEN_COOKIE].value if TOKEN_COOKIE in jar else ""


def listen(app: ASGIApp, host: str, port: int, *, grace: int = 30) -> tuple[Server, socket.socket]:
    """A server for an application and the socket it will listen on; nothing is served yet.

    Args:
        app: the application.
        host: the address to listen at.
        port: the port; 0 takes a free one (ask the socket which).
        grace: seconds that requests under way get when the server is stopped.

    Raises:
        InputError: the address is in use or not this machine's.
    """
    import uvicorn

    config = uvicorn.Config(
        app,
        host,
        port,
        log_level="warning",
        access_log=False,
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=grace,
    )
    try:
        listening = config.bind_socket()
    except (OSError, SystemExit):
        raise InputError(
            f"{host}:{port} cannot be listened at; choose another --port, or stop what uses it."
        ) from None
    return uvicorn.Server(config), listening
