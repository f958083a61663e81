from __future__ import annotations

import logging
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from ingest.errors import BadRequest, NotAuthorised, TimedOut, Unreachable
from qa.model_wrappers import Fallback, Priced
from qa.models import ChatModel, ModelOptions, open_model
from qa.openai_model import OpenAIChatModel
from retrieval.openai_errors import Endpoint
from tests.contracts.chat_model_contract import KEY, PROMPT, SHORT, ChatModelContract, ignore
from tests.scripted_server import (
    ScriptedServer,
    hang,
    refusing,
    saying,
    status,
    stop_early,
    stream_of,
    text,
    trickle,
)

pytestmark = pytest.mark.integration


def options(server: ScriptedServer, *, timeout: float) -> ModelOptions:
    return ModelOptions(base_url=server.base_url, timeout=timeout)


class TestOpenAIChatModel(ChatModelContract):
    def open_model(self, server: ScriptedServer, *, timeout: float = 5.0) -> ChatModel:
        environ = {"OPENAI_API_KEY": KEY}
        return open_model("openai:m", options(server, timeout=timeout), environ=environ)


class TestWrappers(ChatModelContract):
    """All that stands around a model lets the contract through."""

    def open_model(self, server: ScriptedServer, *, timeout: float = 5.0) -> ChatModel:
        limited = replace(options(server, timeout=timeout), concurrency=1)
        model = open_model("openai:m", limited, environ={"OPENAI_API_KEY": KEY})
        return Priced(Fallback([model]))


class TestLangChainChatModel(ChatModelContract):
    def open_model(self, server: ScriptedServer, *, timeout: float = 5.0) -> ChatModel:
        pytest.importorskip("langchain_openai")
        environ = {"OPENAI_API_KEY": KEY}
        return open_model("langchain:openai:m", options(server, timeout=timeout), environ=environ)


def at(
    server: ScriptedServer, *, timeout: float = 5.0, max_tokens: int | None = None
) -> OpenAIChatModel:
    endpoint = Endpoint("openai:m", server.base_url, KEY, "OPENAI_API_KEY", timeout=timeout)
    return OpenAIChatModel(endpoint, "m", max_tokens=max_tokens)


def test_sends_what_was_configured() -> None:
    with ScriptedServer() as server:
        at(server, max_tokens=7).generate(PROMPT)
    request = server.requests[0]
    assert (request.body["model"], request.body["max_tokens"]) == ("m", 7)
    assert request.body["temperature"] == 0
    assert request.headers["authorization"] == f"Bearer {KEY}"


def test_asks_for_usage_in_a_stream() -> None:
    with ScriptedServer() as server:
        assert at(server).generate(PROMPT, on_token=ignore).usage["total_tokens"] == 15


def test_no_variable_of_the_environment_gets_through(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ORG_ID", "PROJECT_ID", "ADMIN_KEY", "API_KEY"):
        monkeypatch.setenv(f"OPENAI_{name}", "from-outside")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Spy: from-outside")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/from-outside")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with ScriptedServer() as server:
        assert at(server).generate(PROMPT).text == "Paris [1]"
    assert "from-outside" not in str(server.requests[0])
    assert not {"openai-organization", "openai-project"} & set(server.requests[0].headers)


@pytest.mark.parametrize("argument", ["stream_options", "temperature"])
def test_leaves_out_what_a_server_refuses(argument: str) -> None:
    with ScriptedServer(then=refusing(argument)) as server:
        model = at(server)
        assert model.generate(PROMPT, on_token=ignore).text == "Paris [1]"
        assert model.generate(PROMPT, on_token=ignore).text == "Paris [1]"
    assert [argument in r.body for r in server.requests] == [True, False, False]


def test_leaves_out_stream_options_when_the_refusal_names_nothing() -> None:
    with ScriptedServer(then=refusing("stream_options", "bad request")) as server:
        assert at(server).generate(PROMPT, on_token=ignore).text == "Paris [1]"


def test_renames_max_tokens_where_the_server_says_so() -> None:
    message = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
    with ScriptedServer(then=refusing("max_tokens", message)) as server:
        assert at(server, max_tokens=7).generate(PROMPT).text == "Paris [1]"
    assert server.requests[1].body["max_completion_tokens"] == 7


def test_a_bad_request_is_not_repeated_for_ever() -> None:
    with (
        ScriptedServer(then=status(400, "temperature max_completion_tokens")) as server,
        pytest.raises(BadRequest, match="rejected the request"),
    ):
        at(server, max_tokens=7).generate(PROMPT, on_token=ignore)
    assert len(server.requests) == 4


def test_a_time_out_is_not_repeated() -> None:
    with ScriptedServer(then=hang) as server, pytest.raises(TimedOut, match=r"time-out 0\.3 s"):
        at(server, timeout=SHORT).generate(PROMPT)
    assert len(server.requests) == 1


def test_a_trickling_stream_ends() -> None:
    with ScriptedServer(then=trickle) as server, pytest.raises(TimedOut):
        at(server, timeout=SHORT).generate(PROMPT, on_token=ignore)


def test_a_long_retry_after_is_not_slept() -> None:
    date = "Fri, 31 Dec 2100 23:59:59 GMT"
    for wait in ("60", date):
        with (
            ScriptedServer(then=status(503, retry_after=wait)) as server,
            pytest.raises(Unreachable, match="503"),
        ):
            at(server, timeout=1.0).generate(PROMPT)
        assert len(server.requests) == 1


def test_a_stream_without_its_end_is_told() -> None:
    with ScriptedServer(then=stop_early) as server, pytest.raises(Unreachable, match="middle"):
        at(server).generate(PROMPT, on_token=ignore)


def test_an_error_within_a_stream_is_told() -> None:
    event = {"error": {"message": f"worker died, key {KEY}", "code": 502}}
    said = r"502: worker died, key \*\*\*"
    with ScriptedServer(then=stream_of(event)) as server, pytest.raises(Unreachable, match=said):
        at(server).generate(PROMPT, on_token=ignore)


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("body", ["null", "[]", '{"choices": 3}', '{"choices": [null]}', ""])
def test_replies_of_another_kind_are_told(body: str, streaming: bool) -> None:
    with ScriptedServer(then=text(body)) as server, pytest.raises(Unreachable):
        at(server).generate(PROMPT, on_token=ignore if streaming else None)


def test_events_of_another_kind_are_told() -> None:
    for event in ("{half", "null", '{"choices": [null]}', '{"choices": 3}'):
        with ScriptedServer(then=stream_of(event)) as server, pytest.raises(Unreachable):
            at(server).generate(PROMPT, on_token=ignore)


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("body", ["<html>Welcome</html>", '{"error": "unexpected endpoint"}'])
def test_a_base_url_of_something_else_is_told(body: str, streaming: bool) -> None:
    page = text(body, media_type="text/html" if body.startswith("<") else "application/json")
    with ScriptedServer(then=page) as server, pytest.raises(Unreachable, match="/v1"):
        at(server).generate(PROMPT, on_token=ignore if streaming else None)


def test_a_refused_key_is_told_by_its_variable() -> None:
    with (
        ScriptedServer(then=status(401, KEY)) as server,
        pytest.raises(NotAuthorised, match="check OPENAI_API_KEY"),
    ):
        at(server).generate(PROMPT)


def test_a_filtered_answer_is_told() -> None:
    filtered = saying("", finish="content_filter")
    with ScriptedServer(then=filtered) as server, pytest.raises(BadRequest, match="filter"):
        at(server).generate(PROMPT)


def test_a_local_server_that_is_not_there_is_told_with_its_hint() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://user:pass@127.0.0.1:{free.getsockname()[1]}/v1"
        model = open_model("ollama:qwen3", ModelOptions(base_url=url, attempts=1), environ={})
        with pytest.raises(Unreachable, match="ollama serve") as caught:
            model.generate(PROMPT)
    assert "refused" in str(caught.value)
    assert "pass" not in str(caught.value)


def test_the_key_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with ScriptedServer(script=[status(500, retry_after="0.01")]) as server:
        model = open_model(
            "openai:m", options(server, timeout=5.0), environ={"OPENAI_API_KEY": KEY}
        )
        model.generate(PROMPT, on_token=ignore)
    assert KEY not in caplog.text


def test_threads_share_a_model() -> None:
    with ScriptedServer(lambda messages: messages[-1]["content"]) as server:
        model = at(server)
        with ThreadPoolExecutor(4) as pool:
            replies = list(
                pool.map(lambda _: model.generate(PROMPT, on_token=ignore).text, range(8))
            )
    assert replies == [PROMPT[-1].content] * 8


def test_closes_twice() -> None:
    with ScriptedServer() as server:
        model = at(server)
        model.generate(PROMPT)
        model.close()
        model.close()
