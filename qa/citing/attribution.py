"""Which source a sentence of an answer rests on, told while the answer streams in."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from ingest.documents import Chunk
from qa.citing.contradictions import contradicts
from qa.citing.evidence import Span, basis, best_span, may_support
from qa.citing.marks import without_marks
from qa.citing.statements import Piece, pieces
from qa.citing.support import SUPPORTED, words_agree
from retrieval.terms import CJK

_ENDS_IN_CJK = re.compile(rf"[{CJK}”》」）)]\Z")


class Attribution:
    """Passes an answer on, with a mark added to each statement that lacks one.

    A statement without a mark gets that of the source that supports it best, if one does. Marks
    behind a statement that none of its sources supports give way to that of a source that does. All
    else stays; text is held back only where a mark may come.
    """

    def __init__(self, sources: Sequence[Chunk], emit: Callable[[str], None] | None = None) -> None:
        self._sources = sources
        self._emit = emit
        self._pending = ""
        self._sent = 0  # characters of `_pending` that were passed on
        self.text = ""

    def feed(self, text: str) -> None:
        """Take the next piece of an answer whose marks are `[n]`, none cut in two."""
        self._pending += text
        end = 0
        for piece in pieces(self._pending, complete=False):
            self._finish(piece)
            end = piece.end
        self._pending = self._pending[end:]
        rest = Piece(0, len(self._pending), self._pending)
        if rest.tail > self._sent:
            self._pass_on(self._pending[self._sent : rest.tail])
            self._sent = rest.tail

    def finish(self) -> str:
        """The answer is complete; returns all of `text`."""
        for piece in pieces(self._pending):
            self._finish(piece)
        self._pending = ""
        return self.text

    def _finish(self, piece: Piece) -> None:
        self._pass_on(attributed(piece, self._sources)[self._sent :])
        self._sent = 0

    def _pass_on(self, text: str) -> None:
        if text:
            self.text += text
            if self._emit:
                self._emit(text)


def attributed(piece: Piece, sources: Sequence[Chunk]) -> str:
    """The text of a piece with the marks that it should have; up to its tail as it was."""
    if not piece.claims:
        return piece.text
    said = piece.said
    marked = [sources[number - 1] for number in piece.marks if number <= len(sources)]
    if any(best_span(said, source).support >= SUPPORTED for source in marked):
        return piece.text
    best = supporter(said, sources)
    if best is None:
        return piece.text
    body, tail = piece.text[: piece.tail], without_marks(piece.text[piece.tail :])
    space = "" if _ENDS_IN_CJK.search(body) else " "
    return f"{body}{space}[{best}]{tail}"


def supporter(said: str, sources: Sequence[Chunk]) -> int | None:
    """Number, from 1, of the source that supports a statement best; None if none supports it, or if
    one that shares more of its words says the opposite."""
    spans = {
        number: best_span(said, source)
        for number, source in enumerate(sources, 1)
        if may_support(said, source)
    }
    best = max(spans, key=lambda number: (spans[number].support, -number), default=None)
    if best is None or spans[best].support < SUPPORTED:
        return None
    agreement = _agreement(said, sources[best - 1], spans[best])
    for number, span in spans.items():
        source = sources[number - 1]
        if span.support < SUPPORTED and _agreement(said, source, span) > agreement:
            found = basis(source, span.start, span.end)
            if contradicts(said, found["passage"], context=found["context"]):
                return None
    return best


def _agreement(said: str, source: Chunk, span: Span) -> float:
    found = basis(source, span.start, span.end)
    return words_agree(said, found["passage"], found["context"])
