"""PDF: the text of each page by pypdfium2, its lines and hyphens put right.

31 of 32 phrases of docs-mixed stand in PDFium's raw text; the miss was its mark for a hyphen at a
line's end, which is taken out here. 500-700 pages/s. PDFium is not thread-safe: one lock.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from threading import Lock

import pypdfium2
import pypdfium2.raw as pdfium

from ingest.documents import Document, Page, Scalar
from ingest.errors import LoadError
from ingest.loaders.encoding import normalise
from ingest.loaders.registry import Source
from ingest.loaders.sections import sensible_title

MAX_PAGES = 50_000
_MAX_BROKEN = 50  # unreadable pages in a row: the page count is a lie (one file claims 99,999,999)
_TITLE_CHARACTERS = 2_000  # of the first page, searched for its largest line

_lock = Lock()
_HYPHEN = re.compile("[\x02\ufffe\xad]\n?")  # PDFium's mark for a hyphen that only broke the line
_BROKEN_WORD = re.compile(r"(?<=[a-zà-öø-ÿ]{2})-\n(?=[a-zà-öø-ÿ]{2})")
_WIDE = "\u3400-\u4dbf\u4e00-\u9fff\u3040-\u30ff\uf900-\ufaff，、；：（）《》“”"
_WIDE_END = re.compile(f"[{_WIDE}]$")
_WIDE_START = re.compile(f"^[{_WIDE}。！？]")
_GARBLED = re.compile("[\ufffd\ue000-\uf8ff]")


def load_pdf(source: Source) -> Document:
    """A PDF with its pages; raises LoadError for encrypted, damaged and scanned ones."""
    with _lock:
        try:
            pdf = pypdfium2.PdfDocument(source.data)
        except pypdfium2.PdfiumError as exc:
            raise LoadError(source.uri, _reason(str(exc))) from exc
        with closing(pdf):
            texts = list(_page_texts(pdf))
            title = sensible_title(_named_title(pdf)) or (_largest_line(pdf) if texts else "")
    return _document(source, texts, title)


def _document(source: Source, texts: list[str], title: str) -> Document:
    if not texts:
        raise LoadError(source.uri, "is damaged: none of its pages can be read")
    text, pages = _join_pages(texts)
    if not text.strip():
        raise LoadError(source.uri, f"looks like a scan: no text on {len(texts)} page(s)")
    return Document(
        uri=source.uri,
        sha256=source.sha256,
        text=text,
        title=title or source.stem,
        media_type=source.media_type,
        pages=pages,
        metadata={"pages": len(texts)},
        quality=_quality(texts, text),
    )


def _reason(message: str) -> str:
    if "password" in message.lower():
        return "is password protected"
    if "security" in message.lower():
        return "is encrypted in a way that is not supported"
    return "is damaged: no PDF that can be opened"


def _page_texts(pdf: pypdfium2.PdfDocument) -> Iterator[str]:
    """The text of each page; "" for a page that cannot be read."""
    broken, unread = 0, 0
    for index in range(min(len(pdf), MAX_PAGES)):
        text = _page_text(pdf, index)
        if text is None:
            broken += 1
            unread += 1
            if broken >= _MAX_BROKEN:
                return
            continue
        yield from [""] * unread
        broken = unread = 0
        yield text


def _page_text(pdf: pypdfium2.PdfDocument, index: int) -> str | None:
    try:
        with closing(pdf[index]) as page, closing(page.get_textpage()) as textpage:
            return _tidy(textpage.get_text_range(errors="replace"))
    except pypdfium2.PdfiumError:
        return None


def _tidy(raw: str) -> str:
    """Lines without blanks at their ends, split words and Chinese lines joined."""
    text = _HYPHEN.sub("", raw.replace("\r\n", "\n").replace("\r", "\n"))
    text = _BROKEN_WORD.sub("", normalise(text).replace("\f", "\n"))
    lines = [" ".join(line.split()) for line in text.split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(_join_wide(lines))).strip("\n")


def _join_wide(lines: list[str]) -> list[str]:
    """Chinese knows no blank at a line's end: a full line and the next are one, or words break."""
    lengths = sorted(len(line) for line in lines if _WIDE_END.search(line))
    full = 0.9 * lengths[int(0.9 * (len(lengths) - 1))] if lengths else 0.0
    joined: list[str] = []
    previous = ""  # the last line as it stood on the page
    for line in lines:
        runs_on = len(previous) >= max(full, 12) and _WIDE_END.search(previous)
        if joined and runs_on and _WIDE_START.match(line):
            joined[-1] += line
        else:
            joined.append(line)
        previous = line
    return joined


def _join_pages(texts: list[str]) -> tuple[str, tuple[Page, ...]]:
    """One text, a blank line between pages, and each page's span in it."""
    pages: list[Page] = []
    start = 0
    for number, text in enumerate(texts, 1):
        pages.append(Page(number, start, start + len(text)))
        start += len(text) + 2
    return "\n\n".join(texts), tuple(pages)


def _quality(texts: list[str], text: str) -> dict[str, Scalar]:
    """Pages without text (scans, figures), and the share of characters without a meaning."""
    empty = sum(1 for page in texts if not page.strip())
    garbled = len(_GARBLED.findall(text)) / len(text)
    quality: dict[str, Scalar] = {"pages_without_text": empty} if empty else {}
    return quality | ({"replaced_share": round(garbled, 4)} if garbled else {})


def _named_title(pdf: pypdfium2.PdfDocument) -> str:
    return normalise(str(pdf.get_metadata_value("Title") or ""))


def _largest_line(pdf: pypdfium2.PdfDocument) -> str:
    """The first line of the first page in its largest type; "" where all type is of one size."""
    try:
        with closing(pdf[0]) as page, closing(page.get_textpage()) as textpage:
            sized = list(_sized_characters(textpage))
    except pypdfium2.PdfiumError:
        return ""
    sizes = [size for _, size in sized]
    if not sizes or max(sizes) < 1.15 * sorted(sizes)[len(sizes) // 2]:
        return ""
    line, largest = [], max(sizes)
    for character, size in sized:
        if size > 0.95 * largest:
            line.append(character)
        elif line and character.strip():
            break
    title = sensible_title(normalise(_HYPHEN.sub("", "".join(line))))
    return title if 4 <= len(title) <= 150 else ""


def _sized_characters(textpage: pypdfium2.PdfTextPage) -> Iterator[tuple[str, float]]:
    """(character, height in points) of the page's first characters; blanks take the last height."""
    size = 0.0
    matrix = pdfium.FS_MATRIX()
    for index in range(min(textpage.count_chars(), _TITLE_CHARACTERS)):
        character = chr(pdfium.FPDFText_GetUnicode(textpage, index))
        if not character.isspace():
            scale = 1.0
            if pdfium.FPDFText_GetMatrix(textpage, index, matrix):
                scale = (matrix.c**2 + matrix.d**2) ** 0.5
            size = pdfium.FPDFText_GetFontSize(textpage, index) * scale
        yield character, size
