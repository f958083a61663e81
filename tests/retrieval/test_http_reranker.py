from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from ingest.errors import (
    BadRequest,
    KbqaError,
    NotAuthorised,
    NotConfigured,
    RateLimited,
    TimedOut,
    Unreachable,
)
from retrieval.http_reranker import HttpReranker
from retrieval.reranking import Reranker, open_reranker
from tests.contracts.reranker_contract import RerankerContract
from tests.scripted_server import Exchange, ScriptedServer

KEY = "sk-secret-rerank"


def judged(exchange: Exchange) -> None:
    """Both forms: a passage counts the more, the shorter it is; rows come in no order."""
    body: Any = exchange.request.body
    texts = body.get("documents") or body["texts"]
    rows = [(index, 1 / (1 + len(text))) for index, text in enumerate(texts)][::-1]
    if "documents" in body:
        reply: Any = {"results": [{"index": i, "relevance_score": s} for i, s in rows]}
    else:
        reply = [{"index": i, "score": s} for i, s in rows]
    exchange.send(200, json.dumps(reply))


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(then=judged) as running:
        yield running


class TestCohereForm(RerankerContract):
    @pytest.fixture
    def subject(self, server: ScriptedServer) -> Iterator[Reranker]:
        reranker = open_reranker("http:m", url=f"{server.base_url}/rerank", api_key=KEY)
        yield reranker
        reranker.close()


class TestTextEmbeddingsInference(RerankerContract):
    @pytest.fixture
    def subject(self, server: ScriptedServer) -> Iterator[Reranker]:
        reranker = open_reranker("tei", url=f"{server.base_url}/rerank")
        yield reranker
        reranker.close()


def test_what_is_sent(server: ScriptedServer) -> None:
    reranker = HttpReranker("m", url=f"{server.base_url}/rerank", api_key=KEY)
    reranker.scores("why", ["a", "b"])
    reranker.close()
    (request,) = server.requests
    assert request.path == "/v1/rerank"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.body == {"model": "m", "query": "why", "documents": ["a", "b"], "top_n": 2}


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, BadRequest),
        (401, NotAuthorised),
        (404, BadRequest),
        (429, RateLimited),
        (500, Unreachable),
        (504, TimedOut),
    ],
)
def test_a_status_becomes_an_error_without_the_key(status: int, error: type[KbqaError]) -> None:
    def fail(exchange: Exchange) -> None:
        exchange.send(status, json.dumps({"message": f"no, {KEY}"}))

    with ScriptedServer(then=fail) as server:
        reranker = HttpReranker("m", url=f"{server.base_url}/rerank", api_key=KEY)
        with pytest.raises(error) as caught:
            reranker.scores("why", ["a"])
        reranker.close()
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('{"error": {"message": "too long", "type": "x"}}', "(400: too long)"),
        ('{"detail": "no such field"}', "(400: no such field)"),
        ('{"code": 7}', "(400: {'code': 7})"),
        ("[" * 100_000, "(400: [[["),
    ],
)
def test_what_a_server_says_of_its_failure_is_told(body: str, said: str) -> None:
    with ScriptedServer(then=lambda exchange: exchange.send(400, body)) as server:
        reranker = HttpReranker("m", url=server.base_url)
        with pytest.raises(BadRequest) as caught:
            reranker.scores("why", ["a"])
        reranker.close()
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "reply",
    [
        *("", "no", "{}", "[]", '{"results": [{"index": 0}]}', '[{"index": 0, "score": NaN}]'),
        "[" * 100_000,
    ],
)
def test_another_kind_of_reply_is_named(reply: str) -> None:
    with ScriptedServer(then=lambda exchange: exchange.send(200, reply)) as server:
        reranker = HttpReranker("m", url=server.base_url)
        with pytest.raises(Unreachable, match="does not reply as a rerank endpoint"):
            reranker.scores("why", ["a"])
        reranker.close()


def test_nobody_there() -> None:
    with ScriptedServer() as server:
        url = server.base_url
    reranker = HttpReranker("m", url=url)
    with pytest.raises(Unreachable, match="nothing answers"):
        reranker.scores("why", ["a"])
    reranker.close()


def test_too_slow() -> None:
    def sleep(exchange: Exchange) -> None:
        exchange.server.stopping.wait(5)

    with ScriptedServer(then=sleep) as server:
        reranker = HttpReranker("m", url=server.base_url, timeout=0.1)
        with pytest.raises(TimedOut):
            reranker.scores("why", ["a"])
        reranker.close()
        server.stopping.set()


def test_a_url_is_needed_and_must_be_one() -> None:
    with pytest.raises(NotConfigured, match="reranker_url"):
        open_reranker("http:m")
    with pytest.raises(BadRequest, match="is no address"):
        open_reranker("http:m", url="nowhere")
