"""The answer without an LLM: the sentences that answer, quoted exactly, the likeliest first."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from qa.images import in_words
from qa.lists import list_asked_for
from qa.plugins.cite_sources import citation_of
from qa.sentence_scores import Candidate, rank
from qa.tables import head_of, read_row
from qa.turn import Handler, Turn
from retrieval.embedding import Embedder
from retrieval.index import Index
from retrieval.terms import CJK

NAME = "extractive"
MAX_SENTENCES = 3
ENOUGH = 0.91  # chance that one of the sentences shown answers: then no more of them are shown

_WRAPPED_CJK = re.compile(rf"(?<=[{CJK}，。；：、])\s*\n\s*(?=[{CJK}])")
_LIST_LINE = re.compile(r"\n(?=[ \t]*(?:[-*+•·]|\d{1,3}[.)、](?!\d)|[(（]\d{1,3}[)）])[ \t]*\S)")


def answer_extractively(index: Index, embedder: Embedder) -> Handler:
    """A handler in the model's place that answers with sentences of `turn.hits`.

    It streams nothing: `cite_sources` passes on the text of an answer that brings its citations.
    """

    def handler(turn: Turn) -> Turn:
        asked = in_words(turn.question, turn.images)
        chosen = choose(asked, rank(asked, turn.hits, index, embedder))
        lines = [
            f"{readable(candidate, turn.question)} [{number}]"
            for number, candidate in enumerate(chosen, 1)
        ]
        citations = tuple(
            citation_of(number, candidate.hit, candidate.start, candidate.end)
            for number, candidate in enumerate(chosen, 1)
        )
        text = "\n".join(lines)
        return replace(turn, text=text, citations=citations, model=NAME, abstained=not chosen)

    return handler


def choose(question: str, ranked: Sequence[Candidate]) -> list[Candidate]:
    """The likeliest sentences, until one of them is likely `ENOUGH` to answer; no text twice.

    Where the question asks for a list and one of them is in one, the list alone.
    """
    chosen: dict[str, Candidate] = {}
    for candidate in ranked:
        if len(chosen) == MAX_SENTENCES or sum(c.share for c in chosen.values()) >= ENOUGH:
            break
        chosen.setdefault(candidate.text, candidate)
    for candidate in chosen.values():
        span = list_asked_for(question, candidate.hit.chunk, candidate.start, candidate.end)
        if span:
            return [replace(candidate, start=span[0], end=span[1])]
    return list(chosen.values())


def readable(candidate: Candidate, question: str) -> str:
    """A quote on one line, each item of a list on its own; a table row as its labelled cells."""
    head = head_of(candidate.hit.chunk, candidate.start)
    if head or candidate.text.startswith("|"):
        return read_row(candidate.text, head, question)
    items = _LIST_LINE.split(candidate.text)
    return "\n".join(" ".join(_WRAPPED_CJK.sub("", item).split()) for item in items)
