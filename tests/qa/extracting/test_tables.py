from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.documents import Chunk
from qa.extracting.tables import cells_of, head_of, read_row, rows_without_bars

HEAD = "| Plan | Price | Storage |"
TABLE = f"Our plans:\n\n{HEAD}\n| --- | :-: | --- |\n| A | 10 € | 5 GB |\n| B | 25 € | 50 GB |\n"


def chunk(text: str, **facts: str) -> Chunk:
    return Chunk("d", "a.md", "", 0, len(text), text, **facts)  # type: ignore[arg-type]


def test_the_head_of_a_row() -> None:
    assert head_of(chunk(TABLE), TABLE.index("| B")) == HEAD
    assert head_of(chunk(TABLE), 0) == ""
    assert head_of(chunk("| B | 25 € | 50 GB |", context=HEAD), 0) == HEAD
    assert head_of(chunk(f"{TABLE}\n| x | y |"), len(TABLE) + 1) == ""  # another table


def test_rows_of_separated_values() -> None:
    text = "city,dealer\nCork,Lee\n\nGalway,Burke"
    rows = rows_without_bars(chunk(text, cells="A1:B3"))
    assert [text[slice(*row)] for row in rows] == ["Cork,Lee", "Galway,Burke"]
    assert head_of(chunk(text, cells="A1:B3"), rows[1][0]) == "city,dealer"
    later = chunk("Cork,Lee", cells="A9:B9", context="city,dealer")
    assert rows_without_bars(later) == [(0, 8)]
    assert rows_without_bars(chunk(text)) == []
    sheet = chunk(f"## Plans, monthly\n\n{TABLE}", cells="Plans!A1:C3")
    assert rows_without_bars(sheet) == []
    assert head_of(sheet, sheet.text.index("| B")) == HEAD


@pytest.mark.parametrize(
    ("row", "head", "question", "text"),
    [
        ("| B | 25 € | 50 GB |", HEAD, "What is the price of plan B?", "B — Price: 25 €"),
        ("| B | 25 € | 50 GB |", HEAD, "Tell me of B", "B — Price: 25 € — Storage: 50 GB"),
        ("| 年费 | 30元 | 90元 |", "| 项目 | 基础版 | 专业版 |", "专业版一年多少钱？",
         "年费 — 专业版: 90元"),
        ("Cork,Lee,15%", "city,dealer,discount", "Which discount in Cork?", "Cork — discount: 15%"),
        ("| Pro | 300 | 20 GB |", "| Plan | Requests | Upload volume a day |",
         "How much may the plan Pro upload a day?", "Pro — Upload volume a day: 20 GB"),
        ("| a |  | c |", "| x | y |", "c?", "a — c"),
        ("| 40-1 | fan filter |", "| Order number | Part |", "order number of the fan filter?",
         "40-1 — Part: fan filter"),
    ],
)  # fmt: skip
def test_a_row_as_a_statement(row: str, head: str, question: str, text: str) -> None:
    assert read_row(row, head, question) == text


@given(st.lists(st.text("ab 价,", max_size=4), min_size=1, max_size=5))
def test_cells_come_back(cells: list[str]) -> None:
    assert cells_of(f"| {' | '.join(cells)} |") == [cell.strip() for cell in cells]


def test_an_escaped_bar_is_one_of_its_cell() -> None:
    row, head = r"| X1 | --mode=on\|off | 99 EUR |", "| Model | Option | Price |"
    assert read_row(row, head, "price of model X1") == "X1 — Price: 99 EUR"
    assert cells_of(row)[1] == "--mode=on|off"


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_row_can_be_read(row: str, head: str) -> None:
    read_row(f"| {row} |", head, "what?")
