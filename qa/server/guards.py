"""What no request gets past: the host that it names, where it comes from, how its body comes."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qa.server.problems import Forbidden, TooLarge, TooSlow, WrongHost, reply_to

SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
SLOWEST = 64 * 1024  # bytes a second
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class HeadAsGet:
    """Answers HEAD as it would GET; uvicorn leaves the body out. Monitors ask so.

    A reply that comes in pieces ends at the first: a stream may go on for long.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.body" and message.get("more_body"):
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                raise _HeadIsSent
            await send(message)

        with suppress(_HeadIsSent):
            await self.app({**scope, "method": "GET"}, receive, send_head)


class _HeadIsSent(Exception):
    """Ends what writes a reply of which nobody wants the rest."""


class HostGuard:
    """Answers only to names that are ours, against DNS rebinding: a page of another site whose
    name leads to this machine. A literal address is not a name that could be led elsewhere."""

    def __init__(self, app: ASGIApp, names: Collection[str]) -> None:
        self.app = app
        self._names = {"localhost", *(name.lower() for name in names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._is_ours(Headers(scope=scope).get("host", "")):
            exc = WrongHost("add the name to the setting serve_names, if it is one of this server")
            await reply_to(exc, Request(scope))(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _is_ours(self, host: str) -> bool:
        name = _hostname(f"//{host}")
        return name in self._names or _is_address(name)


class OriginGuard:
    """Lets no other site's page change anything (CSRF): browsers say where a request comes from.

    A page of one of `names` is ours too: a proxy may have put another Host in the place of the
    name. `Sec-Fetch-Site: same-origin` alone does not say so: behind such a proxy, a name of
    another site that leads to this machine has it as well.
    """

    def __init__(self, app: ASGIApp, names: Collection[str]) -> None:
        self.app = app
        self._names = {name.lower() for name in names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in SAFE_METHODS:
            headers = Headers(scope=scope)
            if not self._is_ours(headers):
                exc = Forbidden("this request comes from a page of another site")
                await reply_to(exc, Request(scope))(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _is_ours(self, headers: Headers) -> bool:
        site = headers.get("sec-fetch-site")
        if site is not None and site not in ("same-origin", "none"):
            return False
        origin = headers.get("origin")
        if origin is None or _hostname(origin) in self._names:
            return True
        return origin.lower().partition("://")[2] == headers.get("host", "").lower()


def _hostname(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class BodyGuard:
    """Bounds the size of a body and the time that it takes to come.

    `limit_of(scope)` is the size in bytes. A body may take `timeout` seconds, and one more for
    each 64 KB of it. Whoever waits for it then raises TooLarge or TooSlow.
    """

    def __init__(self, app: ASGIApp, *, limit_of: Callable[[Scope], int], timeout: float) -> None:
        self.app = app
        self._limit_of, self._timeout = limit_of, timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if "transfer-encoding" in headers and "content-length" in headers:
            await reply_to(_doubtful(), Request(scope))(scope, receive, send)
            return
        limit = self._limit_of(scope)
        announced = headers.get("content-length", "0")
        if announced.isdigit() and int(announced) > limit:
            await reply_to(_too_large(limit), Request(scope))(scope, receive, send)
            return
        body = _Body(receive, limit, self._timeout)
        await self.app(scope, body.receive, send)


class _Body:
    def __init__(self, receive: Receive, limit: int, timeout: float) -> None:
        self._receive, self._limit, self._timeout = receive, limit, timeout
        self._started: float | None = None  # when it was first waited for
        self._size = 0
        self._complete = False

    async def receive(self) -> Message:
        if self._complete:  # what comes now is that the client leaves, in its own time
            return await self._receive()
        self._started = self._started or time.monotonic()
        until = self._started + self._timeout + self._size / SLOWEST
        try:
            async with asyncio.timeout(until - time.monotonic()):
                message = await self._receive()
        except TimeoutError:
            raise TooSlow("the body did not come in time") from None
        if message["type"] == "http.request":
            self._size += len(message.get("body", b""))
            self._complete = not message.get("more_body", False)
            if self._size > self._limit:
                raise _too_large(self._limit)
        return message


def _doubtful() -> HTTPException:
    """A proxy and this server may differ in where such a request ends (request smuggling)."""
    detail = "the request says in two ways how long it is"
    return HTTPException(400, detail, {"Connection": "close"})


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body has more than {limit:,} bytes")
