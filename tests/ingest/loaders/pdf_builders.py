"""PDF files by hand, with the text where a test wants it, and pictures of text."""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from .builders import _assemble, _stream

PROSE = """
Every pump in the western station is taken apart once in a year and its seals are looked at by two
people who write down what they saw and sign the sheet before the pump runs again and the water that
it moves is measured at both ends of the pipe so that losses are found early enough to be cured
without a stop of the works or a call to the fire brigade of the town
"""
WORDS = PROSE.split()


@dataclass(frozen=True)
class Page:
    """One page: PDF operators, its size in points, and further entries of its dictionary."""

    content: str
    width: int = 595
    height: int = 842
    entries: str = ""
    image: Image.Image | None = None


def placed(
    lines: Sequence[tuple[float, float, str]],
    *,
    size: float = 10,
    mode: int = 0,
    font: str = "F1",
) -> str:
    """Operators that show each (x, y, text), y from the bottom; the font F2 is Courier."""
    shown = []
    for x, y, text in lines:
        escaped = text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
        shown.append(f"BT {mode} Tr /{font} {size} Tf {x} {y} Td ({escaped}) Tj ET")
    return "".join(f"{line}\n" for line in shown)


def column(
    x: float, top: float, texts: Sequence[str], *, leading: float = 13
) -> list[tuple[float, float, str]]:
    """Lines one below the other."""
    return [(x, top - leading * number, text) for number, text in enumerate(texts)]


def prose(lines: int, name: str, *, words: int = 7) -> list[str]:
    """Lines of prose, each begun by `name` and its number: `L3 every pump ...`."""
    told = []
    for number in range(lines):
        first = (number * words) % (len(WORDS) - words)
        told.append(f"{name}{number} {' '.join(WORDS[first : first + words])}")
    return told


def pages_pdf(pages: Sequence[Page], *, extra: Sequence[bytes] = (), catalog: str = "") -> bytes:
    """A PDF of these pages. `extra` objects come last; `catalog` may refer to them as `{0} 0 R`."""
    count = len(pages)
    first_extra = 4 + 3 * count
    numbers = [first_extra + number for number in range(len(extra))]
    kids = " ".join(f"{4 + 3 * number} 0 R" for number in range(count))
    objects = [
        f"<< /Type /Catalog /Pages 2 0 R {catalog.format(*numbers)} >>".encode(),
        f"<< /Type /Pages /Kids [{kids}] /Count {count} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    for number, page in enumerate(pages):
        own = 4 + 3 * number
        courier = "<< /Type /Font /Subtype /Type1 /BaseFont /Courier >>"
        resources = f"/Font << /F1 3 0 R /F2 {courier} >>"
        if page.image:
            resources += f" /XObject << /Im {own + 2} 0 R >>"
        objects += [
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {page.width} {page.height}] "
            f"/Resources << {resources} >> /Contents {own + 1} 0 R {page.entries} >>".encode(),
            _stream(page.content.encode("cp1252")),
            _image(page.image) if page.image else b"null",
        ]
    objects += [body.replace(b"{first}", str(first_extra).encode()) for body in extra]
    return _assemble(objects, "/Root 1 0 R")


def scan_page(image: Image.Image, *, over: str = "") -> Page:
    """A page that is one picture, with further operators over it."""
    return Page(f"q 595 0 0 842 0 0 cm /Im Do Q\n{over}", image=image)


def written(
    lines: Sequence[tuple[int, int, str]],
    *,
    size: tuple[int, int] = (1240, 1754),
    letters: int = 34,
    ink: int = 0,
    paper: int = 255,
) -> Image.Image:
    """A picture with each text at (x, y), in pixels from the top left."""
    image = Image.new("L", size, paper)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(letters)
    for x, y, text in lines:
        draw.text((x, y), text, fill=ink, font=font)
    return image


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """The picture as a file of this kind."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _image(image: Image.Image) -> bytes:
    grey = image.convert("L")
    packed = zlib.compress(grey.tobytes())
    head = (
        f"<< /Type /XObject /Subtype /Image /Width {grey.width} /Height {grey.height} "
        f"/ColorSpace /DeviceGray /BitsPerComponent 8 /Filter /FlateDecode "
        f"/Length {len(packed)} >>\nstream\n"
    )
    return head.encode() + packed + b"\nendstream"
