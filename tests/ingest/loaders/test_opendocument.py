"""OpenDocument: what is inside a text, and tables that lay out a page."""

from __future__ import annotations

import io
import zipfile

import pytest

from ingest.documents import Document
from ingest.loaders import load_bytes
from ingest.loaders import media_types as mt

from .office_builders import DRAWING, NAMESPACES, OFFICE, open_document

OBJECT = '<draw:frame><draw:object xlink:href="./Object 1"/></draw:frame>'
CHARTS = f'xmlns:chart="{OFFICE}chart:1.0"'
MATH = "http://www.w3.org/1998/Math/MathML"


def cell(*paragraphs: str) -> str:
    """A cell of these paragraphs; markup stays as it is."""
    texts = (p if p.startswith("<") else f"<text:p>{p}</text:p>" for p in paragraphs)
    return f"<table:table-cell>{''.join(texts)}</table:table-cell>"


def grid(*rows: str) -> str:
    lines = "".join(f"<table:table-row>{row}</table:table-row>" for row in rows)
    return f"<table:table>{lines}</table:table>"


def content(kind: str, body: str) -> str:
    return (
        f"<office:document-content {NAMESPACES} {DRAWING} {CHARTS}><office:body>"
        f"<office:{kind}>{body}</office:{kind}></office:body></office:document-content>"
    )


def titled(tag: str, text: str) -> str:
    return f"<chart:{tag}><text:p>{text}</text:p></chart:{tag}>"


CHART = content(
    "chart",
    f"<chart:chart>{titled('title', 'Sales')}<chart:plot-area><chart:axis>{titled('title', 'year')}"
    "</chart:axis></chart:plot-area>"
    f"{grid(cell('') + cell('West'), cell('2023') + cell('4711'))}</chart:chart>",
)


def loaded(kind: str, body: str, inside: str = "") -> Document:
    buffer = io.BytesIO(open_document(kind, body))
    with zipfile.ZipFile(buffer, "a") as archive:
        if inside:
            archive.writestr("Object 1/content.xml", inside)
    types = {"text": mt.ODT, "presentation": mt.ODP, "spreadsheet": mt.ODS}
    return load_bytes(buffer.getvalue(), uri="a.x", media_type=types[kind])


SALES = "Sales (year)\n\n|  | West |\n| --- | --- |\n| 2023 | 4711 |"


def test_charts_are_read_where_they_stand() -> None:
    document = loaded("text", f"<text:p>Above{OBJECT}</text:p><text:p>Below</text:p>", CHART)
    assert document.text == f"Above\n\n{SALES}\n\nBelow"
    assert [mark.kind for mark in document.marks] == ["table"]
    slide = "<draw:page><draw:frame><draw:text-box><text:p>A</text:p></draw:text-box></draw:frame>"
    assert (
        SALES.split("\n\n")[1] in loaded("presentation", f"{slide}{OBJECT}</draw:page>", CHART).text
    )
    sheet = f"<table:table table:name='S'><table:shapes>{OBJECT}</table:shapes></table:table>"
    assert loaded("spreadsheet", sheet, CHART).text == "## S\n\nSales (year)"


def test_sheets_and_texts_inside_a_text() -> None:
    body = f"<text:p>Above</text:p><text:p>{OBJECT}</text:p>"
    sheet = content("spreadsheet", grid(cell("Part") + cell("Price"), cell("Seal") + cell("12")))
    rows = "| Part | Price |\n| --- | --- |\n| Seal | 12 |"
    assert loaded("text", body, sheet).text == f"Above\n\n{rows}"
    assert loaded("text", body, content("text", "<text:p>inner</text:p>")).text == "Above\n\ninner"
    assert loaded("text", body, "<broken").text == "Above"


@pytest.mark.parametrize("prefix", ["", "math:"])
def test_formulas_stand_in_their_line(prefix: str) -> None:
    names = f'xmlns:math="{MATH}"' if prefix else f'xmlns="{MATH}"'
    parts = "<:mfrac><:mn>1</:mn><:mn>2</:mn></:mfrac><:annotation>{1} over {2}</:annotation>"
    math = f"<:math {names}><:semantics>{parts}</:semantics></:math>"
    math = math.replace("</:", f"</{prefix}").replace("<:", f"<{prefix}")
    assert loaded("text", f"<text:p>of {OBJECT} and more</text:p>", math).text == "of 1/2 and more"
    flat = OBJECT.replace("/></draw:frame>", f">{math}</draw:object></draw:frame>")
    assert loaded("text", f"<text:p>of {flat} and more</text:p>").text == "of 1/2 and more"


def test_superscripts_are_told_from_the_digits_before_them() -> None:
    style = (
        '<style:style style:name="T1"><style:text-properties style:text-position="super 58%"/>'
        "</style:style>"
    )
    body = '<text:p>10<text:span text:style-name="T1">6</text:span> bar</text:p>'
    data = open_document("text", body, styles=style)
    assert load_bytes(data, uri="a.odt").text == "10^6 bar"


HEADED = '<text:h text:outline-level="2">Terms</text:h>'


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (grid(cell(HEADED, "Pay at once.") + cell("x")), "## Terms\n\nPay at once.\n\nx"),
        (grid(cell("one", "two"), cell("three")), "one\n\ntwo\n\nthree"),
        (
            grid(cell(grid(cell("a") + cell("b"), cell("c") + cell("d"))) + cell("x")),
            "| a | b |\n| --- | --- |\n| c | d |\n\nx",
        ),
        (grid(cell("a", "b") + cell("c")), "| a b | c |\n| --- | --- |"),
        (grid(cell("a"), cell("b")), "a\nb"),
    ],
)
def test_tables_that_lay_out_a_page_are_unfolded(body: str, text: str) -> None:
    assert loaded("text", body).text == text


def test_code_keeps_its_lines_and_blanks() -> None:
    def style(name: str, above: str = "", font: str = "") -> str:
        based = f' style:parent-style-name="{above}"' if above else ""
        text = f'<style:text-properties style:font-name="{font}"/>' if font else ""
        return f'<style:style style:name="{name}"{based}>{text}</style:style>'

    def typed(text: str, name: str) -> str:
        return f'<text:p text:style-name="{name}">{text}</text:p>'

    styles = style("Code", font="Liberation Mono") + style("P1", above="Code") + style("P2")
    styles += style("P3", above="Code", font="Times") + style("loop", above="loop")
    span = '<text:span text:style-name="Code">last()</text:span>'
    body = typed("def f(x):", "P1") + typed('<text:s text:c="4"/>return  x', "Code")
    body += typed("", "P2") + typed(span, "P2") + typed("text", "P3") + typed("one line", "Code")
    body += typed(f"call {span} here", "P2") + typed("end", "loop")
    document = load_bytes(open_document("text", body, styles=styles), uri="a.odt")
    assert document.text == (
        "```\ndef f(x):\n    return  x\n\nlast()\n```\n\ntext\n\none line\n\n"
        "call last() here\n\nend"
    )
    only = load_bytes(open_document("text", typed("  a", "P1") * 2, styles=styles), uri="a.odt")
    assert only.text == "a\n\na"
