from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import (
    BadRequest,
    KbqaError,
    NotAuthorised,
    RateLimited,
    TimedOut,
    Unreachable,
)
from qa.model_wrappers import Fallback, Limited, Priced, Retrying
from qa.models import ChatModel, ModelOptions, Price, Reply, open_model
from qa.turn import Message
from tests.contracts.chat_model_contract import PROMPT, ignore
from tests.scripted_server import ScriptedServer, cut_stream, no_usage, status

BUSY = Unreachable("busy", transient=True)


class Scripted:
    """A model that raises or says what stands next in its script; the last entry for ever."""

    def __init__(self, *script: KbqaError | str, name: str = "fake:m", tokens: int = 0) -> None:
        self.name = name
        self.asked = 0
        self._script = script
        self._tokens = tokens

    def generate(
        self, messages: Sequence[Message], *, on_token: Callable[[str], None] | None = None
    ) -> Reply:
        entry = self._script[min(self.asked, len(self._script) - 1)]
        self.asked += 1
        for _ in range(self._tokens):
            if on_token:
                on_token("a")
        if isinstance(entry, KbqaError):
            raise entry
        if on_token:
            on_token(entry)
        return Reply(entry, {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500})


def retrying(model: ChatModel, **options: Any) -> tuple[Retrying, list[float]]:
    waits = list[float]()
    return Retrying(model, sleep=waits.append, **options), waits


def test_every_wrapper_is_a_chat_model_named_as_its_model() -> None:
    model = Scripted("Paris")
    wrappers = [
        Retrying(model),
        Limited(model, limit=1, timeout=1),
        Priced(model),
        Fallback([model]),
    ]
    for wrapper in wrappers:
        assert isinstance(wrapper, ChatModel)
        assert wrapper.name == "fake:m"
        tokens = list[str]()
        assert wrapper.generate(PROMPT, on_token=tokens.append).text == "".join(tokens) == "Paris"


def test_retries_what_may_pass_with_growing_waits() -> None:
    model, waits = retrying(Scripted(BUSY, RateLimited("slow"), "Paris"), first_wait=1.0)
    assert model.generate(PROMPT).text == "Paris"
    assert 0.75 <= waits[0] <= 1
    assert 1.5 <= waits[1] <= 2


def test_gives_up_with_the_last_error() -> None:
    scripted = Scripted(BUSY, BUSY, RateLimited("third"), "never")
    model, waits = retrying(scripted)
    with pytest.raises(RateLimited, match="third"):
        model.generate(PROMPT)
    assert (scripted.asked, len(waits)) == (3, 2)


@pytest.mark.parametrize(
    "error", [BadRequest("a"), NotAuthorised("b"), TimedOut("c"), Unreachable("malformed")]
)
def test_does_not_retry_what_will_not_pass(error: KbqaError) -> None:
    scripted = Scripted(error, "Paris")
    model, _ = retrying(scripted)
    with pytest.raises(type(error)):
        model.generate(PROMPT)
    assert scripted.asked == 1


def test_waits_as_long_as_the_server_says() -> None:
    model, waits = retrying(Scripted(RateLimited("slow", retry_after=7.0), "Paris"))
    assert model.generate(PROMPT).text == "Paris"
    assert waits == [7.0]


def test_does_not_begin_a_wait_that_is_too_long() -> None:
    scripted = Scripted(RateLimited("slow", retry_after=700.0), "Paris")
    model, waits = retrying(scripted, longest_wait=30.0)
    with pytest.raises(RateLimited):
        model.generate(PROMPT)
    assert waits == []


@pytest.mark.parametrize("wrap", [lambda m: retrying(m)[0], lambda m: Fallback([m, m])])
def test_nothing_starts_over_once_a_token_is_out(wrap: Callable[[ChatModel], ChatModel]) -> None:
    scripted, tokens = Scripted(BUSY, "Paris", tokens=1), list[str]()
    with pytest.raises(Unreachable):
        wrap(scripted).generate(PROMPT, on_token=tokens.append)
    assert tokens == ["a"]
    assert scripted.asked == 1


@given(
    st.lists(
        st.sampled_from(
            [BUSY, RateLimited("w"), TimedOut("x"), NotAuthorised("y"), BadRequest("z"), "ok"]
        )
    )
)
def test_fallback_asks_in_order_until_one_answers(script: list[KbqaError | str]) -> None:
    models = [Scripted(entry, name=f"fake:{n}") for n, entry in enumerate([*script, "last"])]
    reply = Fallback(models).generate(PROMPT)
    first = next(n for n, entry in enumerate([*script, "last"]) if isinstance(entry, str))
    assert reply.model == f"fake:{first}"
    assert len(reply.notes) == first
    assert [model.asked for model in models] == [1] * (first + 1) + [0] * (len(script) - first)


def test_what_one_model_refuses_another_is_asked() -> None:
    reply = Fallback([Scripted(BadRequest("no such model")), Scripted("Paris")]).generate(PROMPT)
    assert (reply.text, reply.notes) == ("Paris", ("no such model",))
    with pytest.raises(BadRequest, match="too long"):
        Fallback([Scripted(BUSY), Scripted(BadRequest("too long"))]).generate(PROMPT)


def test_the_last_models_error_is_raised() -> None:
    with pytest.raises(TimedOut, match="second"):
        Fallback([Scripted(BUSY), Scripted(TimedOut("second"))]).generate(PROMPT)


def test_limits_how_many_run_at_a_time() -> None:
    running, most = 0, 0
    lock, enough = threading.Lock(), threading.Barrier(2, timeout=5)

    class Counting(Scripted):
        def generate(
            self, messages: Sequence[Message], *, on_token: Callable[[str], None] | None = None
        ) -> Reply:
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            enough.wait()  # passes only when two are inside
            with lock:
                running -= 1
            return Reply("Paris")

    model = Limited(Counting("Paris"), limit=2, timeout=5)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: model.generate(PROMPT), range(6)))
    assert most == 2


def test_waiting_for_a_slot_ends() -> None:
    inside, leave = threading.Event(), threading.Event()

    def hold(token: str) -> None:
        inside.set()
        leave.wait(5)

    model = Limited(Scripted("Paris"), limit=1, timeout=0.05)
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(model.generate, PROMPT, on_token=hold)
        inside.wait(5)
        with pytest.raises(TimedOut, match="busy with 1 other request"):
            model.generate(PROMPT)
        leave.set()
        assert held.result().text == "Paris"
    assert model.generate(PROMPT).text == "Paris"


def test_a_failed_request_gives_its_slot_back() -> None:
    model = Limited(Scripted(BUSY, "Paris"), limit=1, timeout=0.05)
    with pytest.raises(Unreachable):
        model.generate(PROMPT)
    assert model.generate(PROMPT).text == "Paris"


def test_tells_the_cost() -> None:
    reply = Priced(Scripted("Paris"), Price(input=2.0, output=10.0)).generate(PROMPT)
    assert reply.cost == pytest.approx((1000 * 2 + 500 * 10) / 1e6)
    assert Priced(Scripted("Paris")).generate(PROMPT).cost is None


def test_estimates_what_a_server_does_not_count() -> None:
    with ScriptedServer(then=no_usage) as server:
        options = ModelOptions(base_url=server.base_url, prices={"openai:m": Price(1.0, 1.0)})
        reply = open_model("openai:m", options, environ={}).generate(PROMPT)
    assert reply.usage["estimated"] == 1
    assert reply.usage["prompt_tokens"] > reply.usage["completion_tokens"] > 0
    assert reply.cost == pytest.approx(reply.usage["total_tokens"] / 1e6)


def test_a_list_of_specs_is_a_fallback_chain_over_http() -> None:
    with ScriptedServer(script=[status(401)]) as server:
        options = ModelOptions(base_url=server.base_url)
        model = open_model(["deepseek:a", "ollama:b"], options, environ={})
        reply = model.generate(PROMPT, on_token=ignore)
    assert (reply.text, reply.model) == ("Paris [1]", "ollama:b")
    assert "deepseek:a" in reply.notes[0]
    assert [request.body["model"] for request in server.requests] == ["a", "b"]


def test_a_stream_cut_in_the_middle_is_not_repeated() -> None:
    with ScriptedServer(then=cut_stream) as server:
        options = ModelOptions(base_url=server.base_url)
        model = open_model(["openai:a", "ollama:b"], options, environ={})
        with pytest.raises(Unreachable):
            model.generate(PROMPT, on_token=ignore)
    assert len(server.requests) == 1


def test_an_empty_list_is_told() -> None:
    with pytest.raises(BadRequest, match="empty"):
        open_model([], environ={})
