"""`cite_sources`: the marks of an answer become citations, each with the words it rests on."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache

from ingest.documents import Document
from qa.marks import MarkFilter, mark_numbers
from qa.plugins.require_evidence import refuse
from qa.sentences import sentences
from qa.turn import Citation, Handler, Plugin, Turn
from retrieval.hits import Hit
from retrieval.terms import analyse, stems

FindDocument = Callable[[str], Document | None]
_STATEMENT_END = re.compile(r"[。！？!?\n]|\.\s")


def cite_sources(find_document: FindDocument) -> Plugin:
    """A plugin that drops invented marks, builds citations and checks each against its document.

    A citation quotes the sentence of its source that shares most with the statement it stands
    behind. An answer that says there is none becomes a refusal.
    """

    def plugin(turn: Turn, call_next: Handler) -> Turn:
        marks = MarkFilter(len(turn.hits), turn.on_token)
        answered = call_next(replace(turn, on_token=marks.feed if turn.on_token else None))
        if answered.abstained and not answered.text.strip():
            answered = refuse(answered)
        if answered.citations or answered.abstained:
            marks.finish()
        else:
            answered = _with_citations(answered, marks)
        if not marks.text and turn.on_token:
            turn.on_token(answered.text)
        find = cache(find_document)
        citations = tuple(_checked(citation, find) for citation in answered.citations)
        return replace(answered, citations=citations, on_token=turn.on_token)

    return plugin


def _with_citations(turn: Turn, marks: MarkFilter) -> Turn:
    if not marks.fed:  # not streaming, or a plugin further in kept the tokens to itself
        marks.feed(turn.text)
    text = marks.finish()
    if marks.refused or not text.strip():
        return refuse(turn)
    first: dict[int, int] = {}
    for number, position in mark_numbers(text):
        first.setdefault(number, position)
    citations = tuple(
        cite(number, turn.hits[number - 1], _statement(text, position))
        for number, position in first.items()
    )
    return replace(turn, text=text, citations=citations)


def cite(number: int, hit: Hit, statement: str) -> Citation:
    """The sentence of `hit` that shares most terms with `statement`, as a citation."""
    wanted = set(stems(analyse(statement)))

    def shared(span: tuple[int, int]) -> float:
        terms = set(stems(analyse(hit.text[slice(*span)])))
        return float(len(terms & wanted) / (1 + len(terms)) ** 0.5)

    spans = sentences(hit.text) or [(0, len(hit.text))]
    start, end = max(spans, key=shared)
    return citation_of(number, hit, start, end)


def citation_of(number: int, hit: Hit, start: int, end: int) -> Citation:
    """A citation of `hit.text[start:end]`; its page is that of the hit until it is checked."""
    return Citation(
        number=number,
        uri=hit.uri,
        page=hit.chunk.page,
        start=hit.chunk.start + start,
        end=hit.chunk.start + end,
        quote=hit.text[start:end],
        verified=False,
        title=hit.chunk.title,
        heading=hit.chunk.heading,
    )


def _statement(text: str, position: int) -> str:
    """The statement that the mark at `position` stands behind."""
    before = text[max(0, position - 500) : position].rstrip(" .。！？!?")
    start = 0
    for match in _STATEMENT_END.finditer(before):
        start = match.end()
    return before[start:]


def _checked(citation: Citation, find_document: FindDocument) -> Citation:
    document = find_document(citation.uri)
    if document is None:
        return replace(citation, verified=False)
    return replace(
        citation,
        verified=document.text[citation.start : citation.end] == citation.quote,
        page=document.page_at(citation.start),
        heading=document.heading_at(citation.start) or citation.heading,
    )
