"""Equations of Office and of web pages on one line."""

from __future__ import annotations

import time

import pytest
from lxml import etree

from ingest.loaders import load_bytes
from ingest.loaders import media_types as mt
from ingest.loaders.equations import office_equation, raised

from .builders import raw_word_document
from .office_builders import zipped

MATH = "http://schemas.openxmlformats.org/officeDocument/2006/math"
DRAWING = "http://schemas.openxmlformats.org/drawingml/2006/main"
HALF = "<m:f><m:num>{}</m:num><m:den>{}</m:den></m:f>"
POWER = "<m:sSup><m:e>{}</m:e><m:sup>{}</m:sup></m:sSup>"
BRACKETS = "<m:d><m:e>{}</m:e></m:d>"


def runs(*texts: str) -> list[str]:
    return [f"<m:r><m:t>{text}</m:t></m:r>" for text in texts]


def said(inside: str) -> str:
    return office_equation(etree.fromstring(f'<m:oMath xmlns:m="{MATH}">{inside}</m:oMath>'))


@pytest.mark.parametrize(
    ("inside", "text"),
    [
        (HALF.format(*runs("1", "2")), "1/2"),
        (runs("2")[0] + HALF.format(*runs("1", "2")), "2 1/2"),
        (HALF.format(*runs("a+b", "c")), "(a+b)/c"),
        (POWER.format(*runs("10", "6")) + runs("3")[0], "10^6 3"),
        (POWER.format(*runs("10", "-6")), "10^(-6)"),
        (POWER.format(BRACKETS.format(*runs("a+b")), *runs("2")), "(a+b)^2"),
        (POWER.format(BRACKETS.format(*runs("a")) + BRACKETS.format(*runs("b")), *runs("2")),
         "((a)(b))^2"),
        ("<m:sSub><m:e>{}</m:e><m:sub>{}</m:sub></m:sSub>".format(*runs("x", "ij")), "x_(ij)"),
        ("<m:rad><m:radPr/><m:deg/><m:e>{}</m:e></m:rad>".format(*runs("2x")), "sqrt(2x)"),
        ("<m:rad><m:deg>{}</m:deg><m:e>{}</m:e></m:rad>".format(*runs("3", "x")), "root(3, x)"),
        ('<m:nary><m:naryPr><m:chr m:val="∑"/></m:naryPr><m:sub>{}</m:sub><m:sup>{}</m:sup>'
         "<m:e>{}</m:e></m:nary>".format(*runs("i=1", "n", "i")), "∑_(i=1)^n i"),
        ("<m:func><m:fName>{}</m:fName><m:e>{}</m:e></m:func>".format(*runs("sin", "x")), "sin x"),
        (runs("25")[0] + POWER.format("", *runs("∘")) + runs("C")[0], "25°C"),
        ('<m:f><m:fPr><m:type m:val="noBar"/></m:fPr><m:num>{}</m:num><m:den>{}</m:den></m:f>'
         .format(*runs("n", "k")), "n, k"),
    ],
)  # fmt: skip
def test_equations_of_office(inside: str, text: str) -> None:
    assert said(inside) == text


def test_equations_in_word_and_on_slides() -> None:
    half = f'<m:oMath xmlns:m="{MATH}">{HALF.format(*runs("1", "2"))}</m:oMath>'
    run = "<w:r><w:rPr>{}</w:rPr><w:t>{}</w:t></w:r>"
    high = '<w:vertAlign w:val="superscript"/>'
    powers = run.format("", "10") + "<w:proofErr/>" + run.format(high, "-") + run.format(high, "6")
    body = f"<w:p>{run.format('', 'Half is 2')}{half}</w:p><w:p>{powers}</w:p>"
    assert load_bytes(raw_word_document(body), uri="a.docx").text == "Half is 2 1/2\n\n10^-6"
    slide = (
        f'<p:sld xmlns:p="p" xmlns:a="{DRAWING}"><p:cSld><p:spTree><p:sp><p:txBody><a:p><a:r><a:t>2'
        f'</a:t></a:r>{half}<a:r><a:t> of 10</a:t></a:r><a:r><a:rPr baseline="30000"/><a:t>6</a:t>'
        "</a:r></a:p></p:txBody></p:sp></p:spTree></p:cSld></p:sld>"
    )
    parts = {"ppt/presentation.xml": "<p/>", "ppt/slides/slide1.xml": slide}
    document = load_bytes(zipped(parts), uri="a.pptx", media_type=mt.PPTX)
    assert document.text == "2 1/2 of 10^6"


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("2<math><mfrac><mn>1</mn><mn>2</mn></mfrac></math>", "2 1/2"),
        ("<math><mn>2</mn><mo>&#x2064;</mo><mfrac><mn>1</mn><mn>2</mn></mfrac></math>", "2 1/2"),
        ("<math><mi>m</mi><msup><mi>c</mi><mn>2</mn></msup></math>", "mc^2"),
        ("<math><semantics><msub><mi>x</mi><mrow><mi>i</mi><mo>+</mo><mn>1</mn></mrow></msub>"
         "<annotation>x_{i+1}</annotation></semantics></math>", "x_(i+1)"),
        ("<math><msqrt><mi>x</mi><mo>+</mo><msup><mi>y</mi><mn>2</mn></msup></msqrt></math>",
         "sqrt(x+y^2)"),
        ("<math><mroot><mi>x</mi><mn>3</mn></mroot></math>", "root(3, x)"),
        ("<math><mover><mi>x</mi><mo>¯</mo></mover></math>", "x"),
        ("10<sup>6</sup> m<sup>2</sup>, 2<sup>1/2</sup>, 1<sup>st</sup>", "10^6 m2, 2 1/2, 1st"),
    ],
)  # fmt: skip
def test_equations_of_pages(markup: str, text: str) -> None:
    assert load_bytes(f"<!doctype html><p>{markup}".encode(), uri="a.html").text == text


def test_a_superscript_is_told_only_from_digits() -> None:
    assert [raised("10", "6"), raised("m", "2"), raised("", "2"), raised("1", "st")] == [
        "^", "", "", "",
    ]  # fmt: skip


@pytest.mark.parametrize("trap", ["1<sup>", "<math>a<msqrt>", "<math>a<mrow>"])
def test_deep_equations_take_no_time(trap: str) -> None:
    start = time.monotonic()
    load_bytes(f"<!doctype html><p>{trap * 20_000}x".encode(), uri="a.html")
    deep = POWER.format("{}", *runs("2"))
    inside = runs("x")[0]
    for _ in range(70):
        inside = deep.format(inside)
    assert said(inside).startswith("(")
    assert time.monotonic() - start < 10
