"""What is written on a page without being part of it: values of form fields, free text notes."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import suppress

import pypdfium2
import pypdfium2.raw as pdfium

from ingest.loaders.encoding import normalise
from ingest.loaders.pdf_pieces import Piece, turned

_MAX_ANNOTATIONS = 2_000  # of a page; most are links
_MAX_TEXT = 20_000  # characters of one
_HIDDEN = 0x02 | 0x20  # flags of PDF 1.7, table 165: hidden, no view
_LINE_HEIGHT = 12.0


def annotation_pieces(
    pdf: pypdfium2.PdfDocument, page: pypdfium2.PdfPage, turn: int
) -> Iterator[Piece]:
    """The texts of the page's fields and free text notes, where they stand."""
    for index in range(min(pdfium.FPDFPage_GetAnnotCount(page.raw), _MAX_ANNOTATIONS)):
        annotation = pdfium.FPDFPage_GetAnnot(page.raw, index)
        if not annotation:
            continue
        try:
            yield from _pieces(pdf, annotation, turn)
        finally:
            pdfium.FPDFPage_CloseAnnot(annotation)


def _pieces(pdf: pypdfium2.PdfDocument, annotation: object, turn: int) -> Iterator[Piece]:
    kind = pdfium.FPDFAnnot_GetSubtype(annotation)
    if kind not in (pdfium.FPDF_ANNOT_WIDGET, pdfium.FPDF_ANNOT_FREETEXT):
        return
    if pdfium.FPDFAnnot_GetFlags(annotation) & _HIDDEN:
        return
    text = _value(pdf, annotation) if kind == pdfium.FPDF_ANNOT_WIDGET else _contents(annotation)
    box = pdfium.FS_RECTF()
    if not text or not pdfium.FPDFAnnot_GetRect(annotation, box):
        return
    one, two = turned(turn, box.left, box.bottom), turned(turn, box.right, box.top)
    left, right = sorted((one[0], two[0]))
    top, bottom = sorted((one[1], two[1]))
    lines = [flat for line in text.split("\n") if (flat := " ".join(line.split()))]
    step = min((bottom - top) / max(len(lines), 1), 2 * _LINE_HEIGHT)
    for number, line in enumerate(lines):
        y = top + number * step
        height = min(step, _LINE_HEIGHT)
        piece = Piece(line, left, y, right, y + step, height)
        piece.words.append((left, right, line))
        yield piece


def _value(pdf: pypdfium2.PdfDocument, annotation: object) -> str:
    """Of a text field or a choice; a button's value is a name for the program."""
    form = pdf.formenv
    if form is None:
        return ""
    kind = pdfium.FPDFAnnot_GetFormFieldType(form, annotation)
    if kind not in (
        pdfium.FPDF_FORMFIELD_TEXTFIELD,
        pdfium.FPDF_FORMFIELD_COMBOBOX,
        pdfium.FPDF_FORMFIELD_LISTBOX,
    ):
        return ""
    return _text(
        lambda buffer, size: pdfium.FPDFAnnot_GetFormFieldValue(form, annotation, buffer, size)
    )


def _contents(annotation: object) -> str:
    return _text(
        lambda buffer, size: pdfium.FPDFAnnot_GetStringValue(annotation, b"Contents", buffer, size)
    )


def _text(read: Callable[[object, int], int]) -> str:
    """What a PDFium function writes as UTF-16, called twice: for the length, and for the text."""
    size = read(None, 0)
    if not 2 < size <= 2 * _MAX_TEXT:
        return ""
    buffer = (ctypes.c_ushort * (size // 2 + 1))()
    read(buffer, size)
    with suppress(ValueError):
        raw = bytes(memoryview(buffer).cast("B"))[: size - 2]
        return normalise(raw.decode("utf-16-le", "replace").replace("\r", "\n"))
    return ""
