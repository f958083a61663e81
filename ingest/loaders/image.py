"""Images: what is written in them, by OCR; the image itself stays a reference by its mark.

Sizes are looked at before a pixel is decoded. TIFFs are read frame by frame, a page each; of
animations the first frame counts. Long pictures are read in parts.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from functools import cache

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ingest.documents import Document, Scalar
from ingest.errors import LoadError
from ingest.loaders.image_tiles import Tile, longest_side, tiles_of, together
from ingest.loaders.ocr import MAX_SIDE, Reading
from ingest.loaders.ocr_models import Pixels
from ingest.loaders.pdf_headings import set_headings
from ingest.loaders.pdf_hyphens import settle_hyphens
from ingest.loaders.pdf_layout import lines_of
from ingest.loaders.pdf_quality import summary
from ingest.loaders.pdf_scans import OcrBudget
from ingest.loaders.pdf_text import PageText, assembled, passages_of
from ingest.loaders.registry import Source

MAX_PIXELS = 100_000_000  # of a frame: 300 MB in three colours
NO_TEXT = "no text found in the image"
MAX_FRAMES = 1_000
_SMALL_SIDE = 700  # pixels; small pictures are enlarged: letters of 8 pixels are read badly
DAMAGED = (OSError, ValueError, SyntaxError, EOFError, RuntimeError)  # what Pillow raises then
_FORMATS = ("PNG", "JPEG", "MPO", "TIFF", "WEBP", "BMP", "DIB", "GIF", "HEIF", "AVIF")


def load_image(source: Source, *, ocr_seconds: float | None = None) -> Document:
    """The text in an image; LoadError where it is damaged, too large, or without text."""
    _register_heif()
    budget = OcrBudget(ocr_seconds, MAX_FRAMES)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of damaged metadata and large sizes: we look ourselves
        with _opened(source) as image:
            width, height, frames = image.width, image.height, getattr(image, "n_frames", 1)
            pages = list(_pages(source, image, budget))
    settle_hyphens(pages)
    set_headings(pages, ())
    text, spans, sections, marks = assembled(pages)
    quality: dict[str, Scalar] = {**summary(pages), "images": len(pages)}
    if not text.strip():
        raise LoadError(source.uri, _why_empty(quality))
    return Document(
        uri=source.uri,
        sha256=source.sha256,
        text=text,
        title=source.stem,
        media_type=source.media_type,
        pages=spans,
        sections=sections,
        metadata={"width": width, "height": height, "pages": frames},
        quality=quality,
        marks=marks,
    )


def picture(source: Source) -> Pixels:
    """The first frame as `load_image` sees it: upright, in three colours, at most `MAX_SIDE`."""
    _register_heif()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with _opened(source) as image:
            try:
                return _pixels(source, image, MAX_SIDE)
            except DAMAGED as exc:
                raise LoadError(source.uri, f"is damaged: {_line(exc)}") from exc


def _why_empty(quality: dict[str, Scalar]) -> str:
    if quality.get("ocr_pages_left"):
        return "was not read within the time that OCR has"
    return NO_TEXT


@cache
def _register_heif() -> None:
    from pillow_heif import register_heif_opener

    register_heif_opener(thumbnails=False)


def _opened(source: Source) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(source.data), formats=_known_formats())
    except UnidentifiedImageError as exc:
        raise LoadError(source.uri, "is damaged: no image that can be opened") from exc
    except Image.DecompressionBombError as exc:
        raise LoadError(source.uri, "is too large: more pixels than an image may have") from exc
    except DAMAGED as exc:
        raise LoadError(source.uri, f"is damaged: {_line(exc)}") from exc
    return image


@cache
def _known_formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _pages(source: Source, image: Image.Image, budget: OcrBudget) -> Iterator[PageText]:
    """One page of a picture, one per frame of a TIFF; a damaged frame ends the file."""
    frames = getattr(image, "n_frames", 1) if image.format == "TIFF" else 1
    for index in range(min(frames, MAX_FRAMES)):
        try:
            if index:
                image.seek(index)
            pixels = _pixels(source, image, longest_side(*image.size))
        except DAMAGED as exc:
            if index == 0:
                raise LoadError(source.uri, f"is damaged: {_line(exc)}") from exc
            yield PageText(index + 1, [], {"unreadable": True})
            return
        yield _page(pixels, index + 1, budget)


def _page(pixels: Pixels, number: int, budget: OcrBudget) -> PageText:
    tiles = tiles_of(pixels)
    read: list[tuple[Tile, Reading]] = []
    for tile in tiles:
        if not budget.allows():
            break
        read.append((tile, budget.read(tile.of(pixels))))
    if not read:
        return PageText(number, [], {"ocr_left": True})
    reading = together(read)
    passages = passages_of(lines_of(reading.pieces))
    facts: dict[str, Scalar] = {
        "characters": reading.characters,
        "ocr": True,
        "ocr_confidence": reading.confidence,
    }
    if reading.dropped_share:
        facts["ocr_dropped_share"] = reading.dropped_share
    if reading.lines_left:
        facts["ocr_lines_left"] = reading.lines_left
    if len(read) < len(tiles):
        facts["ocr_left"] = True
    return PageText(number, passages, facts, image=f"page {number}")


def _pixels(source: Source, image: Image.Image, most: int) -> Pixels:
    """The frame upright, in three colours, at a size that OCR reads well; `most` pixels long."""
    if image.width * image.height > MAX_PIXELS:
        size = f"{image.width:,} x {image.height:,}"
        raise LoadError(source.uri, f"is too large: {size} pixels of {MAX_PIXELS:,} at most")
    image.draft("RGB", (most, most))  # JPEG decodes at a fraction of its size
    frame: Image.Image = image.convert("L") if image.mode == "1" else image
    if max(image.size) > 2 * most and frame.mode in ("L", "RGB", "RGBA", "CMYK"):
        exif = frame.getexif()
        frame = frame.reduce(max(image.size) // most)
        frame.getexif().update(exif)
    frame = ImageOps.exif_transpose(frame)
    frame = _on_white(frame)
    longest = max(frame.size)
    if longest > most or longest < _SMALL_SIDE:
        scale = most / longest if longest > most else 2.0
        width, height = (max(round(side * scale), 1) for side in frame.size)
        frame = frame.resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(frame, dtype=np.uint8)


def _on_white(image: Image.Image) -> Image.Image:
    """In three colours; what is transparent shows white paper, 16 bits become 8."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        numbers = np.asarray(image, dtype=np.float32)
        top = max(float(numbers.max()), 1.0)
        image = Image.fromarray((numbers * (255.0 / top)).clip(0, 255).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(ground, image)
    return image.convert("RGB")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:150] or type(error).__name__
