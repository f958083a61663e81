"""What a client makes of replies, those too of what is no kbqa server."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI, Response

from ingest.errors import Unreachable
from qa.client import AsyncRemoteKnowledgeBase, RemoteKnowledgeBase
from tests.qa.command_line import Kbqa, is_one_clear_line
from tests.qa.server.serving import Served, running

pytestmark = pytest.mark.integration

QUESTION = "How many days of annual leave do I have?"


@contextmanager
def saying(stream: bytes) -> Iterator[str]:
    """A server that answers every question with these bytes; its address."""
    app = FastAPI()

    @app.post("/v1/knowledge-bases/library/ask")
    def ask() -> Response:
        return Response(stream, media_type="text/event-stream")

    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        running(uvicorn.Config(app, log_config=None), listener) as url,
    ):
        yield url


def asked_of(url: str, kind: type[RemoteKnowledgeBase | AsyncRemoteKnowledgeBase]) -> list[str]:
    """The tokens that a client of this kind is told of."""
    tokens: list[str] = []

    async def ask_and_wait() -> None:
        async with AsyncRemoteKnowledgeBase(url, "library") as remote:
            await remote.ask(QUESTION, tokens.append)

    if kind is AsyncRemoteKnowledgeBase:
        asyncio.run(ask_and_wait())
    else:
        with RemoteKnowledgeBase(url, "library") as remote:
            remote.ask(QUESTION, tokens.append)
    return tokens


@pytest.mark.parametrize("kind", [RemoteKnowledgeBase, AsyncRemoteKnowledgeBase])
def test_lines_end_where_server_sent_events_say(
    served: Served, kind: type[RemoteKnowledgeBase]
) -> None:
    text = "one\u2028two\u2029three\u0085four 年假"
    done = served.http.post("/v1/knowledge-bases/library/ask", json={"question": QUESTION}).text
    token = json.dumps({"text": text}, ensure_ascii=False)
    stream = f": a comment\r\n\r\nevent: token\r\ndata: {token}\n\nevent: done\ndata: {done}\n\n"
    with saying(stream.encode()) as url:
        assert asked_of(url, kind) == [text]


@pytest.mark.parametrize("kind", [RemoteKnowledgeBase, AsyncRemoteKnowledgeBase])
@pytest.mark.parametrize(
    "stream",
    [b"event: token\ndata: {\n\n", b'event: token\ndata: "\xff"\n\n', b"<html></html>\n", b""],
)
def test_a_broken_stream_is_told(stream: bytes, kind: type[RemoteKnowledgeBase]) -> None:
    with saying(stream) as url, pytest.raises(Unreachable, match="no kbqa server"):
        asked_of(url, kind)


@contextmanager
def replying(status: int, media_type: str, body: str) -> Iterator[str]:
    """A server that answers every request with the same; its address."""
    app = FastAPI()

    @app.api_route("/{path:path}", methods=["GET", "POST", "PUT", "DELETE"])
    def any_(path: str) -> Response:
        return Response(body, status, media_type=media_type)

    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        running(uvicorn.Config(app, log_config=None), listener) as url,
    ):
        yield url


@pytest.mark.parametrize(
    ("status", "media_type", "body"),
    [
        (200, "text/html", "<html>sign in</html>"),
        (502, "text/html", "<html>bad gateway</html>"),
        (302, "text/html", ""),
        (204, "text/html", ""),
        (200, "application/json", "[]"),
        (200, "application/json", "null"),
        (200, "application/json", '"text"'),
        (200, "application/json", "[" * 100_000),
        (200, "application/json", json.dumps({"hits": 1, "documents": 1, "next": None, "a": 1})),
        (200, "application/json", json.dumps({"hits": [[]], "documents": [[]], "explanation": []})),
        (401, "application/json", json.dumps({"detail": "log in"})),
        (500, "application/json", json.dumps({"type": "urn:kbqa:problem:x", "status": "no"})),
        (200, "text/event-stream", "event: token\ndata: []\n\n"),
        (200, "text/event-stream", "event: token\ndata: {}\n\n"),
        (200, "text/event-stream", "event: done\ndata: 7\n\n"),
    ],
)
def test_what_is_no_kbqa_server_is_told_in_a_line(
    kbqa: Kbqa, tmp_path: Path, status: int, media_type: str, body: str
) -> None:
    (tmp_path / "a.md").write_text("The gate closes at nine.", "utf-8")
    with replying(status, media_type, body) as url:
        for command in (
            ("search", "x"),
            ("ask", "x", "--stream"),
            ("status",),
            ("documents",),
            ("show", "a.md"),
            ("doctor",),
            ("retry",),
            ("remove", "a.md"),
        ):
            is_one_clear_line(kbqa("--url", url, *command), 5)
        assert kbqa("--url", url, "ingest", tmp_path / "a.md", "-q").code in (5, 8)
