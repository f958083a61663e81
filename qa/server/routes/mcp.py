"""`/mcp`: the Model Context Protocol over streamable HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from fastapi import APIRouter, FastAPI, Request, Response
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from sse_starlette.sse import AppStatus
from starlette.types import Receive, Scope, Send

from qa.server.access import Caller, Reader
from qa.server.mcp_tools import Context, Source, mcp_server

router = APIRouter()


@asynccontextmanager
async def sessions(app: FastAPI) -> AsyncIterator[None]:
    """While the server runs. Each request stands alone, with its own key."""
    # else replies under way, which end by themselves, are cut off when the server is told to end
    AppStatus.enable_automatic_graceful_drain = False
    manager = StreamableHTTPSessionManager(mcp_server(_caller_of), stateless=True)
    app.state.mcp = manager
    async with manager.run():
        yield


@router.post("/mcp", include_in_schema=False)
async def streamable_http(request: Request, who: Reader) -> Response:
    """What the protocol's own library does, for whom `who` is.

    There is no GET, which would be a stream of messages that nobody asked for, nor a session that
    could be ended.
    """
    request.state.who = who
    return _Handled(request.app.state.mcp)


class _Handled(Response):
    """A reply that the session manager writes."""

    def __init__(self, manager: StreamableHTTPSessionManager) -> None:
        super().__init__()
        self._manager = manager

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._manager.handle_request(scope, receive, send)


def _caller_of(ctx: Context) -> Source:
    request = cast("Request", ctx.request)
    who: Caller = request.state.who
    return who
