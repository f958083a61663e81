"""Reading order, tables, headings and boilerplate of PDF pages."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.documents import Document
from ingest.loaders import load_bytes
from ingest.loaders.pdf_hyphens import settle_hyphens
from ingest.loaders.pdf_layout import Line, lines_of
from ingest.loaders.pdf_pieces import Piece
from ingest.loaders.pdf_rules import Rule, with_tables
from ingest.loaders.pdf_text import PageText, passages_of

from .pdf_builders import Page, column, pages_pdf, placed, prose

LEFT, RIGHT, MIDDLE = 50, 310, 225
Placed = list[tuple[float, float, str]]


def loaded(*contents: str) -> Document:
    data = pages_pdf([Page(content) for content in contents])
    return load_bytes(data, uri="a.pdf", media_type="application/pdf")


def firsts(document: Document) -> list[str]:
    """The first word of each line."""
    return [line.split()[0] for line in document.text.split("\n") if line.strip()]


def numbered(name: str, count: int) -> list[str]:
    return [f"{name}{number}" for number in range(count)]


def by_rows(*columns: Placed) -> Placed:
    """The order in which some programs write columns: across the page."""
    return [line for row in zip(*columns, strict=True) for line in row]


def shuffled(lines: Placed) -> Placed:
    return random.Random(3).sample(lines, len(lines))


@pytest.mark.parametrize("order", [list, by_rows, shuffled], ids=["columns", "rows", "any"])
def test_two_columns(order: object) -> None:
    left, right = column(LEFT, 700, prose(20, "L")), column(RIGHT, 700, prose(20, "R"))
    lines = by_rows(left, right) if order is by_rows else [*left, *right]
    lines = shuffled(lines) if order is shuffled else lines
    assert firsts(loaded(placed(lines))) == numbered("L", 20) + numbered("R", 20)


def test_three_columns() -> None:
    columns = [
        column(x, 700, prose(20, name, words=4)) for x, name in ((40, "A"), (225, "B"), (410, "C"))
    ]
    document = loaded(placed(by_rows(*columns)))
    assert firsts(document) == numbered("A", 20) + numbered("B", 20) + numbered("C", 20)


def test_full_width_lines_part_the_columns() -> None:
    """Title, two columns, a heading across, two columns, a footnote across."""
    across = "which reaches from the left edge of the page to the right one, across both columns"
    upper = by_rows(column(LEFT, 700, prose(8, "L")), column(RIGHT, 700, prose(8, "R")))
    lower = by_rows(column(LEFT, 500, prose(8, "l")), column(RIGHT, 500, prose(8, "r")))
    lines = [(LEFT, 760, f"Title {across}"), *upper, (LEFT, 560, f"Heading {across}"), *lower]
    lines.append((LEFT, 360, f"Footnote {across}"))
    expected = ["Title", *numbered("L", 8), *numbered("R", 8), "Heading"]
    expected += [*numbered("l", 8), *numbered("r", 8), "Footnote"]
    assert firsts(loaded(placed(lines))) == expected


def test_page_number_below_the_left_column_comes_last() -> None:
    lines = [
        *column(LEFT, 700, prose(20, "L")),
        (150, 380, "633"),
        *column(RIGHT, 700, prose(20, "R")),
    ]
    assert firsts(loaded(placed(lines)))[-1] == "633"


def test_one_column_stays_as_it_is() -> None:
    indented = [(LEFT + 30 * (n % 3), 700 - 13 * n, text) for n, text in enumerate(prose(30, "A"))]
    assert firsts(loaded(placed(indented))) == numbered("A", 30)


def test_code_keeps_its_lines() -> None:
    code = [
        (60, 700, "def area(radius):"),
        (84, 687, "square = radius * radius"),
        (84, 674, "return square"),
    ]
    document = loaded(placed(code))
    assert document.text == "def area(radius):\nsquare = radius * radius\nreturn square"


ROWS = [
    ("Part", "Price", "In stock"),
    ("Seal", "12.50", "yes"),
    ("Gasket", "7.00", "no"),
    ("Bearing", "31.20", "yes"),
]
TABLE = (
    "| Part | Price | In stock |\n| --- | --- | --- |\n| Seal | 12.50 | yes |\n"
    "| Gasket | 7.00 | no |\n| Bearing | 31.20 | yes |"
)


def cells(rows: Sequence[tuple[str, ...]], *, x: float = 60, y: float = 600) -> Placed:
    return [
        (x + 130 * across, y - 18 * down, text)
        for down, row in enumerate(rows)
        for across, text in enumerate(row)
        if text
    ]


def ruled(columns: int, rows: int, *, x: float = 55, y: float = 613) -> str:
    right, bottom = x + 130 * columns, y - 18 * rows
    level = [f"{x} {y - 18 * n} m {right} {y - 18 * n} l S" for n in range(rows + 1)]
    upright = [f"{x + 130 * n} {y} m {x + 130 * n} {bottom} l S" for n in range(columns + 1)]
    return "\n".join([*level, *upright]) + "\n"


@pytest.mark.parametrize("lines", [ruled(3, 4), ""], ids=["ruled", "borderless"])
def test_a_table_becomes_rows(lines: str) -> None:
    by_column = sorted(cells(ROWS), key=lambda cell: cell[0])  # written column by column
    around = [(60, 700, "Prices of this year follow."), (60, 480, "Prices are without tax.")]
    document = loaded(lines + placed([*by_column, *around]))
    assert document.text == f"Prices of this year follow.\n\n{TABLE}\n\nPrices are without tax."
    (mark,) = document.marks
    assert (mark.kind, document.text[mark.start : mark.end]) == ("table", TABLE)


MORE = [("Valve", "88.00", "yes"), ("Spring", "2.10", "no"), ("Hose", "14.00", "yes")]


@pytest.mark.parametrize("lines", [ruled, lambda *_: ""], ids=["ruled", "borderless"])
def test_a_table_goes_on_over_pages_with_its_header(lines: Callable[..., str]) -> None:
    running = [(60, 800, "Prices of the works"), (290, 40, "9")]
    pages = [lines(3, len(rows)) + placed([*cells(rows), *running]) for rows in (ROWS, MORE, MORE)]
    document = loaded(*pages)
    head, rule, *_ = TABLE.split("\n")
    for page in document.pages[1:]:
        rows = [f"| {' | '.join(row)} |" for row in MORE]
        assert "\n".join([head, rule, *rows]) in document.text[page.start : page.end]


@pytest.mark.parametrize(
    ("between", "rows", "x"),
    [
        ("Prices of springs follow.", MORE, 60),
        ("", MORE, 90),
        ("", ROWS, 60),
        ("", [("Name", "Length", "Steel"), *MORE], 60),
    ],
    ids=["text between", "other columns", "its own header", "another header"],
)
def test_a_table_that_does_not_go_on(between: str, rows: list[tuple[str, ...]], x: float) -> None:
    narrow = [
        (x if n % 3 == 0 else place, y, text) for n, (place, y, text) in enumerate(cells(rows))
    ]
    document = loaded(placed(cells(ROWS)), placed([*narrow, (60, 640, between)]))
    page = document.pages[1]
    text = document.text[page.start : page.end].removeprefix(f"{between}\n\n")
    assert text.startswith(f"| {' | '.join(rows[0])} |\n| --- |")
    assert text.count("---") == 3


def test_a_cell_of_two_lines_stays_one_cell() -> None:
    long_cell = [(60, 572, "Gasket of"), (60, 563, "copper"), (190, 568, "7.00")]
    rest = cells([ROWS[0], ROWS[1]])
    document = loaded(ruled(3, 3) + placed([*rest, *long_cell], size=8))
    assert "| Gasket of copper | 7.00 | |" in document.text.replace("|  |", "| |")


def test_words_close_to_a_rule_stay_in_their_cells() -> None:
    tight = [(157, 600, "Name"), (187, 600, "Value"), (157, 582, "Depth"), (187, 582, "12 m")]
    document = loaded(ruled(3, 2) + placed([*tight, (320, 600, "Note"), (320, 582, "new")]))
    assert "| Name | Value | Note |" in document.text
    assert "| Depth | 12 m | new |" in document.text


def test_a_column_of_single_figures_is_not_taken_for_upright_text() -> None:
    rows = [("A", "1"), ("B", "2"), ("C", "3"), ("D", "4")]
    document = loaded(ruled(2, 4) + placed(sorted(cells(rows), key=lambda cell: cell[0])))
    assert "| A | 1 |" in document.text
    assert "| D | 4 |" in document.text


def test_columns_of_prose_are_no_table() -> None:
    lines = by_rows(column(LEFT, 700, prose(9, "L")), column(RIGHT, 700, prose(9, "R")))
    assert "|" not in loaded(placed(lines)).text


def test_lists_are_no_tables() -> None:
    items = [(60, 700 - 14 * n, f"{n + 1}.") for n in range(5)]
    texts = [(90, 700 - 14 * n, f"Item with number {n + 1} of the list") for n in range(5)]
    assert (
        loaded(placed([*items, *texts])).text.split("\n")[0] == "1. Item with number 1 of the list"
    )


def test_headings_by_size_of_type() -> None:
    body = placed(column(60, 700, prose(12, "A"))) + placed(column(60, 480, prose(12, "B")))
    heads = placed([(60, 760, "Pump manual")], size=24)
    heads += placed([(60, 722, "First steps")], size=14) + placed([(60, 502, "Upkeep")], size=14)
    document = loaded(heads + body)
    assert [(s.title, s.level) for s in document.sections] == [
        ("Pump manual", 1),
        ("First steps", 2),
        ("Upkeep", 2),
    ]
    assert document.heading_at(document.text.index("B3")) == ("Pump manual", "Upkeep")
    for section in document.sections:
        assert document.text[section.start :].startswith(f"{'#' * section.level} {section.title}\n")


def test_headings_of_the_outline() -> None:
    pages = [Page(placed([(60, 720, "1 Setup"), *column(60, 700, prose(6, "A"))]))]
    pages.append(Page(placed([(60, 720, "2 Use"), *column(60, 700, prose(6, "B"))])))
    extra = [
        b"<< /Type /Outlines /First 11 0 R /Last 12 0 R /Count 2 >>",
        b"<< /Title (Setup) /Parent 10 0 R /Next 12 0 R /Dest [4 0 R /Fit] >>",
        b"<< /Title (Use) /Parent 10 0 R /Prev 11 0 R /Dest [7 0 R /Fit] >>",
    ]
    data = pages_pdf(pages, extra=extra, catalog="/Outlines {0} 0 R")
    document = load_bytes(data, uri="a.pdf", media_type="application/pdf")
    assert [(s.title, s.level) for s in document.sections] == [("1 Setup", 1), ("2 Use", 1)]


def test_running_lines_and_page_numbers_are_boilerplate() -> None:
    contents = []
    for number in range(1, 6):
        lines = [(60, 800, f"Pump manual, edition {number + 6}"), (290, 40, f"{number}")]
        contents.append(placed([*lines, *column(60, 740, prose(20, "abcdef"[number]))]))
    document = loaded(*contents)
    marked = [document.text[m.start : m.end] for m in document.marks if m.kind == "boilerplate"]
    assert marked == [
        text for n in range(1, 6) for text in (f"Pump manual, edition {n + 6}", f"{n}")
    ]


def boilerplate_of(*edges: tuple[str, ...], size: float = 10) -> list[str]:
    """What is marked where each page begins with such lines."""
    contents = [
        placed(column(60, 800, lines), size=size)
        + placed(column(60, 740, prose(20, "abcdef"[number])))
        for number, lines in enumerate(edges)
    ]
    document = loaded(*contents)
    marked = [document.text[m.start : m.end] for m in document.marks if m.kind == "boilerplate"]
    return [line for text in marked for line in text.split("\n") if line]


@pytest.mark.parametrize(
    "text",
    [
        "Invoice No. 2024-10{0}",
        "Invoice of the works no. 10{0}",
        "Amount due: {0}1.50 EUR",
        "Signed at the works on 2024-05-1{0}",
        "Log of the works, May 1{0}",
        "Report of the year 202{0}",
        "Chapter {0}",
        "Exercise {0}",
    ],
)
def test_numbers_that_change_are_no_running_lines(text: str) -> None:
    assert boilerplate_of(*((text.format(number),) for number in range(1, 6))) == []


def test_headings_that_count_with_the_pages_are_no_running_lines() -> None:
    heads = [(f"Work order of the day {number}",) for number in range(1, 6)]
    assert boilerplate_of(*heads, size=16) == []


@pytest.mark.parametrize(
    "text", ["Pumps, page {0} of 9", "{0} Manual of pumps", "Pumps | Seite {0}"]
)
def test_running_lines_with_the_number_of_the_page(text: str) -> None:
    heads = [(text.format(number),) for number in range(3, 8)]
    assert boilerplate_of(*heads) == [text for (text,) in heads]


def test_a_word_with_the_number_of_a_page_that_tells_none_else() -> None:
    even = [("2 Manual of pumps",), ("4 Manual of pumps",), ("6 Manual of pumps",)]
    odd = [("Upkeep 3",), ("Upkeep 5",), ("Upkeep 7",)]
    heads = [head for pair in zip(even, odd, strict=True) for head in pair]
    assert boilerplate_of(*heads) == [text for (text,) in heads]
    both = [(f"{number} Manual of pumps", f"Exercise {number}") for number in range(2, 7)]
    assert boilerplate_of(*both) == [first for first, _ in both]


def test_contents_are_boilerplate() -> None:
    entries = [f"Chapter {n} on pumps . . . . . . . . . . . . . {n * 7}" for n in range(1, 9)]
    document = loaded(placed(column(60, 700, entries)), placed(column(60, 700, prose(9, "A"))))
    (mark,) = (m for m in document.marks if m.kind == "boilerplate")
    assert document.text[mark.start : mark.end].split("\n") == entries


def line(text: str, top: float = 0) -> Line:
    return Line(text, 0, top, 100, top + 10, 10)


def texts(*lines: str) -> list[str]:
    page = PageText(1, passages_of([line(text, 12 * n) for n, text in enumerate(lines)]), {})
    settle_hyphens([page])
    return [passage.text for passage in page.passages]


def test_lines_are_joined_where_words_break() -> None:
    assert texts("compi-", "lation and com\ufffe", "pile", "al\x02", "ternative  ") == [
        "compilation and compile",
        "alternative",
    ]
    assert texts("a 5-", "6 range", "X-", "Ray") == ["a 5-", "6 range", "X-", "Ray"]


def test_hyphens_that_belong_to_a_word_stay() -> None:
    for first, second in [("ERR", "1042"), ("X", "Ray"), ("SKU", "A77"), ("SARS", "related")]:
        assert texts(f"the {first}\ufffe", f"{second} of it") == [f"the {first}-{second} of it"]
    for first, second in [("well", "known"), ("self", "help"), ("rule", "based")]:
        assert texts(f"a {first}\ufffe", f"{second} one") == [f"a {first}-{second} one"]
        assert texts(f"a {first}-", f"{second} one") == [f"a {first}-{second} one"]
    assert texts("the state of the art, a state-of\ufffe", "the-art pump") == [
        "the state of the art, a state-of-the-art pump"
    ]


def test_the_document_tells_how_a_word_is_written() -> None:
    assert texts("a crowd\ufffe", "worker", "crowdworker")[0] == "a crowdworker"
    assert texts("a crowd\ufffe", "worker", "crowd-worker")[0] == "a crowd-worker"
    assert texts("Trace\ufffe", "Monkey", "TraceMonkey")[0] == "TraceMonkey"
    assert texts("species\ufffe", "diversity", "species of a diversity")[0] == "species-diversity"
    assert texts("in\ufffe", "valid", "in valid")[0] == "invalid"
    assert texts("under\ufffe", "stand", "under a stand")[0] == "understand"
    assert texts("a sum\xad", "mary of sum\xadmaries") == ["a summary of summaries"]


def test_lines_of_a_cell_are_joined_as_those_of_the_text() -> None:
    def joined(*lines: str) -> str:
        widths = [10.0 * len(text) for text in lines]
        pieces = [
            Piece(text, 2, 100 + 12 * n, 2 + width, 112 + 12 * n, 12, words=[(2, 2 + width, text)])
            for n, (text, width) in enumerate(zip(lines, widths, strict=True))
        ]
        rest = [
            Piece(text, left, top, left + 30, top + 12, 12, words=[(left, left + 30, text)])
            for left, top, text in [(2, 80, "Name"), (120, 80, "Size"), (120, 100, "4 mm")]
        ]
        level = [Rule(0, y, 200, y) for y in (76, 98, 140)]
        upright = [Rule(x, 76, x, 140) for x in (0, 105, 200)]
        (table,) = with_tables([*pieces, *rest], [*level, *upright])
        return table.cells[1][0]

    assert joined("2024-", "03-15") == "2024-03-15"
    assert joined("a pump -", "old") == "a pump - old"
    assert joined("the pump", "house") == "the pump house"
    assert joined("一年后可享受带薪年假", "结转") == "一年后可享受带薪年假结转"
    assert joined("苹果", "香蕉") == "苹果 香蕉"


def test_full_chinese_lines_are_joined() -> None:
    head, first, second, last = (
        "第一章 总则",
        "本办法适用于公司全体员工，包括正式员工和试用",
        "期员工以及实习生。具体规定由人力资源部",
        "负责解释。",
    )
    assert texts(head, first, second, last, "第二章") == [head, first + second + last, "第二章"]


boxes = st.tuples(
    st.integers(0, 60),
    st.integers(0, 80),
    st.integers(1, 30),
    st.sampled_from(["a", "bb ccc", "1."]),
)


@settings(max_examples=50, deadline=None)
@given(st.lists(boxes, max_size=60))
def test_every_piece_is_read_once(places: list[tuple[int, int, int, str]]) -> None:
    pieces = []
    for n, (x, y, width, text) in enumerate(places):
        left, top, right = 10.0 * x, 10.0 * y, 10.0 * (x + width)
        name = f"{text}{n}"
        pieces.append(
            Piece(name, left, top, right, top + 10, 10, index=n, words=[(left, right, name)])
        )
    read = " ".join(line.text for line in lines_of(pieces)).replace("|", " ").split()
    assert sorted(read) == sorted(word for piece in pieces for word in piece.text.split())


@pytest.mark.parametrize(("pages", "repeated"), [(1, 0), (4, 4)])
def test_watermarks_are_neither_headings_nor_titles(pages: int, repeated: int) -> None:
    draft = "q .7 .7 -.7 .7 200 300 cm BT /F1 60 Tf (DRAFT) Tj ET Q\n"
    texts = [prose(50, f"P{number}-", words=9) for number in range(pages)]
    document = loaded(*(draft + placed(column(50, 780, text)) for text in texts))
    assert document.title == "a"
    assert not document.sections
    assert [document.text[m.start : m.end] for m in document.marks] == ["DRAFT"] * repeated


def test_exponents_do_not_turn_their_word() -> None:
    power = "BT /F1 10 Tf 50 700 Td (10) Tj 6 Ts (6) Tj 0 Ts ( bar) Tj ET\n"
    document = loaded(power + placed(column(50, 680, prose(4, "A"))))
    assert document.text.startswith("106 bar\n\nA0 Every")


def drawn_cell(x: float, y: float, width: float, height: float, text: str) -> str:
    """A cell with its text in the middle and rules around it."""
    return f"{x} {y} {width} {height} re S\n" + placed([(x + 4, y + height / 2 - 3, text)])


def test_cells_over_several_rows_and_columns_of_a_ruled_table() -> None:
    cells = drawn_cell(50, 640, 100, 40, "City") + drawn_cell(150, 660, 200, 20, "People")
    cells += drawn_cell(150, 640, 100, 20, "2020") + drawn_cell(250, 640, 100, 20, "2021")
    cells += drawn_cell(50, 600, 100, 40, "Rome")
    for row, (one, two) in enumerate([("2,800", "2,790"), ("2,700", "2,690")]):
        cells += drawn_cell(150, 620 - 20 * row, 100, 20, one)
        cells += drawn_cell(250, 620 - 20 * row, 100, 20, two)
    assert loaded(placed(column(50, 760, prose(3, "A"))) + cells).text.split("\n")[-4:] == [
        "| City | People 2020 | People 2021 |",
        "| --- | --- | --- |",
        "| Rome | 2,800 | 2,790 |",
        "| Rome | 2,700 | 2,690 |",
    ]


def test_an_empty_cell_of_a_ruled_table_stays_empty() -> None:
    rows = [("City", "2020"), ("Rome", "2,800"), ("", "2,700")]
    cells = "".join(
        drawn_cell(50 + 100 * n, 640 - 20 * row, 100, 20, text)
        for row, line in enumerate(rows)
        for n, text in enumerate(line)
    )
    assert loaded(placed(column(50, 760, prose(3, "A"))) + cells).text.endswith("\n| | 2,700 |")


def rotated(name: str, number: int) -> str:
    """Lines of the same words, and so of the same width."""
    words = ["every", "pump", "of", "the", "western", "station", "is", "cleaned", "once"]
    return " ".join([f"{name}{number:02}", *words[number % 9 :], *words[: number % 9]])


def close_columns(lines: int, gap: int, right: Sequence[int]) -> str:
    """Two columns drawn line by line across the page, `gap` thousandths of the type apart."""
    rows = []
    for number in range(lines):
        text = f"({rotated('L', number)})"
        text += f" -{gap} ({rotated('R', number)})" if number in right else ""
        rows.append(f"BT /F1 10 Tf 50 {700 - 13 * number} Td [{text}] TJ ET")
    return "\n".join(rows)


@pytest.mark.parametrize("right", [range(20), range(6, 14)], ids=["column", "sidebar"])
def test_columns_that_stand_close_are_read_one_after_the_other(right: Sequence[int]) -> None:
    found = firsts(loaded(close_columns(20, 700, right)))
    assert found == [f"L{n:02}" for n in range(20)] + [f"R{n:02}" for n in right]


def test_lines_with_a_wide_blank_here_and_there_are_not_cut() -> None:
    document = loaded(close_columns(20, 700, (2, 9, 15)))
    assert firsts(document) == [f"L{n:02}" for n in range(20)]


def test_columns_above_a_table_that_nothing_parts_from_it() -> None:
    left, right = column(LEFT, 700, prose(8, "L")), column(RIGHT, 700, prose(8, "R"))
    rows = [("Item", "Qty", "Price"), ("Seal", "4", "12.50"), ("Oil", "2", "40.00")]
    rows += [("Pipe", "1", "90.00"), ("Nut", "8", "0.50"), ("Cap", "6", "1.50")]
    cells = [(x, 540 - 16 * n, text) for n, row in enumerate(rows)
             for x, text in zip((LEFT, 180, 350), row, strict=True)]  # fmt: skip
    document = loaded(placed([(LEFT, 740, "Sizes"), *by_rows(left, right), *cells]))
    told = ["Sizes", *numbered("L", 8), *numbered("R", 8)]
    assert firsts(document)[: len(told)] == told
    assert document.text.endswith(
        "| Item | Qty | Price |\n| --- | --- | --- |\n"
        + "\n".join(f"| {' | '.join(row)} |" for row in rows[1:])
    )
