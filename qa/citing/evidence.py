"""Which words of a passage bear a statement out: a sentence, two in a row, a row of a table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple, TypedDict

from ingest.documents import Chunk
from qa.citing.claims import content_terms
from qa.citing.rows import cells_of_others, said_at, spans_of
from qa.citing.support import facts_agree, facts_shared, support, words_agree
from qa.extracting.tables import head_of

CANDIDATES = 4  # spans of a passage that are looked at closely, by the terms they share
SECOND_SENTENCE = 0.1  # what a second sentence must add to the figure to be quoted too
ENOUGH = 0.4  # share of a statement's terms below which no passage supports it
_SAME_PARAGRAPH = re.compile(r"[^\S\n]*\n?[^\S\n]*(?:[-*+•·]\s|\d{1,3}[.)、]\s?)?")
_CLAUSES = re.compile(r"[,;:，；：、]|\b(?:and|but|so|which|when)\b|并|而|但|且")
_REFERS = re.compile(r"(?:It|Its|They|Their|This|These|That|Those|He|She)\b|[其该該此它他她这這]")


class Basis(TypedDict):
    """What `support` compares a statement with."""

    passage: str
    context: str
    others: frozenset[str]


class Span(NamedTuple):
    """Words of a passage (`start` and `end` in its text) and how well they support a statement."""

    start: int
    end: int
    support: float


@lru_cache(maxsize=512)
def best_span(statement: str, chunk: Chunk) -> Span:
    """The span of a passage that is most about `statement`, and how well it supports it.

    Of equals the shortest, then the first. The whole passage if it has no sentences.
    """
    text = chunk.text
    spans = spans_of(chunk)
    if not spans:
        return _scored(statement, chunk, 0, len(text))
    shared = {span: _shared(statement, said_at(chunk, *span)) for span in spans}
    likely = sorted(spans, key=lambda span: -shared[span])[:CANDIDATES]
    fits = {span: _fit(statement, chunk, *span) for span in likely}
    best = max(likely, key=lambda span: fits[span])
    for pair in _pairs(chunk, best) if _CLAUSES.search(statement) else ():
        fits[pair] = _fit(statement, chunk, *pair) - SECOND_SENTENCE
    return _scored(statement, chunk, *max(fits, key=lambda span: fits[span]))


def may_support(statement: str, chunk: Chunk) -> bool:
    """Whether a passage has enough of the statement's words to be looked at closely."""
    wanted = content_terms(statement)
    return len(wanted & _terms(chunk)) >= ENOUGH * len(wanted)


def context_of(chunk: Chunk, start: int, end: int) -> str:
    """What the words at `start:end` are understood by: title and headings, the head of the table
    they stand in, the sentence before one that begins with "it"."""
    parts = [chunk.header, chunk.context, head_of(chunk, start)]
    if _REFERS.match(chunk.text, start, end):
        before = [span for span in spans_of(chunk) if span[1] <= start]
        parts += [chunk.text[slice(*before[-1])]] if before else []
    return "\n".join(part for part in parts if part)


def basis(chunk: Chunk, start: int, end: int) -> Basis:
    """What the words at `start:end` are compared by, as `support` takes it."""
    return {
        "passage": said_at(chunk, start, end),
        "context": context_of(chunk, start, end),
        "others": cells_of_others(chunk, start, end),
    }


def _scored(statement: str, chunk: Chunk, start: int, end: int) -> Span:
    return Span(start, end, support(statement, **basis(chunk, start, end)))


def _fit(statement: str, chunk: Chunk, start: int, end: int) -> float:
    """How much the words at `start:end` are about a statement, whether they bear it out or not."""
    words, context = said_at(chunk, start, end), context_of(chunk, start, end)
    return words_agree(statement, words, context) * facts_agree(statement, words, context)


def _shared(statement: str, text: str) -> float:
    """How many words and facts of a statement a text has; all a text of another language can."""
    terms = content_terms(text)
    shared = len(terms & content_terms(statement)) + facts_shared(statement, text)
    return float(shared / (1 + len(terms)) ** 0.5)


def _pairs(chunk: Chunk, best: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """`best` with the sentence of its paragraph before it, and with the one behind it."""
    for one, other in pairwise(spans_of(chunk)):
        near = best in (one, other) and _SAME_PARAGRAPH.fullmatch(chunk.text, one[1], other[0])
        if near and not head_of(chunk, one[0]):
            yield one[0], other[1]


@lru_cache(maxsize=512)
def _terms(chunk: Chunk) -> frozenset[str]:
    """What the sentences of a passage and those who head it say."""
    said = (content_terms(said_at(chunk, *span)) for span in spans_of(chunk))
    return frozenset().union(content_terms(chunk.header), content_terms(chunk.context), *said)
