"""Pages that must be looked at: scans, drawings of text, garbled text. Rendering and the budget."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import pypdfium2
import pypdfium2.raw as pdfium

from ingest.loaders.ocr import MAX_SIDE, Reading, read_pixels
from ingest.loaders.ocr_models import Pixels
from ingest.loaders.pace import pace
from ingest.loaders.pdf_pieces import Word

_DOTS = 200 / 72  # pixels per point: 200 dots per inch, less on large pages
_MIN_SIDE = 16  # pixels; a page a thousand times as long as wide shows nothing
_FEW = 100  # characters: a stamp or a footer on a scan
_SPARSE = 0.04  # of the page: so are more of them, in small type; a page of prose covers a quarter
_LARGE_IMAGE = 0.5  # of the page
_MAX_OBJECTS = 2_000
_GARBLED = 0.3


@dataclass(slots=True)
class OcrBudget:
    """Seconds and pages that OCR may take for one document, and what it took.

    The next page is begun only if the mean of those before still fits; lines of a page that are
    left when the time is over, for it or for the document, stay unread. None: see `pace`.
    """

    seconds: float | None
    pages: int
    done: int = 0
    started: float = field(default_factory=time.monotonic)
    spent: float = 0.0

    def allows(self) -> bool:
        mean = self.spent / self.done if self.done else 0.0
        used = time.monotonic() - self.started
        return self.done < self.pages and used + mean <= self._total

    def read(self, pixels: Pixels) -> Reading:
        begun = time.monotonic()
        until = min(self.started + self._total, begun + pace.page)
        reading = read_pixels(pixels, until=until)
        self.done += 1
        self.spent += time.monotonic() - begun
        pace.go_on()
        return reading

    @property
    def _total(self) -> float:
        return pace.document if self.seconds is None else self.seconds


def needs_reading(page: pypdfium2.PdfPage, characters: int, garbled: float) -> bool:
    """Whether the page's own text cannot be all of it, or is of no use."""
    if garbled >= _GARBLED:
        return True
    if characters >= _FEW:
        return False
    drawn, image_share = _drawn(page)
    if characters == 0:
        return drawn
    return image_share >= _LARGE_IMAGE


def may_be_stamped(page: pypdfium2.PdfPage, words: Sequence[Word]) -> bool:
    """Whether the words, however many, are little beside a picture that is most of the page."""
    left, bottom, right, top = page.get_bbox()
    covered = sum((word.right - word.left) * (word.top - word.bottom) for word in words)
    if covered >= _SPARSE * (right - left) * (top - bottom):
        return False
    return _drawn(page)[1] >= _LARGE_IMAGE


def rendered(page: pypdfium2.PdfPage) -> Pixels | None:
    """The page in pixels, MAX_SIDE at most; None where it has no sensible shape."""
    width, height = page.get_size()
    longest = max(width, height)
    if longest <= 0:
        return None
    scale = min(_DOTS, MAX_SIDE / longest)
    if min(width, height) * scale < _MIN_SIDE:
        return None
    bitmap = page.render(scale=scale, rev_byteorder=True)
    try:
        pixels: Pixels = bitmap.to_numpy().copy()
    finally:
        bitmap.close()
    return pixels


def _drawn(page: pypdfium2.PdfPage) -> tuple[bool, float]:
    """(whether anything is drawn, share of the page that the largest image or form covers)."""
    count = pdfium.FPDFPage_CountObjects(page.raw)
    left, bottom, right, top = page.get_bbox()
    area = max((right - left) * (top - bottom), 1.0)
    largest = 0.0
    for index in range(min(count, _MAX_OBJECTS)):
        item = pypdfium2.PdfObject(pdfium.FPDFPage_GetObject(page.raw, index), page=page)
        if item.type not in (pdfium.FPDF_PAGEOBJ_IMAGE, pdfium.FPDF_PAGEOBJ_FORM):
            continue
        x, y, x2, y2 = item.get_bounds()
        seen = max(min(x2, right) - max(x, left), 0.0) * max(min(y2, top) - max(y, bottom), 0.0)
        largest = max(largest, seen / area)
    return count > 0, largest
