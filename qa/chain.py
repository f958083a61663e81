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
        return replace(turn, text=reply.text, usage=reply.usage, model=model.name, timings=timings)

    return handler


def _around(plugin: Plugin, call_next: Handler) -> Handler:
    def handler(turn: Turn) -> Turn:
        return plugin(turn, call_next)

    return handler
