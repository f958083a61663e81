"""Small real files for the tests: PDF by hand, DOCX by python-docx and by hand."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Sequence

import docx

WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
ENGLISH = "Pumps need oil every 500 hours. Seals last two years."
CHINESE = "水泵每运行五百小时需要加注润滑油，密封件的寿命为两年。"


def pdf(pages: Sequence[Sequence[str]], *, title: str = "", encrypted: bool = False) -> bytes:
    """A PDF with one line of text per string; a line that starts with `#` is set twice as large."""
    kids = " ".join(f"{4 + 2 * index} 0 R" for index in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    for index, lines in enumerate(pages):
        objects += [_page(5 + 2 * index), _stream(_content(lines))]
    trailer = "/Root 1 0 R"
    if title:
        objects.append(f"<< /Title ({title}) >>".encode())
        trailer += f" /Info {len(objects)} 0 R"
    if encrypted:
        objects.append(_password_handler())
        trailer += f" /Encrypt {len(objects)} 0 R /ID [<{'00' * 16}> <{'00' * 16}>]"
    return _assemble(objects, trailer)


def _page(content: int) -> bytes:
    resources = "/Resources << /Font << /F1 3 0 R >> >>"
    box = "/MediaBox [0 0 595 842]"
    return f"<< /Type /Page /Parent 2 0 R {box} {resources} /Contents {content} 0 R >>".encode()


def _content(lines: Sequence[str]) -> bytes:
    parts, y = [], 800
    for line in lines:
        size = 24 if line.startswith("#") else 12
        escaped = line.lstrip("# ").replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
        parts.append(f"BT /F1 {size} Tf 50 {y} Td ({escaped}) Tj ET")
        y -= 2 * size
    return "\n".join(parts).encode("cp1252")


def _stream(content: bytes) -> bytes:
    packed = zlib.compress(content)
    head = f"<< /Length {len(packed)} /Filter /FlateDecode >>\nstream\n".encode()
    return head + packed + b"\nendstream"


def _password_handler() -> bytes:
    """The standard handler with keys that no password fits."""
    return (f"<< /Filter /Standard /V 1 /R 2 /O <{'11' * 32}> /U <{'22' * 32}> /P -4 >>").encode()


def _assemble(objects: Sequence[bytes], trailer: str) -> bytes:
    out, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n".encode() + body + b"\nendobj\n"
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    start = len(out)
    size = len(objects) + 1
    out += f"xref\n0 {size}\n0000000000 65535 f \n{table}".encode()
    return out + f"trailer\n<< /Size {size} {trailer} >>\nstartxref\n{start}\n%%EOF\n".encode()


def word_document(title: str = "") -> bytes:
    """A DOCX with headings, lists, a table, two pages and both languages."""
    document = docx.Document()
    document.core_properties.title = title
    document.add_heading("Pump manual", level=1)
    document.add_paragraph(ENGLISH)
    document.add_heading("保养", level=2)
    document.add_paragraph(CHINESE)
    document.add_paragraph("First item", style="List Bullet")
    document.add_paragraph("Second item", style="List Bullet")
    rows = [("Part", "Price"), ("Seal", "12"), ("Gasket", "7")]
    table = document.add_table(rows=len(rows), cols=2)
    for row, texts in zip(table.rows, rows, strict=True):
        for cell, text in zip(row.cells, texts, strict=True):
            cell.text = text
    document.add_page_break()  # type: ignore[no-untyped-call]
    document.add_paragraph("On the second page.")
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def raw_word_document(body: str, *, prolog: str = "", strict: bool = False) -> bytes:
    """A DOCX whose body is this WordprocessingML, without styles."""
    namespace = WORD
    if strict:
        namespace = 'xmlns:w="http://purl.oclc.org/ooxml/wordprocessingml/main"'
    xml = (
        f'<?xml version="1.0"?>{prolog}<w:document {namespace}><w:body>{body}</w:body></w:document>'
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", xml)
    return buffer.getvalue()


def paragraph(text: str, properties: str = "") -> str:
    """One paragraph of WordprocessingML."""
    return f"<w:p><w:pPr>{properties}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"
