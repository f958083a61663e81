"""`cite_sources`: the marks of an answer become citations, each with the words it rests on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache

from ingest.documents import Document
from qa.citing.attribution import Attribution
from qa.citing.evidence import best_span
from qa.citing.marks import MarkFilter
from qa.citing.quoted import quoting, up_to_marks
from qa.citing.statements import Piece, pieces
from qa.plugins.require_evidence import refuse
from qa.turn import Citation, Handler, Plugin, Statement, Turn
from retrieval.hits import Hit

FindDocument = Callable[[str], Document | None]


def cite_sources(find_document: FindDocument) -> Plugin:
    """A plugin that cites, statement by statement, and checks each citation against its document.

    Invented marks are dropped, missing ones added (see `qa.citing.attribution`). A citation quotes
    the sentence or two, or the row, of its source that its statement is about. An answer that says
    there is none becomes a refusal.
    """

    def plugin(turn: Turn, call_next: Handler) -> Turn:
        answer = _Cited(turn)
        answered = call_next(replace(turn, on_token=answer.feed if turn.on_token else None))
        if answered.abstained and not answered.text.strip():
            answered = refuse(answered)
        if answered.abstained:
            statements: list[Statement] = []
        elif answered.citations:  # of a model that brings its own
            statements = _quoting(answered)
        else:
            answered, statements = answer.finish(answered)
        if not answer.passed_on and turn.on_token:
            turn.on_token(answered.text)
        return replace(_checked(answered, statements, cache(find_document)), on_token=turn.on_token)

    return plugin


def cite(number: int, hit: Hit, statement: str) -> Citation:
    """The words of `hit` that `statement` is about, as a citation."""
    start, end, _ = best_span(statement, hit.chunk)
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


class _Cited:
    """The text of a model's answer, with its marks put right on the way to the reader."""

    def __init__(self, turn: Turn) -> None:
        self._hits = turn.hits
        self._attribution = Attribution([hit.chunk for hit in turn.hits], turn.on_token)
        self._marks = MarkFilter(len(turn.hits), self._attribution.feed)
        self.feed = self._marks.feed

    @property
    def passed_on(self) -> bool:
        """Whether the reader got any of it."""
        return bool(self._attribution.text)

    def finish(self, turn: Turn) -> tuple[Turn, list[Statement]]:
        """The turn with the answer as it is now, and its statements."""
        if not self._marks.fed:  # not streaming, or a plugin further in kept the tokens to itself
            self._marks.feed(turn.text)
        self._marks.finish()
        text = self._attribution.finish()
        if self._marks.refused or not text.strip():
            return refuse(turn), []
        return replace(turn, text=text), list(_citing(text, self._hits))


def _citing(text: str, hits: Sequence[Hit]) -> Iterator[Statement]:
    """The statements of an answer whose marks are numbers of hits."""
    said = ""
    for piece in pieces(text):
        said = piece.said or said  # marks that stand alone belong to what stands before them
        if piece.marks or piece.claims:
            cited = [cite(number, hits[number - 1], said) for number in piece.marks]
            yield _statement(piece, cited)


def _quoting(turn: Turn) -> list[Statement]:
    """The statements of an answer that came with its citations.

    One without a mark, such as an item of a list that is cited at its end, has the citations that
    quote it. What is a quote and nothing else, or a row as its cells, is supported by that.
    """
    statements: list[Statement] = []
    for said in up_to_marks(turn.text):
        cited = [c for c in turn.citations if c.number in said[-1].marks]
        quoted = [piece for c in cited for piece in quoting(said, c, turn.hits, turn.question)]
        statements += (
            replace(_statement(piece, cited), support=1.0, supported=True) for piece in quoted
        )
        statements += (
            _statement(piece, [c for c in turn.citations if _is_of(piece, c)])
            for piece in ([] if quoted else said)
            if piece.marks or piece.claims
        )
    return statements


def _is_of(piece: Piece, citation: Citation) -> bool:
    if piece.marks:
        return citation.number in piece.marks
    return "".join(piece.said.split()) in "".join(citation.quote.split())


def _statement(piece: Piece, citations: Sequence[Citation]) -> Statement:
    shown = piece.text.rstrip()
    start = min(piece.opening, len(shown))
    return Statement(
        start=piece.start + start,
        end=piece.start + len(shown),
        text=piece.said,
        citations=tuple(citations),
    )


def _checked(turn: Turn, statements: Sequence[Statement], find: FindDocument) -> Turn:
    """The turn with all citations compared with the documents as they are now."""
    cited = [citation for statement in statements for citation in statement.citations]
    checked = {citation: _compared(citation, find) for citation in (*cited, *turn.citations)}
    return replace(
        turn,
        citations=tuple(dict.fromkeys(checked.values())),
        statements=tuple(_with(statement, checked) for statement in statements),
    )


def _with(statement: Statement, checked: Mapping[Citation, Citation]) -> Statement:
    return replace(statement, citations=tuple(checked[c] for c in statement.citations))


def _compared(citation: Citation, find_document: FindDocument) -> Citation:
    document = find_document(citation.uri)
    if document is None:
        return replace(citation, verified=False)
    return replace(
        citation,
        verified=document.text[citation.start : citation.end] == citation.quote,
        page=document.page_at(citation.start),
        heading=document.heading_at(citation.start) or citation.heading,
    )
