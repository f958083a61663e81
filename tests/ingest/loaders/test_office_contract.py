"""Office files, mails and books keep the contract of loaders."""

from __future__ import annotations

import io
import json
from email.message import EmailMessage

import pptx
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

from ingest.loaders import media_types as mt
from tests.contracts.loader_contract import LoaderContract

from .builders import CHINESE, ENGLISH
from .office_builders import book, old_slides, old_word, open_document, outlook

RTF = (
    rb"{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0 Arial;}{\f1\fcharset134 SimSun;}}"
    rb"{\stylesheet{\s1\outlinelevel0 heading 1;}}{\header Ann's pumps \chpgn}"
    rb"\pard\s1 Pump manual\par\pard Seals \u8212 ? last {\f1 \'c1\'bd\'c4\'ea} caf\'e9."
    rb"{\footnote A note.}\par{\pntext 1.\tab}First\par{\pntext\'b7\tab}Second\par"
    rb"\trowd\intbl Part\cell Price\cell\row\intbl Seal\cell 12\cell\row\pard\page Page two.\par}"
)
TEXT = (
    '<text:h text:outline-level="1">Pump manual</text:h>'
    "<text:p>Seals<text:s text:c='2'/>last<text:note><text:note-body><text:p>A note."
    f"</text:p></text:note-body></text:note> two years.</text:p><text:p>{CHINESE}</text:p>"
    "<text:list><text:list-item><text:p>First</text:p><text:list><text:list-item>"
    "<text:p>Below</text:p></text:list-item></text:list></text:list-item></text:list>"
    "<table:table><table:table-row><table:table-cell><text:p>Part</text:p></table:table-cell>"
    "<table:table-cell><text:p>Price</text:p></table:table-cell></table:table-row>"
    "<table:table-row><table:table-cell><text:p>Seal</text:p></table:table-cell>"
    "<table:table-cell><text:p>12</text:p></table:table-cell></table:table-row></table:table>"
)
SLIDES = (
    '<draw:page><draw:frame presentation:class="title"><draw:text-box><text:p>Pumps</text:p>'
    "</draw:text-box></draw:frame><draw:frame><draw:text-box><text:p>Oil them.</text:p>"
    "</draw:text-box></draw:frame><presentation:notes><draw:frame><draw:text-box>"
    "<text:p>Say why.</text:p></draw:text-box></draw:frame></presentation:notes></draw:page>"
    "<draw:page><draw:frame><draw:text-box><text:p>Second</text:p></draw:text-box></draw:frame>"
    "</draw:page>"
)
CELL = '<table:table-cell office:value-type="string"><text:p>{}</text:p></table:table-cell>'
SHEETS = (
    '<table:table table:name="Prices"><table:table-row>'
    f"{CELL.format('Part')}{CELL.format('Price')}</table:table-row><table:table-row>"
    f"{CELL.format('密封件')}{CELL.format('12,50 €')}</table:table-row>"
    '<table:table-row table:number-rows-repeated="1048573"><table:table-cell'
    ' table:number-columns-repeated="16384"/></table:table-row>'
    f"<table:table-row>{CELL.format('last')}</table:table-row></table:table>"
    '<table:table table:name="Secret" table:style-name="off"><table:table-row>'
    f"{CELL.format('hidden')}</table:table-row></table:table>"
)
NOTEBOOK = {
    "metadata": {"language_info": {"name": "python"}},
    "nbformat": 4,
    "cells": [
        {"cell_type": "markdown", "source": ["# Pump data\n", "\n", CHINESE]},
        {
            "cell_type": "code",
            "source": "print(1 + 1)",
            "outputs": [
                {"output_type": "stream", "text": ["2\n"]},
                {"data": {"text/html": "<table><tr><td>a</td><td>b</td></tr></table>"}},
            ],
        },
    ],
}
CALENDAR = (
    b"BEGIN:VCALENDAR\r\nX-WR-CALNAME:Team\r\nBEGIN:VEVENT\r\nSUMMARY:Pump review\r\n"
    b"DTSTART;TZID=Europe/Berlin:20240301T143000\r\nLOCATION:Room 5\\, Berlin\r\n"
    b"ATTENDEE;CN=Ann:mailto:ann@example.org\r\nDESCRIPTION:Bring the se\r\n als\\nand oil.\r\n"
    b"BEGIN:VALARM\r\nDESCRIPTION:Ring\r\nEND:VALARM\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)


def presentation() -> bytes:
    """Two slides: title, list, table, notes; a chart."""
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[1])
    slide.shapes.title.text = "Pump manual"
    slide.placeholders[1].text = "Oil\nSeals"
    slide.notes_slide.notes_text_frame.text = CHINESE
    second = deck.slides.add_slide(deck.slide_layouts[5])
    second.shapes.title.text = "Prices"
    grid = second.shapes.add_table(2, 2, Inches(1), Inches(3), Inches(4), Inches(1)).table
    for place, text in enumerate(("Part", "Price", "Seal", "12")):
        grid.cell(place // 2, place % 2).text = text
    numbers = CategoryChartData()  # type: ignore[no-untyped-call]
    numbers.categories = ["2023", "2024"]
    numbers.add_series("Sold", (5, 7))  # type: ignore[no-untyped-call]
    second.shapes.add_chart(
        XL_CHART_TYPE.COLUMN_CLUSTERED, Inches(1), Inches(5), Inches(4), Inches(2), numbers
    )
    buffer = io.BytesIO()
    deck.save(buffer)
    return buffer.getvalue()


def mail() -> bytes:
    """A mail in both languages with HTML beside its text, and an attachment."""
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = "水泵 pumps", "Ann <ann@a.org>", "b@b.org"
    message["Date"] = "Fri, 01 Mar 2024 14:30:00 +0100"
    message.set_content(f"{ENGLISH}\n\n{CHINESE}")
    message.add_alternative(f"<p>{ENGLISH}</p>", subtype="html")
    message.add_attachment(b"a,b\n1,2\n", "text", "csv", filename="../../etc/价格.csv")
    return message.as_bytes()


class TestPptx(LoaderContract):
    name, media_type = "folder/pump.pptx", mt.PPTX

    def sample(self) -> bytes:
        return presentation()


class TestOdt(LoaderContract):
    name, media_type = "folder/pump.odt", mt.ODT

    def sample(self) -> bytes:
        return open_document("text", TEXT)


class TestOdp(LoaderContract):
    name, media_type = "folder/pump.odp", mt.ODP

    def sample(self) -> bytes:
        return open_document("presentation", SLIDES)


class TestOds(LoaderContract):
    name, media_type = "folder/prices.ods", mt.ODS

    def sample(self) -> bytes:
        return open_document("spreadsheet", SHEETS)


class TestRtf(LoaderContract):
    name, media_type = "folder/pump.rtf", mt.RTF

    def sample(self) -> bytes:
        return RTF


class TestEpub(LoaderContract):
    name, media_type = "folder/pump.epub", mt.EPUB

    def sample(self) -> bytes:
        return book({"a.xhtml": f"<h1>Pumps</h1><p>{ENGLISH}</p>", "b.xhtml": f"<p>{CHINESE}</p>"})


class TestEml(LoaderContract):
    name, media_type = "folder/pump.eml", mt.EML

    def sample(self) -> bytes:
        return mail()


class TestMsg(LoaderContract):
    name, media_type = "folder/pump.msg", mt.MSG

    def sample(self) -> bytes:
        return outlook({"0037": "水泵 pumps", "0C1A": "Ann", "1000": ENGLISH}, {"a.txt": b"hello"})


class TestDoc(LoaderContract):
    name, media_type = "folder/pump.doc", mt.DOC

    def sample(self) -> bytes:
        return old_word(f"Pump manual\r{CHINESE}\rPart\x07Price\x07\x07Seal\x0712\x07\x07End\r")


class TestPpt(LoaderContract):
    name, media_type = "folder/pump.ppt", mt.PPT

    def sample(self) -> bytes:
        return old_slides({"Pumps": ENGLISH, "保养": CHINESE})


class TestIpynb(LoaderContract):
    name, media_type = "folder/pump.ipynb", mt.IPYNB

    def sample(self) -> bytes:
        return json.dumps(NOTEBOOK).encode()


class TestIcs(LoaderContract):
    name, media_type = "folder/team.ics", mt.ICS

    def sample(self) -> bytes:
        return CALENDAR


class TestMhtml(LoaderContract):
    name, media_type = "folder/page.mhtml", mt.MHTML

    def sample(self) -> bytes:
        return (
            b"MIME-Version: 1.0\r\nContent-Type: multipart/related; boundary=x\r\n\r\n--x\r\n"
            b"Content-Type: text/html; charset=gbk\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
            + f"<h1>Pumps</h1><p>{ENGLISH}{CHINESE}</p>".encode("gbk")
            + b"\r\n--x--\r\n"
        )


class TestFb2(LoaderContract):
    name, media_type = "folder/pump.fb2", mt.FB2

    def sample(self) -> bytes:
        section = f"<section><title><p>Pumps</p></title><p>{CHINESE}</p></section>"
        return f"<FictionBook><body>{section}</body></FictionBook>".encode()
