"""Text in pixels, by rapidocr's networks on OpenVINO; its wheel carries them, nothing is fetched.

Loaded once per process, on first use (1-3 s). Recognition takes nine tenths of the time, 0.1 s for
a line of 80 letters: lines are read small, and those that this reads badly again as large as the
network was made for. One lock: a network serves one caller.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from threading import Lock

import numpy as np

from ingest.loaders.ocr_models import Pixels, line_text, lines_in
from ingest.loaders.pdf_pieces import Piece

MAX_SIDE = 2_000  # pixels of the picture that is read; an A4 page at 170 dots per inch
_MIN_CONFIDENCE = 0.6  # of a line; below it stand textures, rulings and foreign scripts
_MIN_CONFIDENCE_SHORT = 0.8  # of one or two characters: specks look like those
_POOR = 0.8  # mean confidence below which the page may lie on its side or head
_LINE_HEIGHT = 48  # pixels, what the network was trained on: 40 cost a third less and letters
_ALWAYS_READ = 6  # lines, however late it is
_REMEMBERED = 64  # pictures; forms and blank sheets repeat within a document
_BLANK_CONTRAST = 24  # of 255

_lock = Lock()
_seen: OrderedDict[bytes, Reading] = OrderedDict()


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read: lines with boxes in pixels of the upright picture, and how surely.

    `confidence` is the mean over characters (0..1, 0 without text), `dropped_share` the share of
    characters in lines that were too doubtful to keep, `turned` the quarter turns to the left that
    made the picture upright, `lines_left` the lines found that there was no time to read.
    """

    pieces: tuple[Piece, ...] = ()
    confidence: float = 0.0
    dropped_share: float = 0.0
    turned: int = 0
    lines_left: int = 0

    @property
    def characters(self) -> int:
        return sum(len(piece.text) for piece in self.pieces)


@dataclass(slots=True)
class _Lines:
    pieces: list[Piece] = field(default_factory=list)
    left: int = 0  # not read for lack of time
    upright: int = 0  # boxes wider than high, less those that are not


def read_pixels(pixels: Pixels, *, until: float = float("inf")) -> Reading:
    """The lines in a picture, of any orientation by quarter turns.

    At `until` (of `time.monotonic`) reading stops, some lines unread; the first are always read.
    """
    pixels = _coloured(pixels)
    if is_blank(pixels):
        return Reading()
    key = hashlib.blake2b(np.ascontiguousarray(pixels).data, digest_size=16).digest()
    with _lock:
        if key in _seen:
            return _seen[key]
        reading = _best(pixels, until)
        if not reading.lines_left:
            _seen[key] = reading
        if len(_seen) > _REMEMBERED:
            _seen.popitem(last=False)
    return reading


def is_blank(pixels: Pixels) -> bool:
    """Whether there is nothing to see: no pixel differs much from the others."""
    sample = pixels[::2, ::2]
    if sample.size == 0:
        return True
    return int(sample.max()) - int(sample.min()) < _BLANK_CONTRAST


def _coloured(pixels: Pixels) -> Pixels:
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[:, :, None], 3, axis=2)
    return pixels[:, :, :3]


def _best(pixels: Pixels, until: float) -> Reading:
    """Upright first; the other ways only where that reads badly."""
    lines = _lines(pixels, until)
    sideways = lines.upright < 0
    reading = _reading(lines, 0)
    if not sideways and (reading.confidence >= _POOR and reading.dropped_share < 0.3):
        return reading
    if not lines.pieces or time.monotonic() > until:
        return reading
    turns = (1, 3) if sideways else (2,)
    readings = [reading]
    for turn in turns:
        readings.append(_reading(_lines(np.ascontiguousarray(np.rot90(pixels, turn)), until), turn))
        if readings[-1].confidence > 0.95:
            break
    if sideways and max(r.confidence for r in readings[1:]) > 0.6:
        del readings[0]
    return max(readings, key=lambda r: r.confidence * (1 - r.dropped_share) * (r.characters > 0))


def _reading(lines: _Lines, turned: int) -> Reading:
    kept = [piece for piece in lines.pieces if piece.confidence >= _needed(piece.text)]
    total = sum(len(piece.text) for piece in lines.pieces)
    characters = sum(len(piece.text) for piece in kept)
    if not characters:
        return Reading(dropped_share=1.0 if total else 0.0, turned=turned)
    weighted = sum(len(piece.text) * piece.confidence for piece in kept)
    return Reading(
        tuple(kept),
        round(weighted / characters, 4),
        round(1 - characters / total, 4),
        turned,
        lines.left,
    )


def _needed(text: str) -> float:
    return _MIN_CONFIDENCE if len(text) > 2 else _MIN_CONFIDENCE_SHORT


def _lines(pixels: Pixels, until: float) -> _Lines:
    boxes, crops = lines_in(pixels)
    lines = _Lines()
    for index, (box, crop) in enumerate(zip(boxes, crops, strict=True)):
        if index >= _ALWAYS_READ and time.monotonic() > until:
            lines.left = len(crops) - index
            return lines
        text, score = line_text(crop, _LINE_HEIGHT)
        piece = _piece(box, " ".join(text.split()), score, index)
        if piece.text:
            lines.pieces.append(piece)
            if len(piece.text) > 2:
                width, height = piece.width, piece.bottom - piece.top
                lines.upright += 1 if width > height else -1 if height > 1.5 * width else 0
    return lines


def _piece(box: Iterable[Sequence[float]], text: str, score: float, index: int) -> Piece:
    xs, ys = zip(*((float(x), float(y)) for x, y in box), strict=True)
    left, right, top, bottom = min(xs), max(xs), min(ys), max(ys)
    return Piece(
        text,
        left,
        top,
        right,
        bottom,
        bottom - top,
        index=index,
        words=[(left, right, text)],
        confidence=score,
    )
