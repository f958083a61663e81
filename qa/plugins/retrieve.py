"""`retrieve`: the passages that the answer may rest on."""

from __future__ import annotations

from dataclasses import replace

from qa.traced import search
from qa.turn import Handler, Plugin, Turn
from retrieval.index import Index


def retrieve(index: Index, *, k: int) -> Plugin:
    """A plugin that fills `turn.hits` (the `k` best passages) and `turn.evidence`."""

    def plugin(turn: Turn, call_next: Handler) -> Turn:
        found = search(index, turn.query or turn.question, k, turn.filters)
        if turn.on_hits:
            turn.on_hits(found.hits)
        timings = {**turn.timings, **found.timings}
        return call_next(replace(turn, hits=found.hits, evidence=found.evidence, timings=timings))

    return plugin
