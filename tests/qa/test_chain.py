from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from qa.chain import build_chain, call_model
from qa.models import Reply
from qa.turn import Handler, Message, Plugin, Turn


def echo(turn: Turn) -> Turn:
    return replace(turn, text=f"model({turn.query})")


def layer(name: str, log: list[str]) -> Plugin:
    def plugin(turn: Turn, call_next: Handler) -> Turn:
        log.append(f"{name} in")
        turn = call_next(replace(turn, query=turn.query + name))
        log.append(f"{name} out")
        return replace(turn, text=f"{name}({turn.text})")

    return plugin


def test_no_plugins_leave_the_model() -> None:
    assert build_chain([], echo)(Turn("q", query="q")).text == "model(q)"


def test_the_first_plugin_is_outermost() -> None:
    log: list[str] = []
    turn = build_chain([layer("a", log), layer("b", log)], echo)(Turn("q"))
    assert log == ["a in", "b in", "b out", "a out"]
    assert turn.text == "a(b(model(ab)))"


def test_a_plugin_that_does_not_call_next_answers_itself() -> None:
    log: list[str] = []

    def from_cache(turn: Turn, call_next: Handler) -> Turn:
        return replace(turn, text="cached")

    turn = build_chain([layer("a", log), from_cache, layer("b", log)], echo)(Turn("q"))
    assert turn.text == "a(cached)"
    assert log == ["a in", "a out"]


def test_a_plugin_may_call_next_twice() -> None:
    def again(turn: Turn, call_next: Handler) -> Turn:
        return replace(turn, text=call_next(turn).text + call_next(turn).text)

    assert build_chain([again], echo)(Turn("q", query="q")).text == "model(q)model(q)"


class Parrot:
    """A `ChatModel` that repeats the last message."""

    name = "test:parrot"

    def generate(
        self, messages: Sequence[Message], *, on_token: Callable[[str], None] | None = None
    ) -> Reply:
        text = messages[-1].content
        for piece in text:
            if on_token:
                on_token(piece)
        return Reply(text, {"total_tokens": 3})


def test_the_model_gets_the_prompt_and_streams() -> None:
    tokens: list[str] = []
    prompt = (Message("system", "Cite."), Message("user", "Paris [1]"))
    turn = Turn("q", prompt=prompt, on_token=tokens.append, timings={"embed": 1.0})
    answered = call_model(Parrot())(turn)
    assert answered.text == "".join(tokens) == "Paris [1]"
    assert answered.model == "test:parrot"
    assert answered.usage == {"total_tokens": 3}
    assert set(answered.timings) == {"embed", "model"}
