"""`widen`: passages with what stands around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

from ingest.documents import Chunk, Document
from qa.tokens import estimate_tokens
from qa.turn import Handler, Plugin, Turn
from retrieval.hits import Hit
from retrieval.index import Index
from retrieval.widening import passage, section_around

SECTION_TOKENS = 500  # a longer section is not taken whole: it would leave no room for other hits
NEIGHBOURS = 1  # passages before and after, where the section is too long

Span = tuple[int, int]


def widen(index: Index) -> Plugin:
    """A plugin that shows each hit in its section, or with its neighbours where that is long.

    Nothing is shown twice. A hit stays a span of its document, without what is hidden or
    boilerplate there; of a document that has changed meanwhile it stays as it is.
    """

    def plugin(turn: Turn, call_next: Handler) -> Turn:
        return call_next(replace(turn, hits=_widened(turn.hits, index)))

    return plugin


def _widened(hits: Sequence[Hit], index: Index) -> tuple[Hit, ...]:
    find = cache(index.document)
    shown: list[Hit] = []
    for hit in hits:
        document = find(hit.uri)
        if document is None or document.id != hit.chunk.document_id:
            shown.append(hit)
            continue
        near = [other.chunk for other in shown if other.chunk.document_id == document.id]
        if not any(other.start <= hit.chunk.start and hit.chunk.end <= other.end for other in near):
            start, end = _beside(near, hit.chunk, _span(document, hit.chunk, index))
            shown.append(replace(hit, chunk=passage(document, hit.chunk, start, end)))
    return tuple(shown)


def _beside(shown: Sequence[Chunk], chunk: Chunk, span: Span) -> Span:
    """The span around `chunk`, as far as none of it is shown already."""
    start = max([span[0], *(other.end for other in shown if other.end <= chunk.start)])
    end = min([span[1], *(other.start for other in shown if chunk.end <= other.start)])
    return start, end


def _span(document: Document, chunk: Chunk, index: Index) -> Span:
    section = section_around(document, chunk)
    if section != chunk and estimate_tokens(section.text) <= SECTION_TOKENS:
        return section.start, section.end
    around = [chunk, *index.neighbours(chunk, NEIGHBOURS, NEIGHBOURS)]
    return min(near.start for near in around), max(near.end for near in around)
