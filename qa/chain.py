"""A list of plugins becomes one callable."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from time import perf_counter
from typing import NoReturn

from ingest.errors import BadRequest
from qa.models import ChatModel, Reply
from qa.turn import Handler, Plugin, Turn


def build_chain(plugins: Sequence[Plugin], call_model: Handler) -> Handler:
    """The plugins around `call_model`, the first one outermost."""
    handler = call_model
    for plugin in reversed(plugins):
        handler = _around(plugin, handler)
    return handler


def call_model(model: ChatModel) -> Handler:
    """The innermost handler: `turn.prompt` in, `turn.text` out, streamed to `turn.on_token`."""

    def handler(turn: Turn) -> Turn:
        started = perf_counter()
        reply = model.generate(turn.prompt, on_token=turn.on_token)
        timings = {**turn.timings, "model": perf_counter() - started}
        turn = with_costs(turn, reply)
        return replace(turn, text=reply.text, model=reply.model or model.name, timings=timings)

    return handler


def with_costs(turn: Turn, reply: Reply) -> Turn:
    """The turn with what a reply has cost besides, and what went wrong on its way."""
    cost = (
        None if turn.cost is None and reply.cost is None else (turn.cost or 0) + (reply.cost or 0)
    )
    notes = (*turn.notes, *reply.notes)
    return replace(turn, usage=_sum(turn.usage, reply.usage), cost=cost, notes=notes)


def _sum(usage: Mapping[str, int], more: Mapping[str, int]) -> Mapping[str, int]:
    counts = {name: usage.get(name, 0) + more.get(name, 0) for name in {**usage, **more}}
    return {**counts, "estimated": 1} if "estimated" in counts else counts


def fall_back(first: Handler, last: Handler, *, on: tuple[type[Exception], ...]) -> Handler:
    """`first`; when it raises one of `on` before a token has gone out, `last`, with a note."""

    def handler(turn: Turn) -> Turn:
        started = False

        def pass_on(token: str) -> None:
            nonlocal started
            started = True
            if turn.on_token:
                turn.on_token(token)

        try:
            return first(replace(turn, on_token=pass_on if turn.on_token else None))
        except on as exc:
            if started:
                raise
            return last(replace(turn, notes=(*turn.notes, str(exc))))

    return handler


def before_model(plugins: Sequence[Plugin], turn: Turn) -> Turn | None:
    """The turn as it comes out of `plugins`; None when they answer without the model."""

    def stop(turn: Turn) -> NoReturn:
        raise _Stopped(turn)

    try:
        build_chain(plugins, stop)(turn)
    except _Stopped as stopped:
        return stopped.turn
    return None


class _Stopped(BaseException):  # not for plugins that handle errors
    def __init__(self, turn: Turn) -> None:
        super().__init__()
        self.turn = turn


class Teller:
    """Hands tokens to the reader, and the text of an answer whose tokens no plugin let through."""

    def __init__(self, on_token: Callable[[str], None] | None) -> None:
        self._on_token = on_token
        self.on_token = self._tell if on_token else None
        self._told = False

    def _tell(self, token: str) -> None:
        self._told = True
        assert self._on_token is not None
        self._on_token(token)

    def tell_all(self, text: str) -> None:
        """The answer is finished."""
        if self._on_token and not self._told:
            self._on_token(text)


def _around(plugin: Plugin, call_next: Handler) -> Handler:
    def handler(turn: Turn) -> Turn:
        answered = plugin(turn, call_next)
        if not isinstance(answered, Turn):
            name = getattr(plugin, "__qualname__", type(plugin).__name__)
            kind = type(answered).__name__
            raise BadRequest(f"the plugin {name} returned a {kind}; it must return the turn")
        return answered

    return handler
