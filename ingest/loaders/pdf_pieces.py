"""The text of a PDF page as pieces with their places: runs of words that stand on one line.

PDFium gives characters in the order of the content stream, with line breaks and blanks put in by
distance. Boxes are asked for only at the ends of words: a third of the calls, 1 ms a page.
Coordinates are points as the text is read: x to the right, y down, every rotation undone.
"""

from __future__ import annotations

import ctypes
import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise, repeat
from typing import Any

import numpy as np
import pypdfium2
import pypdfium2.raw as pdfium

from ingest.loaders.pdf_raw import ADDRESS, address, direct

MAX_CHARACTERS = 300_000  # of one page; a dense newspaper page has 30,000
_AT_ONCE = 4_096  # characters
WIDE_GAP = 0.9  # of the line's height: wider than blanks of justified text, narrower than gutters

OBLIQUE = 4  # a direction between two others
_SLOPE = 0.2  # rise of a word that may be oblique: 11 degrees; an exponent makes words rise too

HYPHENS = "\x02\ufffe\xad"  # PDFium's marks for a hyphen that only broke the line
_WORD = re.compile(f"[^\\s{HYPHENS}]+[{HYPHENS}]?|[{HYPHENS}]")
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
_CHINESE = re.compile("[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]")
Box = tuple[float, float, float, float]

_TURNS: dict[int, Callable[[float, float], tuple[float, float]]] = {
    0: lambda x, y: (x, -y),
    1: lambda x, y: (y, x),  # text that runs up the page
    2: lambda x, y: (-x, y),
    3: lambda x, y: (-y, -x),
}


@dataclass(slots=True)
class Piece:
    """A run of text on one line. `height` is that of its line, a little above the font's size.

    `words` are (left, right, text). `cells` is set on a piece that stands for a whole table: its
    rows of cells; `columns` are left and right of its columns. `confidence` is that of OCR.
    """

    text: str
    left: float
    top: float
    right: float
    bottom: float
    height: float
    hidden: bool = False
    turned: bool = False
    index: int = 0
    words: list[tuple[float, float, str]] = field(default_factory=list)
    cells: list[list[str]] = field(default_factory=list)
    columns: list[tuple[float, float]] = field(default_factory=list)
    confidence: float = 1.0

    @property
    def middle(self) -> float:
        return (self.top + self.bottom) / 2

    @property
    def width(self) -> float:
        return self.right - self.left


@dataclass(slots=True)  # not frozen: that makes them four times as slow, and there are many
class Word:
    """A word: its span in the page's characters, its box in user space (y up)."""

    start: int
    end: int
    text: str
    left: float
    bottom: float
    right: float
    top: float
    direction: int  # quarter turns to the left from left-to-right; OBLIQUE


def words_of(textpage: pypdfium2.PdfTextPage) -> tuple[str, list[Word]]:
    """The page's characters (line breaks and blanks as PDFium put them), and its words."""
    text = _characters(textpage)
    spans = [match.span() for match in _WORD.finditer(text)]
    places = [place for start, end in spans for place in (start, end - 1)]
    boxes = _boxes(textpage, places)
    words: list[Word] = []
    for number, (start, end) in enumerate(spans):
        first, last = boxes[2 * number], boxes[2 * number + 1]
        left, bottom, inner, top = first
        if bottom == last[1] and top == last[3] and left <= last[0] and inner <= last[2]:
            words.append(Word(start, end, text[start:end], left, bottom, last[2], top, 0))
            continue  # as nearly all words are
        word = _word(text[start:end], start, end, first, last)
        if word.direction % 2:
            words += _unstacked(textpage, word)
            continue
        if abs(last[1] - bottom) > _SLOPE * abs(last[2] - left) and _is_oblique(textpage, start):
            word.direction = OBLIQUE
        words.append(word)
    return text, words


def _is_oblique(textpage: pypdfium2.PdfTextPage, place: int) -> bool:
    """Whether a character stands askew, as those of watermarks do: 15 degrees and more."""
    return abs(math.sin(2 * pdfium.FPDFText_GetCharAngle(textpage.raw, place))) > 0.5


def turn_of(words: Sequence[Word]) -> int:
    """How the page's text runs, in quarter turns to the left, told by most of its characters."""
    counts: Counter[int] = Counter()
    for word in words:
        if len(word.text) > 2 and word.direction != OBLIQUE:
            counts[word.direction] += len(word.text)
    return counts.most_common(1)[0][0] if counts else 0


def turned(turn: int, x: float, y: float) -> tuple[float, float]:
    """A point of user space as it is read: x to the right, y down."""
    return _TURNS[turn](x, y)


def pieces_of(text: str, words: Sequence[Word], hidden: Sequence[bool], turn: int) -> list[Piece]:
    """The words joined to runs without a wide gap, a change of line or of visibility."""
    pieces: list[Piece] = []
    piece: Piece | None = None
    longest = end = 0  # of the piece's words; of the last word, in `text`
    for word, concealed in zip(words, hidden, strict=True):
        box = _box(word, turn)
        other = word.direction != turn and len(word.text) > 1
        between = text[end : word.start]
        end = word.end
        if (
            piece is not None
            and piece.hidden == concealed
            and piece.turned == other
            and "\n" not in between
            and "\r" not in between
            and _runs_on(piece, box, word.text)
        ):
            if len(word.text) > longest and not other:
                longest, piece.height = len(word.text), box[3] - box[1]
            _extend(piece, box, f" {word.text}" if between else word.text)
        else:
            piece = _piece(word, box, turn, concealed, other, len(pieces))
            pieces.append(piece)
            longest = len(word.text)
    return pieces


def _characters(textpage: pypdfium2.PdfTextPage) -> str:
    count = min(textpage.count_chars(), MAX_CHARACTERS)
    if count <= 0:
        return ""
    text = str(textpage.get_text_range(0, count, errors="replace"))
    if len(text) == count:
        return text
    # characters without Unicode and those beyond 16 bits shift the text against its places
    codes = map(pdfium.FPDFText_GetUnicode, repeat(textpage.raw), range(count))
    return "".join(chr(code) if 0 < code <= 0x10FFFF else "\ufffd" for code in codes)


def _unstacked(textpage: pypdfium2.PdfTextPage, word: Word) -> list[Word]:
    """The parts of a word that PDFium made of upright characters one below the other.

    It does so with columns of short cells. Chinese written from top to bottom is left as it is.
    """
    angle = pdfium.FPDFText_GetCharAngle(textpage.raw, word.start)
    if abs(math.sin(angle)) > 0.5 or _CHINESE.search(word.text):
        return [word]
    boxes = _boxes(textpage, range(word.start, word.end))
    parts: list[tuple[int, int]] = []
    first = 0
    for number, (before, box) in enumerate(pairwise(boxes), 1):
        if abs(box[1] - before[1]) > 0.7 * (before[3] - before[1]):
            parts.append((first, number))
            first = number
    parts.append((first, len(boxes)))
    return [
        _word(
            word.text[start:end], word.start + start, word.start + end, boxes[start], boxes[end - 1]
        )
        for start, end in parts
    ]


@cache
def _room() -> tuple[Any, Sequence[int]]:
    """Room for the rectangles that PDFium writes, and where each goes."""
    room = np.zeros((_AT_ONCE, 4), np.float32)
    first, step = room.ctypes.data, room.strides[0]
    return room, range(first, first + _AT_ONCE * step, step)


def _boxes(textpage: pypdfium2.PdfTextPage, places: Sequence[int]) -> list[Box]:
    """(left, bottom, right, top) of the characters at `places`, with the room above and below."""
    box_of = direct("FPDFText_GetLooseCharBox", ctypes.c_int, ADDRESS, ctypes.c_int, ADDRESS)
    room, addresses = _room()
    handle = address(textpage.raw)
    boxes: list[Box] = []
    for first in range(0, len(places), _AT_ONCE):
        part = places[first : first + _AT_ONCE]
        room[: len(part)] = 0
        known = list(map(box_of, repeat(handle), part, addresses))
        # a rectangle of PDFium is left, top, right, bottom
        boxes += map(tuple, room[: len(part), (0, 3, 2, 1)].tolist())
        if not all(known):
            for number, found in enumerate(known, first):
                boxes[number] = boxes[number] if found else (0.0, 0.0, 0.0, 0.0)
    return boxes


def _word(
    text: str,
    start: int,
    end: int,
    first: tuple[float, float, float, float],
    last: tuple[float, float, float, float],
) -> Word:
    along = last[0] + last[2] - first[0] - first[2]
    up = last[1] + last[3] - first[1] - first[3]
    if abs(up) > 2 * abs(along):
        direction = 1 if up > 0 else 3
    else:
        direction = 2 if along < 0 and not _RIGHT_TO_LEFT.search(text) else 0
    return Word(
        start,
        end,
        text,
        min(first[0], last[0]),
        min(first[1], last[1]),
        max(first[2], last[2]),
        max(first[3], last[3]),
        direction,
    )


def _box(word: Word, turn: int) -> Box:
    """(left, top, right, bottom) as it is read."""
    if turn == 0:
        return word.left, -word.top, word.right, -word.bottom
    one, two = turned(turn, word.left, word.bottom), turned(turn, word.right, word.top)
    left, right = sorted((one[0], two[0]))
    top, bottom = sorted((one[1], two[1]))
    return left, top, right, bottom


def _piece(word: Word, box: Box, turn: int, hidden: bool, other: bool, index: int) -> Piece:
    left, top, right, bottom = box
    height = right - left if other and (word.direction - turn) % 2 else bottom - top
    piece = Piece(word.text, left, top, right, bottom, height, hidden, other, index)
    piece.words.append((left, right, word.text))
    return piece


def _runs_on(piece: Piece, box: Box, text: str) -> bool:
    if piece.text[-1] in HYPHENS:
        return False
    if piece.turned:
        return True
    left, top, right, bottom = box
    tall, height = piece.bottom - piece.top, bottom - top
    if abs(piece.top + piece.bottom - top - bottom) > 2 * max(tall, height):
        return False
    height = max(min(piece.height, height), 1.0)
    if left - piece.right > WIDE_GAP * height:
        return False
    if left >= piece.left:
        return True
    back = piece.left - right
    return back <= WIDE_GAP * height and (back <= height or bool(_RIGHT_TO_LEFT.search(text)))


def _extend(piece: Piece, box: Box, text: str) -> None:
    left, top, right, bottom = box
    piece.text += text
    piece.words.append((left, right, text.lstrip(" ")))
    if left < piece.left:
        piece.left = left
    if right > piece.right:
        piece.right = right
    if top < piece.top:
        piece.top = top
    if bottom > piece.bottom:
        piece.bottom = bottom
