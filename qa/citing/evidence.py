"""Which words of a passage bear a statement out: a sentence, two in a row, a row of a table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from ingest.documents import Chunk
from qa.citing.claims import content_terms
from qa.citing.support import facts_agree, facts_shared, support, words_agree
from qa.sentences import sentences

CANDIDATES = 4  # spans of a passage that are looked at closely, by the terms they share
SECOND_SENTENCE = 0.1  # what a second sentence must add to the figure to be quoted too
ENOUGH = 0.4  # share of a statement's terms below which no passage supports it
_SAME_PARAGRAPH = re.compile(r"[^\S\n]*\n?[^\S\n]*(?:[-*+•·]\s|\d{1,3}[.)、]\s?)?")
_CLAUSES = re.compile(r"[,;:，；：、]|\b(?:and|but|so|which|when)\b|并|而|但|且")
_REFERS = re.compile(r"(?:It|Its|They|Their|This|These|That|Those|He|She)\b|[其该該此它他她这這]")
_TABLE_HEAD = re.compile(r"[ \t]*\|[^\n]*\n[ \t]*\|[ \t]*:?-+[\s|:-]*$", re.MULTILINE)


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
    text, wanted = chunk.text, content_terms(statement)
    spans = _sentences(chunk)
    if not spans:
        return _scored(statement, chunk, 0, len(text))
    shared = {span: _shared(wanted, text[slice(*span)]) for span in spans}
    if not any(shared.values()):  # of another language
        shared = {span: float(facts_shared(statement, text[slice(*span)])) for span in spans}
    likely = sorted(spans, key=lambda span: -shared[span])[:CANDIDATES]
    fits = {span: _fit(statement, chunk, *span) for span in likely}
    best = max(likely, key=lambda span: fits[span])
    for pair in _pairs(text, spans, best) if _CLAUSES.search(statement) else ():
        fits[pair] = _fit(statement, chunk, *pair) - SECOND_SENTENCE
    return _scored(statement, chunk, *max(fits, key=lambda span: fits[span]))


def may_support(statement: str, chunk: Chunk) -> bool:
    """Whether a passage has enough of the statement's words to be looked at closely."""
    wanted = content_terms(statement)
    return len(wanted & _terms(chunk)) >= ENOUGH * len(wanted)


def context_of(chunk: Chunk, start: int, end: int) -> str:
    """What the words at `start:end` are understood by: title and headings, the head of the table
    they stand in, the sentence before one that begins with "it"."""
    parts = [chunk.header, chunk.context]
    if chunk.text.startswith("|", start):
        heads = list(_TABLE_HEAD.finditer(chunk.text, 0, start))
        parts += [heads[-1].group()] if heads else []
    elif _REFERS.match(chunk.text, start, end):
        before = [span for span in _sentences(chunk) if span[1] <= start]
        parts += [chunk.text[slice(*before[-1])]] if before else []
    return "\n".join(part for part in parts if part)


def _scored(statement: str, chunk: Chunk, start: int, end: int) -> Span:
    context = context_of(chunk, start, end)
    return Span(start, end, support(statement, chunk.text[start:end], context=context))


def _fit(statement: str, chunk: Chunk, start: int, end: int) -> float:
    """How much the words at `start:end` are about a statement, whether they bear it out or not."""
    words, context = chunk.text[start:end], context_of(chunk, start, end)
    return words_agree(statement, words, context) * facts_agree(statement, words, context)


def _shared(wanted: frozenset[str], text: str) -> float:
    terms = content_terms(text)
    return float(len(terms & wanted) / (1 + len(terms)) ** 0.5)


def _pairs(
    text: str, spans: Sequence[tuple[int, int]], best: tuple[int, int]
) -> Iterator[tuple[int, int]]:
    """`best` with the sentence of its paragraph before it, and with the one behind it."""
    for one, other in pairwise(spans):
        near = best in (one, other) and _SAME_PARAGRAPH.fullmatch(text, one[1], other[0])
        if near and text[one[0]] != "|":
            yield one[0], other[1]


@lru_cache(maxsize=512)
def _terms(chunk: Chunk) -> frozenset[str]:
    """What the sentences of a passage and those who head it say."""
    said = (content_terms(chunk.text[start:end]) for start, end in _sentences(chunk))
    return frozenset().union(content_terms(chunk.header), content_terms(chunk.context), *said)


@lru_cache(maxsize=512)
def _sentences(chunk: Chunk) -> tuple[tuple[int, int], ...]:
    return tuple(sentences(chunk.text, omitted=chunk.omitted))
