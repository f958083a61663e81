"""Work in a thread whose pieces go out as they come, and that ends when the client has left.

A model cannot be stopped from outside; but it hands over every token, and the hand-over raises once
nobody waits for it. That closes the model's stream.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import anyio
from anyio.to_thread import run_sync
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.requests import ClientDisconnect, Request

THREADS = 256  # answers at a time; a thread that waits for a model costs little
PING = 15.0  # seconds of silence after which a sign of life is sent, for the proxies in between
EVENTS = "text/event-stream"
STREAM_HEADERS = {"X-Accel-Buffering": "no"}  # or nginx keeps the tokens to itself

T = TypeVar("T")
Emit = Callable[[str, Any], None]


class ClientLeft(ClientDisconnect):
    """Nobody waits for the answer any more."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Something to send before the work is done; of no event: a sign of life."""

    event: str = ""
    value: Any = None


@dataclass(frozen=True, slots=True)
class Done(Generic[T]):
    """The work is done."""

    value: T


class Threads:
    """Runs work in threads, so much at a time."""

    def __init__(self, most: int = THREADS) -> None:
        self._limiter = anyio.CapacityLimiter(most)

    async def value_of(self, request: Request, work: Callable[[Emit], T]) -> T:
        """What `work(emit)` returns; what it emits only shows whether anybody waits for it."""
        left = threading.Event()

        def emit(event: str, value: Any) -> None:
            if left.is_set():
                raise ClientLeft

        watch = asyncio.create_task(_note_leaving(request, left))
        try:
            return await run_sync(work, emit, limiter=self._limiter)
        finally:
            watch.cancel()

    async def pieces_of(self, work: Callable[[Emit], T]) -> AsyncIterator[Piece | Done[T]]:
        """What `work(emit)` emits, as it does, then what it returns. Raises what it raises.

        When the iteration ends early the next `emit` raises. The thread is waited for.
        """
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[Piece | Done[T] | Exception] = asyncio.Queue()
        left = threading.Event()

        def emit(event: str, value: Any) -> None:
            if left.is_set():
                raise ClientLeft
            loop.call_soon_threadsafe(queue.put_nowait, Piece(event, value))

        async def run() -> None:
            try:
                queue.put_nowait(Done(await run_sync(work, emit, limiter=self._limiter)))
            except Exception as exc:  # noqa: BLE001 - raised below, where it is waited for
                queue.put_nowait(exc)

        task = asyncio.create_task(run())
        try:
            while True:
                piece = await _next(queue)
                if isinstance(piece, Exception):
                    raise piece
                yield piece
                if isinstance(piece, Done):
                    return
        finally:
            left.set()
            with anyio.CancelScope(shield=True):
                await task


async def _next(queue: asyncio.Queue[T]) -> T | Piece:
    with contextlib.suppress(TimeoutError):
        return await asyncio.wait_for(queue.get(), PING)
    return Piece()


async def _note_leaving(request: Request, left: threading.Event) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    left.set()


def sse(event: str, value: Mapping[str, Any]) -> bytes:
    """A server-sent event; of no name if `event` is "".

    In ASCII: many clients end a line where Python's `splitlines` does, at U+2028 or U+0085 too.
    """
    return format_sse_event(event=event or None, data_str=json.dumps(value))


def sign_of_life() -> bytes:
    """A comment, which clients ignore."""
    return KEEPALIVE_COMMENT
