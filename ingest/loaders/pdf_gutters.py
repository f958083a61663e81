"""Columns that stand so close that their lines were read as one: cut at the gutter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ingest.loaders.pdf_pieces import Piece

_GAP = 0.4  # of the line's height: a gutter is wider, and so are some blanks of justified text
_SAME = 1.5  # points between the beginnings of the lines of a column
_MIN_LINES = 6  # by chance words of so many lines begin at one place on one of 10,000 pages
_MAX_ACROSS = 0.2  # of the lines beside the gutter


def parted(pieces: Sequence[Piece]) -> list[Piece]:
    """The pieces, cut where words of many lines begin at one place behind a gap."""
    gaps = [(piece, number) for piece in pieces for number in _gaps(piece)]
    places = Counter(round(piece.words[n][0] / _SAME) for piece, n in gaps)
    best = max(places, key=lambda place: places[place] + places[place + 1], default=0)
    x = (best + 0.5) * _SAME
    chosen = {id(piece): n for piece, n in gaps if abs(piece.words[n][0] - x) <= _SAME}
    cut = [piece for piece in pieces if id(piece) in chosen]
    if len(cut) < _MIN_LINES or _crossed(x, cut, pieces):
        return list(pieces)
    kept = [piece for piece in pieces if id(piece) not in chosen]
    return kept + [half for piece in cut for half in _halves(piece, chosen[id(piece)])]


def _gaps(piece: Piece) -> Iterator[int]:
    """The numbers of the words before which there is a gap."""
    least = _GAP * piece.height
    words = piece.words
    for number in range(1, len(words)):
        if words[number][0] - words[number - 1][1] >= least:
            yield number


def _crossed(x: float, cut: Sequence[Piece], pieces: Sequence[Piece]) -> bool:
    """Whether more than a few lines beside the gutter reach across it."""
    top, bottom = min(piece.top for piece in cut), max(piece.bottom for piece in cut)
    beside = [
        p for p in pieces if p.left < x - _SAME < x + _SAME < p.right and top <= p.middle <= bottom
    ]
    return len(beside) - len(cut) > _MAX_ACROSS * len(cut)


def _halves(piece: Piece, number: int) -> Iterator[Piece]:
    """The piece before its word `number`, and from there on."""
    place = 0
    for _, _, word in piece.words[:number]:
        place = piece.text.index(word, place) + len(word)
    left, right = piece.words[:number], piece.words[number:]
    end = max(word[1] for word in left)
    yield replace(piece, text=piece.text[:place].rstrip(), right=end, words=left)
    yield replace(piece, text=piece.text[place:].lstrip(), left=right[0][0], words=right)
