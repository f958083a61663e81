"""Connections that say nothing, or do not come to the point, are closed: uvicorn lets them be."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


def closing_late_heads(timeout: float) -> type[H11Protocol]:
    """HTTP/1.1 as uvicorn speaks it, on connections that close where the head of a request has
    not come after `timeout` seconds: from the start, or from the first bytes of a later one.

    (Between two requests uvicorn's own, shorter limit counts; for bodies see `guards.BodyGuard`.)
    """

    class Protocol(H11Protocol):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self._late: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._watch()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch()

        def connection_lost(self, exc: Exception | None) -> None:
            self._watch(over=True)
            super().connection_lost(exc)

        def _watch(self, *, over: bool = False) -> None:
            awaited = self.conn.their_state is h11.IDLE and not over
            if awaited and self._late is None:
                self._late = self.loop.call_later(timeout, self.transport.close)
            elif not awaited and self._late is not None:
                self._late.cancel()
                self._late = None

    return Protocol
