"""Text in pixels, by rapidocr on OpenVINO; its wheel carries the models, nothing is fetched.

Loaded once per process, on first use (1-3 s). Detection works on a smaller copy, recognition on the
full picture: detection is what takes the time. One lock: the engine keeps state between its steps.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.loaders.pdf_pieces import Piece
from ingest.openvino_import import without_telemetry

Pixels = NDArray[np.uint8]
"""Height x width x 3, or height x width."""

MAX_SIDE = 2_000  # pixels of the picture that is read; an A4 page at 170 dots per inch
_DETECTION_SIDE = 1_216
_MIN_CONFIDENCE = 0.6  # of a line; below it stand textures, rulings and foreign scripts
_MIN_CONFIDENCE_SHORT = 0.8  # of one or two characters: specks look like those
_POOR = 0.8  # mean confidence below which the page may lie on its side or head
_THREADS = 2
_LINE_HEIGHT = 48  # pixels, of the recognition model
_LENGTH_STEP = 160
_BATCH = 6  # lines, the engine's own batch
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
    lines = _Lines()
    engine = _engine()
    from rapidocr.main import RapidOCRError

    try:
        crops, found = engine.detect_and_crop(pixels, {})
    except RapidOCRError:  # its way to say that there is no text
        return lines
    read, lines.left = _recognised([_padded(crop) for crop in crops], until)
    for index, (box, (text, score)) in enumerate(zip(found.boxes, read, strict=True)):
        piece = _piece(box, " ".join(text.split()), score, index)
        if piece.text:
            lines.pieces.append(piece)
            if len(piece.text) > 2:
                width, height = piece.width, piece.bottom - piece.top
                lines.upright += 1 if width > height else -1 if height > 1.5 * width else 0
    return lines


def _recognised(crops: Sequence[Pixels], until: float) -> tuple[list[tuple[str, float]], int]:
    """(text, confidence) of each line, ("", 0) for those not read, and how many those are."""
    read = [("", 0.0)] * len(crops)
    order = sorted(range(len(crops)), key=lambda n: crops[n].shape[1] / crops[n].shape[0])
    for first in range(0, len(order), _BATCH):
        if first and time.monotonic() > until:
            return read, len(order) - first
        part = order[first : first + _BATCH]
        found = _engine().recognize_txt([crops[number] for number in part])
        for number, text, score in zip(part, found.txts, found.scores, strict=True):
            read[number] = (str(text), float(score))
    return read, 0


def _padded(crop: Pixels) -> Pixels:
    """The picture of a line made as long as a step of the scale: a new length costs a compilation.

    Grey is what the engine itself fills up with.
    """
    height, width = crop.shape[:2]
    scaled = max(width * _LINE_HEIGHT / height, 1.0)
    wanted = -(-scaled // _LENGTH_STEP) * _LENGTH_STEP
    missing = int(wanted * height / _LINE_HEIGHT) - width
    if missing <= 0:
        return crop
    return np.pad(crop, ((0, 0), (0, missing), (0, 0)), constant_values=127)


def _piece(box: Sequence[Sequence[float]], text: str, score: float, index: int) -> Piece:
    xs, ys = [float(x) for x, _ in box], [float(y) for _, y in box]
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


@cache
def _engine() -> Any:
    """The engine, its loggers silenced: a library does not write to the terminal."""
    logging.getLogger("RapidOCR").setLevel(logging.CRITICAL)
    without_telemetry()
    from rapidocr import EngineType, RapidOCR

    parameters: dict[str, object] = {
        f"{part}.engine_type": EngineType.OPENVINO for part in ("Det", "Cls", "Rec")
    }
    parameters |= {
        "Global.log_level": "critical",
        "Global.max_side_len": MAX_SIDE,
        "Det.limit_type": "max",
        "Det.limit_side_len": _DETECTION_SIDE,
        "EngineConfig.openvino.inference_num_threads": _THREADS,
    }
    with contextlib.redirect_stdout(None):
        return RapidOCR(params=parameters)
