"""`trace`: how long the whole turn took."""

from __future__ import annotations

import time
from dataclasses import replace

from qa.turn import Handler, Turn


def trace(turn: Turn, call_next: Handler) -> Turn:
    """Add `timings["total"]` in seconds, everything inside this layer included."""
    started = time.perf_counter()
    turn = call_next(turn)
    return replace(turn, timings={**turn.timings, "total": time.perf_counter() - started})
