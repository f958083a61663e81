"""A list of plugins becomes one callable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter

from qa.models import ChatModel
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
        return replace(
            turn,
            text=reply.text,
            usage=reply.usage,
            cost=reply.cost,
            model=reply.model or model.name,
            notes=(*turn.notes, *reply.notes),
            timings=timings,
        )

    return handler


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


def _around(plugin: Plugin, call_next: Handler) -> Handler:
    def handler(turn: Turn) -> Turn:
        return plugin(turn, call_next)

    return handler
