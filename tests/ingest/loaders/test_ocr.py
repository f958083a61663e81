"""Scanned pages and pictures, with pictures of text drawn by the test."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from ingest.documents import Document
from ingest.errors import LoadError
from ingest.loaders.image import load_image
from ingest.loaders.ocr import is_blank, read_pixels
from ingest.loaders.pdf import load_pdf
from ingest.loaders.pdf_scans import OcrBudget
from ingest.loaders.registry import Source, load_bytes
from tests.contracts.loader_contract import LoaderContract

from .pdf_builders import Page, encoded, pages_pdf, placed, scan_page, written

pytestmark = pytest.mark.integration

NOTE = "The pump needs oil every 500 hours"
SEALS = "Seals are replaced after two years"
SMALL = (900, 320)


def note(**options: int) -> Image.Image:
    return written([(40, 60, NOTE), (40, 160, SEALS)], size=SMALL, **options)


def picture(image: Image.Image, kind: str = "png", **options: object) -> Document:
    data = encoded(image, "heif" if kind == "heic" else kind, **options)
    return load_bytes(data, uri=f"a.{kind}", media_type=f"image/{kind}")


def source(data: bytes, media_type: str) -> Source:
    return Source("a", data, media_type, "")


class TestImageContract(LoaderContract):
    name, media_type = "folder/note.png", "image/png"

    def sample(self) -> bytes:
        return encoded(note(), "png")


@pytest.mark.parametrize("kind", ["png", "jpeg", "tiff", "webp", "bmp", "gif", "heic", "avif"])
def test_every_kind_of_picture(kind: str) -> None:
    load_bytes(encoded(note(), "png"), uri="a.png", media_type="image/png")  # registers HEIF
    document = picture(note().convert("RGB"), kind)
    assert NOTE in document.text
    assert SEALS in document.text
    assert document.metadata["width"] == SMALL[0]
    assert document.metadata["height"] == SMALL[1]
    (mark,) = document.marks
    assert (mark.kind, mark.label) == ("image", "page 1")
    assert document.pages[0].quality["ocr"] is True
    assert float(document.quality["ocr_confidence"]) > 0.9


def test_pages_of_a_tiff() -> None:
    second = written([(40, 60, "The second page of the fax")], size=SMALL)
    document = picture(note(), "tiff", save_all=True, append_images=[second])
    assert [page.number for page in document.pages] == [1, 2]
    assert document.page_at(document.text.index("second page")) == 2
    assert [mark.label for mark in document.marks] == ["page 1", "page 2"]


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_turned_pictures(turn: int) -> None:
    turned = Image.fromarray(np.rot90(np.asarray(note()), turn))
    assert NOTE in picture(turned).text


def test_exif_orientation() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = Image.fromarray(np.rot90(np.asarray(note()), 1))
    assert NOTE in picture(turned, "jpeg", exif=exif, quality=95).text


def test_low_contrast_and_odd_modes() -> None:
    assert NOTE in picture(note(ink=170, paper=235)).text
    assert NOTE in picture(note().convert("1")).text
    glass = Image.new("RGBA", SMALL, (0, 0, 0, 0))
    glass.putalpha(Image.eval(note(), lambda value: 255 - value))
    assert NOTE in picture(glass).text
    deep = Image.fromarray(np.asarray(note()).astype(np.uint16) * 200)
    assert NOTE in picture(deep).text


def test_pictures_without_text() -> None:
    with pytest.raises(LoadError, match="no text found in the image"):
        picture(Image.new("L", (400, 300), 255))
    with pytest.raises(LoadError, match="no text found in the image"):
        picture(Image.linear_gradient("L"))


def test_huge_pictures_are_refused_before_they_are_decoded() -> None:
    def part(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    for side in (11_000, 50_000):
        head = part(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0))
        data = b"\x89PNG\r\n\x1a\n" + head + part(b"IDAT", zlib.compress(b"")) + part(b"IEND", b"")
        with pytest.raises(LoadError, match="too large"):
            load_bytes(data, uri="a.png", media_type="image/png")


def test_a_scan_between_pages_of_text() -> None:
    scan = written([(120, 200, NOTE), (120, 300, SEALS)])
    data = pages_pdf([Page(placed([(60, 700, "Page of text.")])), scan_page(scan)])
    document = load_bytes(data, uri="a.pdf")
    assert document.page_at(document.text.index(NOTE)) == 2
    assert "ocr" not in document.pages[0].quality
    assert document.pages[1].quality["ocr"] is True
    assert document.quality["pages_ocr"] == 1
    assert document.quality["images"] == 1
    (mark,) = document.marks
    assert (mark.kind, mark.label) == ("image", "page 2")
    assert NOTE in document.text[mark.start : mark.end]


STAMP = [
    (60, 30, "This content was downloaded from 192.0.2.44 on Tue, 05 Mar 2024 10:11:12 +00:00. "),
    (60, 22, "All use subject to the terms and conditions of the library that lends it."),
]


def test_a_scan_with_a_long_stamp_is_read() -> None:
    lines = [(120, 200 + 60 * n, f"Line {n}: {NOTE}") for n in range(8)]
    page = scan_page(written(lines), over=placed(STAMP, size=7))
    document = load_bytes(pages_pdf([page]), uri="a.pdf")
    assert f"Line 7: {NOTE}" in document.text
    assert document.pages[0].quality["ocr"] is True
    late = load_pdf(source(pages_pdf([page]), "application/pdf"), ocr_seconds=-1)
    assert late.quality["ocr_pages_left"] == 1
    assert "192.0.2.44" in late.text


def test_text_over_a_picture_with_a_word_in_it_stays() -> None:
    page = scan_page(written([(120, 200, "Pumps")]), over=placed(STAMP, size=7))
    document = load_bytes(pages_pdf([page]), uri="a.pdf")
    assert document.text.startswith("This content was downloaded from 192.0.2.44")
    assert "ocr" not in document.pages[0].quality


def test_columns_of_a_scan() -> None:
    lines = [
        (x, 300 + 60 * n, f"{name}{n} every pump needs some oil")
        for n in range(6)
        for x, name in ((80, "L"), (680, "R"))
    ]
    document = load_bytes(pages_pdf([scan_page(written(lines, letters=30))]), uri="a.pdf")
    firsts = [line.split()[0] for line in document.text.split("\n") if line]
    assert firsts == [f"{name}{n}" for name in "LR" for n in range(6)]


def test_a_scan_with_a_layer_of_text_is_not_read_again() -> None:
    lines = [(120, 200 + 60 * n, f"Line {n}: {NOTE}") for n in range(6)]
    layer = [(x * 595 / 1240, 842 - (y + 30) * 842 / 1754, text) for x, y, text in lines]
    page = scan_page(written(lines), over=placed(layer, size=16, mode=3))
    document = load_bytes(pages_pdf([page]), uri="a.pdf")
    assert document.text.startswith(f"Line 0: {NOTE}")
    assert document.pages[0].quality["ocr_layer"] is True
    assert "ocr" not in document.pages[0].quality
    assert not document.marks


def test_a_page_whose_font_lies_about_its_letters_is_read_from_its_picture() -> None:
    cmap = (
        b"/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapType 2 def\n"
        b"1 begincodespacerange <00> <FF> endcodespacerange\n"
        b"1 beginbfrange <20> <7E> <E020> endbfrange\nendcmap end end"
    )
    table = b"<< /Length %d >>\nstream\n%s\nendstream" % (len(cmap), cmap)
    data = pages_pdf([Page(placed([(60, 700, NOTE), (60, 660, SEALS)], size=18))], extra=[table])
    encoding = b"/Encoding /WinAnsiEncoding"
    lying = data.replace(encoding, b"/ToUnicode 7 0 R".ljust(len(encoding)))
    document = load_bytes(lying, uri="a.pdf")
    assert NOTE in document.text
    assert document.pages[0].quality["ocr"] is True
    with pytest.raises(LoadError):
        load_pdf(source(lying, "application/pdf"), ocr_seconds=-1)


def test_blank_scans_are_empty_pages() -> None:
    blank = scan_page(Image.new("L", (400, 560), 250))
    data = pages_pdf([blank, Page(placed([(60, 700, "Page of text.")]))])
    document = load_bytes(data, uri="a.pdf")
    assert document.pages[0].start == document.pages[0].end
    assert document.quality["pages_empty"] == 1


def test_what_the_time_does_not_suffice_for_is_counted() -> None:
    scans = [scan_page(written([(120, 200, f"Sheet {n}. {NOTE}")])) for n in range(3)]
    data = pages_pdf([Page(placed([(60, 700, "Page of text.")])), *scans])
    document = load_pdf(source(data, "application/pdf"), ocr_pages=1)
    assert "Sheet 0" in document.text
    assert "Sheet 1" not in document.text
    assert document.quality["ocr_pages_left"] == 2
    assert document.pages[3].quality["ocr_left"] is True
    with pytest.raises(LoadError, match="3 not read for lack of time"):
        load_pdf(source(pages_pdf(scans), "application/pdf"), ocr_seconds=-1)
    with pytest.raises(LoadError, match="not read within the time"):
        load_image(source(encoded(note(), "png"), "image/png"), ocr_seconds=-1)


def test_large_and_flat_pictures_of_lines_are_read() -> None:
    large = written([(40, 40, "Torque 45 Nm")], size=(900, 160), letters=80)
    assert "Torque 45 Nm" in picture(large).text
    flat = np.asarray(written([(10, 10, NOTE)], size=(900, 60)))
    (piece,) = read_pixels(flat).pieces
    assert piece.text == NOTE
    assert 0 <= piece.top < piece.bottom <= 62


def shouts(document: Document) -> list[str]:
    return [line for line in document.text.split("\n") if line.startswith("Line")]


@pytest.mark.parametrize("rule", [False, True], ids=["gaps between lines", "no gap"])
def test_a_long_picture_is_read_in_full_and_each_line_once(rule: bool) -> None:
    lines = [(40, 20 + 330 * (n // 2) + 60 * (n % 2), f"Line {n} of a chat") for n in range(36)]
    image = written(lines, size=(400, 6000))
    if rule:  # a pattern down the side: no row is empty
        draw = ImageDraw.Draw(image)
        for x in range(340, 390, 6):
            draw.line((x, 0, x, 6000), fill=0, width=3)
    assert shouts(picture(image)) == [text for _, _, text in lines]


def test_a_wide_picture_is_read_in_full() -> None:
    texts = [f"Part {n} of the band" for n in range(16)]
    image = written([(40 + 600 * n, 60, text) for n, text in enumerate(texts)], size=(9700, 300))
    assert picture(image).text.replace(" ", "") == "".join(texts).replace(" ", "")


@pytest.mark.parametrize("turn", [1, 2])
def test_a_long_picture_that_is_turned(turn: int) -> None:
    lines = [(40, 20 + 500 * n, f"Line {n} of the chat") for n in range(12)]
    image = written(lines, size=(500, 6000)).rotate(90 * turn, expand=True)
    assert shouts(picture(image)) == [text for _, _, text in lines]


def test_parts_of_a_long_picture_that_the_time_does_not_suffice_for() -> None:
    lines = [(40, 20 + 180 * n, f"Line {n} of the chat") for n in range(12)]
    data = encoded(written(lines, size=(500, 2200)), "png")
    allowed = iter([True, False])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OcrBudget, "allows", lambda _: next(allowed))
        document = load_image(source(data, "image/png"))
    assert "Line 1 of" in document.text
    assert "Line 11 of" not in document.text
    assert document.quality["ocr_pages_left"] == 1


def test_lines_left_for_lack_of_time_are_counted() -> None:
    lines = [(40, 40 + 60 * n, f"Line {n}: {NOTE}") for n in range(12)]
    reading = read_pixels(np.asarray(written(lines, size=(1000, 800))), until=0)
    assert 0 < len(reading.pieces) < 12
    assert reading.lines_left == 12 - len(reading.pieces)


def test_chinese() -> None:
    font = _chinese_font()
    image = Image.new("L", SMALL, 255)
    ImageDraw.Draw(image).text((40, 100), "水泵每运行五百小时加注润滑油", fill=0, font=font)
    assert "水泵每运行五百小时加注润滑油" in picture(image).text


def _chinese_font() -> ImageFont.FreeTypeFont:
    for name in ("NotoSansCJK-Regular.ttc", "wqy-zenhei.ttc", "msyh.ttc", "PingFang.ttc"):
        try:
            return ImageFont.truetype(name, 40)
        except OSError:
            continue
    pytest.skip("no font with Chinese characters is installed")


def test_the_engine_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    read_pixels(np.asarray(note(ink=20)))
    assert capfd.readouterr() == ("", "")


def test_blank_is_what_has_no_contrast() -> None:
    assert is_blank(np.full((50, 50), 240, np.uint8))
    assert not is_blank(np.asarray(note()))
