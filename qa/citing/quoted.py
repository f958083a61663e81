"""Answers that quote: which of their lines say what a citation says, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from qa.citing.claims import squeezed
from qa.citing.statements import Piece, pieces
from qa.extracting.tables import head_of, read_row
from qa.turn import Citation
from retrieval.hits import Hit


def up_to_marks(text: str) -> Iterator[list[Piece]]:
    """The pieces of an answer, each with those before it that have no marks of their own."""
    waiting: list[Piece] = []
    for piece in pieces(text):
        waiting.append(piece)
        if piece.marks:
            yield waiting
            waiting = []
    if waiting:
        yield waiting


def quoting(
    said: Sequence[Piece], citation: Citation, hits: Sequence[Hit], question: str
) -> list[Piece]:
    """The pieces as statements if they are the words of a quote, with the heading above it or
    without, a row of a table as one statement; [] if they are not."""
    whole = "".join(piece.said for piece in said)
    headed = "".join((*citation.heading[-1:], citation.quote))
    if squeezed(whole) in (squeezed(citation.quote), squeezed(headed)):
        return [piece for piece in said if piece.marks or piece.claims]
    for hit in hits:
        start = citation.start - hit.chunk.start
        is_of = hit.uri == citation.uri and hit.text[start:].startswith(citation.quote)
        head = head_of(hit.chunk, start) if start >= 0 and is_of else ""
        row = read_row(citation.quote, head, question) if head or citation.quote[:1] == "|" else ""
        if row and squeezed(whole) == squeezed(row):
            text = "".join(piece.text for piece in said)
            return [Piece(said[0].start, said[-1].end, text)]
    return []
