"""How well a text was read, as figures; and the point from which it is not taken.

`garbled_share` is the share of characters that no text has: replacement and control characters,
private-use ones (fonts without a map to Unicode), and pairs that come from UTF-8 read as Latin-1.
Documents as people write them measure below .001; a page whose font has no map, or a text read in
the wrong encoding, above .3.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from ingest.documents import Document, Page, Scalar

REFUSED = 0.3  # a passage of which a third is wrong answers nothing, and is found by accident
POOR = 0.02  # one wrong character in fifty is one in every second line
POOR_CONFIDENCE = 0.75  # of OCR; below it a word in four is doubtful
MIN_CHARACTERS = 40  # a share of less text than this says nothing

_REPLACED = re.compile("[\ufffd\ufffe\uffff]")
_WRONG = re.compile(
    "[\ufffd\ufffe\uffff\ue000-\uf8ff\x00-\x08\x0b\x0e-\x1f\x7f-\x9f]"
    "|[\u00c2-\u00c3][\u0080-\u00bf]|\u00e2\u20ac[\u0080-\u2122]"
)


def garbled_share(text: str) -> float:
    """Share of the characters of `text` that no text has, 0..1; 0 for a text that is too short."""
    if len(text) < MIN_CHARACTERS or (text.isascii() and not _WRONG.search(text)):
        return 0.0
    return sum(len(match[0]) for match in _WRONG.finditer(text)) / len(text)


def judged(document: Document) -> Document:
    """The document with `garbled_share`, `replaced_share` and `poor_pages` among its figures.

    Figures that its loader has given stay, the worse of two shares counts. Figures that are 0 are
    left out.
    """
    text = document.text
    measured = {
        "garbled_share": garbled_share(text),
        "replaced_share": len(_REPLACED.findall(text)) / max(1, len(text)),
        "poor_pages": sum(bool(complaints(page.quality)) for page in document.pages),
    }
    worse = {
        name: round(value, 4) if isinstance(value, float) else value
        for name, value in measured.items()
        if value > _number(document.quality, name)
    }
    return replace(document, quality={**document.quality, **worse}) if worse else document


def refusal(document: Document) -> str:
    """Why the text does not enter the index, and the cure; "" for one that does."""
    share = _number(document.quality, "garbled_share")
    if share <= REFUSED:
        return ""
    if document.pages:
        cure = "save it again as PDF with its fonts embedded, or as images, which are read by OCR"
    else:
        cure = "save it again as UTF-8"
    return f"its text is garbled: {share:.0%} of the characters are none; {cure}"


def complaints(quality: Mapping[str, Scalar]) -> list[str]:
    """What is poor about a page or a document, in words, each with its figure; [] for nothing."""
    found = []
    if (share := _number(quality, "garbled_share")) > POOR:
        found.append(f"{share:.0%} garbled")
    if (share := _number(quality, "replaced_share")) > POOR:
        found.append(f"{share:.0%} of the bytes were damaged")
    if _is_doubtful(quality):
        confidence = _number(quality, "ocr_confidence")
        found.append(f"read by OCR with {confidence:.0%} confidence")
    if left := _number(quality, "ocr_pages_left"):
        found.append(f"{left:.0f} pages were not read, for lack of time")
    if quality.get("ocr_left"):
        found.append("not read, for lack of time")
    if left := _number(quality, "ocr_lines_left"):
        found.append(f"{left:.0f} lines were not read, for lack of time")
    if lost := _number(quality, "tables_lost"):
        found.append(f"{lost:.0f} tables lost")
    if lost := _number(quality, "parts_lost"):
        found.append(f"{lost:.0f} charts, diagrams or documents inside not read")
    if left := _number(quality, "images_undescribed"):
        found.append(f"{left:.0f} images not described ({quality.get('images_error', '')})")
    return found


def is_poor(quality: Mapping[str, Scalar]) -> bool:
    """Whether a document was read poorly, as a whole or on some of its pages."""
    return bool(complaints(quality)) or _number(quality, "poor_pages") > 0


def cure(page: Page | None, quality: Mapping[str, Scalar]) -> str:
    """What a person can do about a poor page or document."""
    if any(quality.get(name) for name in ("ocr_left", "ocr_pages_left", "ocr_lines_left")):
        return "raise `parse_timeout`, `kbqa remove` it and ingest it again"
    if _is_doubtful(quality):
        return "scan it again at 300 dpi, straight and in focus"
    if _number(quality, "tables_lost"):
        return "look at the original for its tables"
    if _number(quality, "parts_lost"):
        return "look at the original for its charts, diagrams and inserted documents"
    if _number(quality, "images_undescribed"):
        return "`kbqa remove` it and `kbqa ingest` it again once the vision model answers"
    if page is not None:
        return "save the file again with its fonts embedded"
    return "save the file again as UTF-8"


def _is_doubtful(quality: Mapping[str, Scalar]) -> bool:
    """Whether OCR was not sure of what it read."""
    is_ocr = "ocr_confidence" in quality and bool(quality.get("ocr", True))
    return is_ocr and _number(quality, "ocr_confidence") < POOR_CONFIDENCE


def _number(quality: Mapping[str, Scalar], name: str) -> float:
    value = quality.get(name, 0)
    return 0.0 if isinstance(value, str) else float(value)
