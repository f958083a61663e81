"""Long pictures (chats, web pages, panoramas) in parts that OCR reads at their full size.

A part ends where nothing is written, if there is such a place; else two parts overlap, and a line
that both have is taken from one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ingest.loaders.ocr import MAX_SIDE, Reading
from ingest.loaders.ocr_models import Pixels
from ingest.loaders.pdf_pieces import Piece

_LONG = 2.25  # times as long as wide; screens of telephones are shorter
_SHORT_SIDE = 1_400  # pixels, as those of an A4 page
_MAX_PIXELS = 30_000_000
_MIN_TILE = 700  # pixels
_CUT_FROM = 0.6  # of a part's length
_EDGE = 24  # of 255 between neighbours: ink
_RULES = 8  # neighbours that differ in an empty row: lines down the side of a page
_GAP = 4  # pixels between two lines of text
_OVERLAP = 160  # pixels, twice the height of large letters


@dataclass(frozen=True, slots=True)
class Tile:
    """`pixels[start:end]` of a picture `length` long; of its columns where it is `wide`."""

    start: int
    end: int
    length: int
    wide: bool
    shared: int = 0  # pixels at its start that the tile before has, too

    def of(self, pixels: Pixels) -> Pixels:
        part = slice(self.start, self.end)
        return np.ascontiguousarray(pixels[:, part] if self.wide else pixels[part])


def longest_side(width: int, height: int) -> int:
    """How many pixels the longer side of the picture may have: more for long pictures."""
    long, short = max(width, height), max(min(width, height), 1)
    if long <= _LONG * short:
        return MAX_SIDE
    scale = min(1.0, _SHORT_SIDE / short, math.sqrt(_MAX_PIXELS / (long * short)))
    return max(MAX_SIDE, round(scale * long))


def tiles_of(pixels: Pixels) -> list[Tile]:
    """The parts in which to read the picture, from its start to its end; one for most pictures."""
    height, width = pixels.shape[:2]
    wide = width > height
    length = max(width, height)
    if length <= MAX_SIDE:
        return [Tile(0, length, length, wide)]
    # a wide part cuts through lines: as few as may be
    size = MAX_SIDE if wide else min(MAX_SIDE, max(2 * width, _MIN_TILE))
    tiles: list[Tile] = []
    start = shared = 0
    while length - start > size:
        first = start + int(_CUT_FROM * size)
        gap = _gap(pixels[:, first : start + size] if wide else pixels[first : start + size], wide)
        end = start + size if gap is None else first + gap
        tiles.append(Tile(start, end, length, wide, shared))
        shared = _OVERLAP if gap is None and not wide else 0
        start = end - shared
    return [*tiles, Tile(start, length, length, wide, shared)]


def _gap(pixels: Pixels, wide: bool) -> int | None:
    """The middle of the widest empty stretch; None without one."""
    grey = pixels.max(axis=2).astype(np.int16) if pixels.ndim == 3 else pixels.astype(np.int16)
    if wide:
        grey = grey.T
    ink = (np.abs(np.diff(grey, axis=1)) > _EDGE).sum(axis=1)
    allowed = min(int(ink.min()) + 1, _RULES)
    empty = np.concatenate(([0], (ink <= allowed).astype(np.int8), [0]))
    starts, ends = np.flatnonzero(np.diff(empty) == 1), np.flatnonzero(np.diff(empty) == -1)
    if not len(starts):
        return None
    widest = int(np.argmax(ends - starts))
    if ends[widest] - starts[widest] < _GAP:
        return None
    return int(starts[widest] + ends[widest]) // 2


def together(read: Sequence[tuple[Tile, Reading]]) -> Reading:
    """What was read of all the parts, as if of one picture."""
    pieces: list[Piece] = []
    before: list[Piece] = []  # of the part before
    total = weighted = 0.0
    for tile, reading in read:
        own = [_moved(piece, tile, reading.turned, len(pieces)) for piece in reading.pieces]
        if tile.shared:
            own = [piece for piece in own if not any(_better(old, piece) for old in before)]
            cut = {id(old) for old in before if any(_same_place(old, piece) for piece in own)}
            pieces = [piece for piece in pieces if id(piece) not in cut]
        pieces += own
        before = own
        weighted += reading.confidence * reading.characters
        total += reading.characters / max(1 - reading.dropped_share, 0.01)
    characters = sum(reading.characters for _, reading in read)
    return Reading(
        tuple(pieces),
        round(weighted / characters, 4) if characters else 0.0,
        round(1 - characters / total, 4) if total else 0.0,
        max((reading for _, reading in read), key=lambda reading: reading.characters).turned,
        sum(reading.lines_left for _, reading in read),
    )


def _moved(piece: Piece, tile: Tile, turned: int, index: int) -> Piece:
    """The piece where it stands in the whole picture, made upright as its part was."""
    rest = tile.length - tile.end
    across = {0: tile.start, 1: 0, 2: rest, 3: 0} if tile.wide else {1: tile.start, 3: rest}
    down = {1: rest, 3: tile.start} if tile.wide else {0: tile.start, 2: rest}
    x, y = across.get(turned, 0), down.get(turned, 0)
    return replace(
        piece,
        left=piece.left + x,
        right=piece.right + x,
        top=piece.top + y,
        bottom=piece.bottom + y,
        index=piece.index + index,
        words=[(left + x, right + x, text) for left, right, text in piece.words],
    )


def _same_place(one: Piece, two: Piece) -> bool:
    """Whether both are readings of one line, or of what a part has of it."""
    beside = min(one.right, two.right) - max(one.left, two.left)
    below = min(one.bottom, two.bottom) - max(one.top, two.top)
    height = min(one.bottom - one.top, two.bottom - two.top)
    return beside > 0.5 * min(one.width, two.width) and below > 0.4 * height


def _better(one: Piece, two: Piece) -> bool:
    """Whether both are of one line, and the second is not the taller one: the first is whole."""
    return _same_place(one, two) and two.bottom - two.top < 1.15 * (one.bottom - one.top)
