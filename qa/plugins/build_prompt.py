"""`build_prompt`: numbered sources within a budget, the question, the history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files

from qa.language import language_of
from qa.tokens import estimate_tokens
from qa.turn import Handler, Message, Plugin, Turn
from retrieval.hits import Hit

HISTORY_MESSAGES = 6  # the last three exchanges


def build_prompt(*, budget: int) -> Plugin:
    """A plugin that fills `turn.prompt`. Hits beyond `budget` tokens are left out of the turn.

    The number of a source is its place in `turn.hits`, from 1. The best hit is always there.
    """

    def plugin(turn: Turn, call_next: Handler) -> Turn:
        hits = _within(turn.hits, budget)
        language = language_of(turn.question)
        sources = "\n\n".join(source(number, hit) for number, hit in enumerate(hits, 1))
        before, _, after = _template(f"user.{language}").partition("{sources}")
        user = before + sources + after.replace("{question}", turn.question)
        prompt = (
            Message("system", _template(f"system.{language}")),
            *turn.history[-HISTORY_MESSAGES:],
            Message("user", user),
        )
        return call_next(replace(turn, hits=hits, prompt=prompt))

    return plugin


def source(number: int, hit: Hit) -> str:
    """A passage as the model sees it: its number, where it stands, its context and its text."""
    chunk = hit.chunk
    page = f", p. {chunk.page}" if chunk.page else ""
    cells = f", {chunk.cells}" if chunk.cells else ""
    said = "\n".join(part for part in (chunk.context, chunk.kept_text) if part)
    return f"[{number}] {chunk.header or hit.uri} ({hit.uri}{page}{cells})\n{said}"


def _within(hits: Sequence[Hit], budget: int) -> tuple[Hit, ...]:
    kept: list[Hit] = []
    for number, hit in enumerate(hits, 1):
        budget -= estimate_tokens(source(number, hit))
        if kept and budget < 0:
            break
        kept.append(hit)
    return tuple(kept)


@cache
def _template(name: str) -> str:
    return (files("qa") / "prompts" / f"{name}.txt").read_text("utf-8").strip()
