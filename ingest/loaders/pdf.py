"""PDF: pages in reading order, tables by rows, headings, and OCR where a page has no text to give.

PDFium reads characters and their places (pdf_pieces), pdf_layout orders them, pdf_text joins them.
The costly steps run only where they can matter: rules are read on pages with cells side by side,
pixels are drawn on pages without usable text. PDFium is not thread-safe: one lock.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, suppress
from itertools import pairwise
from threading import RLock

import pypdfium2

from ingest.documents import Document, Scalar
from ingest.errors import LoadError
from ingest.loaders.encoding import normalise
from ingest.loaders.ocr import Reading
from ingest.loaders.pdf_annotations import annotation_pieces
from ingest.loaders.pdf_boilerplate import set_boilerplate
from ingest.loaders.pdf_code import set_code
from ingest.loaders.pdf_continued import continue_tables
from ingest.loaders.pdf_headings import Entry, largest_line, set_headings
from ingest.loaders.pdf_hidden import concealed_words
from ingest.loaders.pdf_hyphens import settle_hyphens
from ingest.loaders.pdf_layout import Line, lines_of
from ingest.loaders.pdf_pieces import HYPHENS, Piece, pieces_of, turn_of, words_of
from ingest.loaders.pdf_quality import garbled_share, meaningless_share, summary
from ingest.loaders.pdf_rules import rules_of, with_tables
from ingest.loaders.pdf_scans import OcrBudget, may_be_stamped, needs_reading, rendered
from ingest.loaders.pdf_text import PageText, assembled, passages_of
from ingest.loaders.registry import Source
from ingest.loaders.sections import sensible_title

MAX_PAGES = 50_000
OCR_PAGES = 1_000
_MAX_BROKEN = 50  # unreadable pages in a row: the page count is a lie (one file claims 99,999,999)
_MAX_ENTRIES = 5_000  # of the outline
_OCR_LAYER = 0.8  # of a page's characters are invisible, over ink: OCR read them on the scan
_MEANINGLESS = 0.5  # share from which a text is left out
_SAME_LINE = 3.0  # points, twice the distance of the middles
_MUCH_MORE = 1.5  # times the characters of the text over a picture: it is no ground for that text
_BEATS = 0.8  # confidence from which OCR replaces a garbled text

_lock = RLock()
_NO_CHARACTERS = re.compile(f"[\\s{HYPHENS}]+")


def load_pdf(
    source: Source, *, ocr_seconds: float | None = None, ocr_pages: int = OCR_PAGES
) -> Document:
    """A PDF with its pages, sections and marks.

    Pages that need OCR are read until `ocr_seconds` (by default those of `pace`) or `ocr_pages` are
    used up; those left over are empty, and `quality["ocr_pages_left"]` counts them. Raises
    LoadError for encrypted and damaged files, and where no page has text.
    """
    budget = OcrBudget(ocr_seconds, ocr_pages)
    with locked(), closing(open_pdf(source)) as pdf:
        pages = list(_pages(pdf, budget))
        outline = list(_outline(pdf))
        title = sensible_title(_named_title(pdf))
    if not pages:
        raise LoadError(source.uri, "is damaged: none of its pages can be read")
    return _document(source, pages, outline, title)


def locked() -> AbstractContextManager[object]:
    """PDFium is used by one thread at a time."""
    return _lock


def open_pdf(source: Source) -> pypdfium2.PdfDocument:
    """The file, opened with the empty password; LoadError says why it cannot be."""
    try:
        pdf = pypdfium2.PdfDocument(source.data)
    except pypdfium2.PdfiumError as exc:
        raise LoadError(source.uri, _reason(str(exc))) from exc
    with suppress(pypdfium2.PdfiumError):
        pdf.init_forms()
    return pdf


def _reason(message: str) -> str:
    if "password" in message.lower():
        return "is password protected"
    if "security" in message.lower():
        return "is encrypted in a way that is not supported"
    return "is damaged: no PDF that can be opened"


def _document(
    source: Source, pages: Sequence[PageText], outline: Sequence[Entry], title: str
) -> Document:
    settle_hyphens(pages)
    set_boilerplate(pages)
    continue_tables(pages)
    title = title or _shown_title(pages[0])
    set_headings(pages, outline)
    set_code(pages)
    text, spans, sections, marks = assembled(pages)
    quality = summary(pages)
    if not text.strip():
        raise LoadError(source.uri, _why_empty(len(pages), quality))
    return Document(
        uri=source.uri,
        sha256=source.sha256,
        text=text,
        title=title or source.stem,
        media_type=source.media_type,
        pages=spans,
        sections=sections,
        metadata={"pages": len(pages)},
        quality=quality,
        marks=marks,
    )


def _why_empty(pages: int, quality: dict[str, Scalar]) -> str:
    left = quality.get("ocr_pages_left")
    if left:
        return f"looks like a scan: no text on {pages} page(s), {left} not read for lack of time"
    return f"holds no text that can be read on {pages} page(s)"


def _pages(pdf: pypdfium2.PdfDocument, budget: OcrBudget) -> Iterator[PageText]:
    """Each page; empty where it cannot be read, none after many such in a row."""
    unread: list[PageText] = []
    for index in range(min(len(pdf), MAX_PAGES)):
        page = _page(pdf, index, budget)
        if page is None:
            unread.append(PageText(index + 1, [], {"unreadable": True}))
            if len(unread) >= _MAX_BROKEN:
                return
            continue
        yield from unread
        unread = []
        yield page


def _page(pdf: pypdfium2.PdfDocument, index: int, budget: OcrBudget) -> PageText | None:
    try:
        with closing(pdf[index]) as page:
            return _page_text(pdf, page, index + 1, budget)
    except pypdfium2.PdfiumError:
        return None


def _page_text(
    pdf: pypdfium2.PdfDocument, page: pypdfium2.PdfPage, number: int, budget: OcrBudget
) -> PageText:
    with closing(page.get_textpage()) as textpage:
        text, words = words_of(textpage)
        concealed = concealed_words(page, textpage, words)
    turn = turn_of(words)
    hidden, quality = concealed.hidden, dict[str, Scalar]()
    if words and all(hidden):  # an OCR layer whose scan is gone: the only text that there is
        hidden = [False] * len(words)
        quality["ocr_layer"] = True
    seen = [word for word, unseen in zip(words, hidden, strict=True) if not unseen]
    shown = sum(len(word.text) for word in seen)
    if concealed.on_ink > _OCR_LAYER * shown:
        quality["ocr_layer"] = True
    garbled = garbled_share(text)
    pieces = pieces_of(text, words, hidden, turn)
    if needs_reading(page, shown, garbled):
        own = _page_of(number, lines_of(pieces), {}, page, garbled)
        return _read_page(page, own, budget, pieces, garbled)
    pieces += annotation_pieces(pdf, page, turn)
    if _may_have_tables(pieces):
        pieces = with_tables(pieces, rules_of(page, turn))
    own = _page_of(number, lines_of(pieces), quality, page, garbled)
    if "ocr_layer" not in quality and may_be_stamped(page, seen):
        return _read_page(page, own, budget, pieces, garbled, needed=_MUCH_MORE)
    return own


def _may_have_tables(pieces: Sequence[Piece]) -> bool:
    """Whether pieces stand beside each other on two lines at least."""
    middles = sorted(piece.top + piece.bottom for piece in pieces if not piece.hidden)
    return sum(1 for one, two in pairwise(middles) if two - one < _SAME_LINE) >= 2


def _read_page(
    page: pypdfium2.PdfPage,
    own: PageText,
    budget: OcrBudget,
    pieces: Sequence[Piece],
    garbled: float,
    *,
    needed: float = 1.0,
) -> PageText:
    """The page by OCR, unless its own text turns out to be the better one.

    `needed` is how many times as many characters OCR must find.
    """
    if not budget.allows():
        own.quality["ocr_left"] = True
        return _with_meaning(own)
    pixels = rendered(page)
    reading = budget.read(pixels) if pixels is not None else Reading()
    if not reading.pieces or (garbled < 1 and reading.characters < needed * _shown(own)):
        return _with_meaning(own)
    if garbled and pieces and reading.confidence < _BEATS:
        return _with_meaning(own)
    quality: dict[str, Scalar] = {"ocr": True, "ocr_confidence": reading.confidence}
    if reading.dropped_share:
        quality["ocr_dropped_share"] = reading.dropped_share
    if reading.lines_left:
        quality["ocr_lines_left"] = reading.lines_left
    if reading.turned:
        quality["ocr_turned"] = 90 * reading.turned
    lines = lines_of(reading.pieces)
    lines += [line for line in lines_of(pieces) if line.hidden]
    read = _page_of(own.number, lines, quality, page, 0.0)
    read.image = f"page {own.number}"
    return read


def _with_meaning(page: PageText) -> PageText:
    """The page, without its text where most of that means nothing."""
    if meaningless_share(" ".join(passage.text for passage in page.passages)) >= _MEANINGLESS:
        return PageText(page.number, [], page.quality | {"characters": 0, "text_dropped": True})
    return page


def _shown(page: PageText) -> int:
    return sum(len(passage.text) for passage in page.passages)


def _page_of(
    number: int,
    lines: Sequence[Line],
    quality: dict[str, Scalar],
    page: pypdfium2.PdfPage,
    garbled: float,
) -> PageText:
    passages = passages_of(lines)
    characters = sum(len(_NO_CHARACTERS.sub("", passage.text)) for passage in passages)
    width, height = page.get_size()
    inches = max(width * height / 72**2, 1.0)
    facts: dict[str, Scalar] = {
        "characters": characters,
        "text_density": round(characters / inches, 2),
    }
    if garbled:
        facts["garbled_share"] = garbled
    return PageText(number, passages, facts | quality)


def _outline(pdf: pypdfium2.PdfDocument) -> Iterator[Entry]:
    """The document's outline, as far as it can be read."""
    with suppress(pypdfium2.PdfiumError):
        for count, mark in enumerate(pdf.get_toc(max_depth=6)):
            if count >= _MAX_ENTRIES:
                return
            target = mark.get_dest()
            index = target.get_index() if target else None
            title = " ".join(normalise(str(mark.get_title())).split())
            if title and index is not None:
                yield Entry(title, mark.level + 1, index + 1)


def _named_title(pdf: pypdfium2.PdfDocument) -> str:
    return normalise(str(pdf.get_metadata_value("Title") or ""))


def _shown_title(page: PageText) -> str:
    """The first page's largest lines, if they make a title."""
    if page.quality.get("ocr"):
        return ""
    title = sensible_title(largest_line(page))
    return title if 4 <= len(title) <= 150 else ""
