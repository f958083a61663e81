"""`check_support`: how well the citations of each statement bear it out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ingest.documents import Chunk
from qa.citing.asked_for import lacks_asked
from qa.citing.evidence import Basis, basis, best_span
from qa.citing.rows import holds
from qa.citing.support import SUPPORTED, comparable, facts_agree, support
from qa.turn import Citation, Handler, Plugin, Statement, Turn
from retrieval.embedding import Embedder
from retrieval.terms import analyse

DOUBTFUL = 0.05  # below this no likeness of meaning makes up for what the words lack


def check_support(embedder: Embedder) -> Plugin:
    """A plugin that fills `support` and `supported` of the statements that `cite_sources` found.

    A statement is judged by all its quotes together; one without citations by the hit that comes
    nearest, and is never supported. Words and facts decide; the embedder is asked only where these
    leave a doubt that it can lift, since that costs more than all else. A Chinese statement on
    English quotes stays unjudged (None) unless a number or a name is wrong.

    An answer is doubtful that cites nothing about the year, the quarter or the identifier that the
    question names, or that quotes a row of a table without a word of the question.
    """

    def plugin(turn: Turn, call_next: Handler) -> Turn:
        turn = call_next(turn)
        chunks = [hit.chunk for hit in turn.hits]
        doubtful = turn.doubtful or _is_of_another(turn, chunks)
        checked = tuple(judged(statement, chunks, embedder) for statement in turn.statements)
        return replace(turn, statements=checked, doubtful=doubtful)

    return plugin


def judged(statement: Statement, chunks: Sequence[Chunk], embedder: Embedder) -> Statement:
    """The statement with its support. One that is a quote has it already."""
    if statement.supported is not None:
        return statement
    if not statement.citations:
        figures = [best_span(statement.text, chunk).support for chunk in chunks]
        nearest = min(max(figures, default=0.0), SUPPORTED / 2)
        return replace(statement, support=nearest, supported=False)
    found = _basis([_basis_of(citation, chunks) for citation in statement.citations])
    if not comparable(statement.text, found["passage"]):
        return _judged_by_facts(statement, found["passage"], found["context"])
    figure = support_of(statement.text, found, embedder)
    return replace(statement, support=figure, supported=figure >= SUPPORTED)


def _judged_by_facts(statement: Statement, quotes: str, context: str) -> Statement:
    """Of a statement in another language than its quotes only numbers and names can be compared."""
    left = facts_agree(statement.text, quotes, context)
    if left >= SUPPORTED:
        return statement
    return replace(statement, support=left, supported=False)


def support_of(statement: str, found: Basis, embedder: Embedder) -> float:
    """Support of a statement by words, and by meaning where words leave it in doubt."""
    quotes, context = found["passage"], found["context"]
    figure = support(statement, **found)
    in_doubt = DOUBTFUL <= figure < SUPPORTED <= facts_agree(statement, quotes, context)
    known = embedder.known_share(statement) if in_doubt else 0.0
    if known < SUPPORTED:
        return figure
    vectors = np.asarray(embedder.embed([statement, quotes]))
    cosine = float(vectors[0] @ vectors[1])
    return max(figure, support(statement, **found, cosine=cosine, known=known))


def _is_of_another(turn: Turn, chunks: Sequence[Chunk]) -> bool:
    """Whether what an answer cites is about another thing than the question names."""
    cited = [citation for said in turn.statements for citation in said.citations]
    if not cited:
        return False
    found = _basis([_basis_of(citation, chunks) for citation in cited])
    places = (part for c in cited for part in (c.uri, c.title, *c.heading))
    if lacks_asked(turn.question, "\n".join((found["passage"], found["context"], *places))):
        return True
    first = next(said for said in turn.statements if said.citations)
    if not first.supported:  # no quote: an LLM may know the row by other words
        return False
    row = _basis_of(first.citations[0], chunks)["passage"]
    cells = first.citations[0].quote
    return row.startswith("|") and set(analyse(turn.question)).isdisjoint(analyse(cells))


def _basis(found: Sequence[Basis]) -> Basis:
    """All that the citations of a statement have together."""
    passage = "\n".join(one["passage"] for one in found)
    others = frozenset().union(*(one["others"] for one in found))
    return {
        "passage": passage,
        "context": "\n".join(one["context"] for one in found),
        "others": frozenset(cell for cell in others if not holds(passage, cell)),
    }


def _basis_of(citation: Citation, chunks: Sequence[Chunk]) -> Basis:
    """What a quote says and its reader knows: from its passage, or else title and headings."""
    for chunk in chunks:
        if chunk.uri == citation.uri and chunk.start <= citation.start <= citation.end <= chunk.end:
            return basis(chunk, citation.start - chunk.start, citation.end - chunk.start)
    context = "\n".join((citation.title, *citation.heading))
    return {"passage": citation.quote, "context": context, "others": frozenset()}
