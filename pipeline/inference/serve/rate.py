"""How often one client may ask."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter
from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


class RateLimit:
    """ASGI middleware: at most so many POST requests a minute from one address."""

    def __init__(self, app: ASGIApp, *, per_minute: int) -> None:
        """Limit what reaches `app`."""
        self._app = app
        self._limit = RateLimitItemPerMinute(per_minute)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 429 to who asks too often, or let the application answer."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        client = scope["client"][0] if scope["client"] else ""
        if await self._limiter.hit(self._limit, client):
            await self._app(scope, receive, send)
            return
        window = await self._limiter.get_window_stats(self._limit, client)
        wait = max(1, math.ceil(window.reset_time - time.time()))
        words = f"At most {self._limit.amount} requests a minute; come again in {wait} s."
        await JSONResponse({"detail": words}, 429, {"Retry-After": str(wait)})(scope, receive, send)
