"""`build_prompt`: numbered sources within a budget, the question, the history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from qa.language import language_of
from qa.prompting import Prompts
from qa.tokens import estimate_tokens
from qa.turn import Handler, Message, Plugin, Turn
from retrieval.hits import Hit

HISTORY_MESSAGES = 6  # the last three exchanges


def build_prompt(*, budget: int, prompts: Prompts | None = None) -> Plugin:
    """A plugin that fills `turn.prompt`. Hits beyond `budget` tokens are left out of the turn.

    The number of a source is its place in `turn.hits`, from 1. The best hit is always there. What
    a source looks like is `turn.sources` where a plugin further out has filled that.
    """
    templates = prompts or Prompts()

    def plugin(turn: Turn, call_next: Handler) -> Turn:
        sources = _within(turn.sources or sources_of(turn.hits), budget)
        language = language_of(turn.question)
        user = templates.fill(
            "user", language, sources="\n\n".join(sources), question=turn.question
        )
        prompt = (
            Message("system", templates.fill("system", language)),
            *turn.history[-HISTORY_MESSAGES:],
            Message("user", user, turn.images),
        )
        hits = turn.hits[: len(sources)]
        return call_next(replace(turn, hits=hits, sources=sources, prompt=prompt))

    return plugin


def sources_of(hits: Sequence[Hit]) -> tuple[str, ...]:
    """The hits as a model may see them, numbered from 1."""
    return tuple(f"[{number}] {described(hit)}" for number, hit in enumerate(hits, 1))


def described(hit: Hit) -> str:
    """Where a passage stands, in one line, then its context and its text."""
    chunk = hit.chunk
    page = f", p. {chunk.page}" if chunk.page else ""
    cells = f", {chunk.cells}" if chunk.cells else ""
    said = "\n".join(part for part in (chunk.context, chunk.kept_text) if part)
    return f"{chunk.header or hit.uri} ({hit.uri}{page}{cells})\n{said}"


def _within(sources: Sequence[str], budget: int) -> tuple[str, ...]:
    kept: list[str] = []
    for source in sources:
        budget -= estimate_tokens(source)
        if kept and budget < 0:
            break
        kept.append(source)
    return tuple(kept)
