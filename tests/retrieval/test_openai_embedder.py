from __future__ import annotations

import json
import traceback
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import numpy as np
import pytest

from ingest.errors import BadRequest, KbqaError, NotAuthorised, RateLimited, TimedOut, Unreachable
from retrieval.embedding import Embedder
from retrieval.openai_embedder import OpenAIEmbedder
from tests.scripted_server import Behaviour, ScriptedServer, hang, status, text, vector, well

KEY = "sk-embedder-0123456789"


@contextmanager
def at(server: ScriptedServer, **options: Any) -> Iterator[OpenAIEmbedder]:
    with closing(OpenAIEmbedder("m", base_url=server.base_url, api_key=KEY, **options)) as embedder:
        yield embedder


def expected(texts: list[str], dimension: int = 8) -> Any:
    rows = np.array([vector(text, dimension) for text in texts], dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_is_an_embedder() -> None:
    with ScriptedServer() as server, at(server) as embedder:
        assert isinstance(embedder, Embedder)
        assert (embedder.name, embedder.max_tokens) == ("openai:m", 512)
        assert embedder.known_share("塔") == 1.0


def test_rows_have_length_1_and_the_order_of_the_texts() -> None:
    texts = [f"text {n}" for n in range(7)]
    with ScriptedServer() as server, at(server, batch_size=3) as embedder:
        vectors = embedder.embed(texts)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, expected(texts), rtol=1e-6)
    assert [len(r.body["input"]) for r in server.requests] == [3, 3, 1]
    assert server.requests[0].body["encoding_format"] == "float"


def test_a_query_is_one_vector() -> None:
    with ScriptedServer() as server, at(server) as embedder:
        query = embedder.embed_query("where?")
    assert query.shape == (8,)
    np.testing.assert_allclose(query, expected(["where?"])[0], rtol=1e-6)


def test_no_texts_give_no_rows() -> None:
    with ScriptedServer() as server, at(server, dimension=5) as embedder:
        assert embedder.embed([]).shape == (0, 5)
    assert not server.requests


def test_the_dimension_is_asked_for_once() -> None:
    with ScriptedServer(dimension=6) as server, at(server) as embedder:
        assert embedder.dimension == embedder.dimension == 6
        assert embedder.embed([]).shape == (0, 6)
    assert len(server.requests) == 1


def test_the_dimension_is_learnt_from_the_first_reply() -> None:
    with ScriptedServer(dimension=6) as server, at(server) as embedder:
        embedder.embed(["a"])
        assert embedder.dimension == 6
    assert len(server.requests) == 1


def test_another_dimension_is_told() -> None:
    with (
        ScriptedServer() as server,
        at(server, dimension=5) as embedder,
        pytest.raises(BadRequest, match="8 numbers instead of 5"),
    ):
        embedder.embed(["a"])


def test_blank_broken_and_long_texts_are_sent_so_that_servers_take_them() -> None:
    with ScriptedServer() as server, at(server) as embedder:
        embedder.embed(["", " \n", "a\ud800b", "塔" * 600, "word " * 600, "x" * 100_000])
    blank, spaces, broken, cjk, words, letters = server.requests[0].body["input"]
    assert (blank, spaces, broken) == (".", ".", "a?b")
    assert (cjk, words) == ("塔" * 512, "word " * 512)
    assert len(letters) == 2048


@pytest.mark.parametrize("value", [KEY, ""])
def test_a_key_is_sent(value: str) -> None:
    with ScriptedServer() as server:
        embedder = OpenAIEmbedder("m", base_url=server.base_url, api_key=value)
        embedder.embed_query("a")
        embedder.close()
    assert server.requests[0].headers["authorization"] == f"Bearer {value or 'none'}"


def test_token_starts_are_an_estimate_that_covers_the_text() -> None:
    embedder = OpenAIEmbedder("m", base_url="http://127.0.0.1:9/v1", api_key="")
    assert embedder.token_starts("The capital, 北京。") == [0, 4, 8, 11, 13, 14, 15]
    assert embedder.token_starts("café naïve42") == [0, 5, 9]
    assert embedder.token_starts("𠀀😀 ") == [0, 1]
    assert embedder.token_starts(" \n") == embedder.token_starts("") == []
    embedder.close()


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        (status(401, f"bad {KEY}"), NotAuthorised),
        (status(404), BadRequest),
        (status(400, f"input too long\nfor {KEY}"), BadRequest),
        (status(429, retry_after="1000"), RateLimited),
        (status(500, x_should_retry="false"), Unreachable),
        (text("{half"), Unreachable),
        (text("<html>", media_type="text/html"), Unreachable),
        (text('{"data": []}'), Unreachable),
        (text('{"data": null}'), Unreachable),
        (text('{"data": [{"index": 0, "embedding": []}]}'), Unreachable),
        (text('{"data": [{"index": 0, "embedding": [null, 1]}]}'), Unreachable),
        (text('{"data": [{"index": 4, "embedding": [1.0]}]}'), Unreachable),
        (text('{"data": [{"index": 0, "embedding": [1e300]}]}'), Unreachable),
        (text("[" * 100_000), Unreachable),
        (text(json.dumps({"data": [{"index": 0, "embedding": "AAAA"}]})), Unreachable),
    ],
)
def test_maps_errors_to_one_line_without_the_key(
    behaviour: Behaviour, kind: type[KbqaError]
) -> None:
    with (
        ScriptedServer(then=behaviour) as server,
        at(server) as embedder,
        pytest.raises(KbqaError) as caught,
    ):
        embedder.embed(["a"])
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)
    assert KEY not in "".join(traceback.format_exception(caught.value))


def test_a_hanging_server_ends_in_time_out() -> None:
    with (
        ScriptedServer(then=hang) as server,
        at(server, timeout=0.3) as embedder,
        pytest.raises(TimedOut),
    ):
        embedder.embed(["a"])


def test_tries_again() -> None:
    bad = status(429, retry_after="0.01")
    with ScriptedServer(script=[bad, well]) as server, at(server) as embedder:
        assert embedder.embed(["a"]).shape == (1, 8)
    assert len(server.requests) == 2


def test_an_endpoint_that_is_not_there_is_told() -> None:
    with ScriptedServer() as server:
        url = server.base_url
    embedder = OpenAIEmbedder("m", base_url=url, api_key="", retries=0)
    with pytest.raises(Unreachable, match="nothing answers"):
        embedder.embed(["a"])
    embedder.close()
