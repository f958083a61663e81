from __future__ import annotations

import pytest

from ingest.documents import Chunk
from qa.citing.evidence import basis, best_span
from qa.citing.rows import cells_of_others, holds, said_at, spans_of, written_out
from qa.citing.support import SUPPORTED, support

ROW = "BX-1003,Carbon cartridge,24.00,3"
CSV = f"part_no,description,price_eur,stock\n{ROW}\nBX-1004,Fan motor,68.00,14"
DEALERS = "城市,经销商,联系人,保修期(月)\n成都,蜀光仪器,邓文涛,24\n西安,秦岭科学,马晓莉,12"


def chunk(text: str, title: str = "") -> Chunk:
    return Chunk("d", "a.csv", title, 0, len(text), text, cells="A1:D3")


def test_a_row_of_separated_values_is_quoted_exactly() -> None:
    span = best_span("BX-1003 costs 24.00 euros.", chunk(CSV))
    assert CSV[span.start : span.end] == ROW
    assert span.support >= SUPPORTED


@pytest.mark.parametrize(
    ("text", "statement", "supported"),
    [
        (CSV, "BX-1003 costs 24.00 euros.", True),
        (CSV, "BX-1003 costs 68.00 euros.", False),  # the price of the other
        (CSV, "The stock of BX-1003 is 24.", False),  # of another column
        (CSV, "The price of the Fan motor BX-1003 is 24.00 euros.", False),
        (CSV, "The price of BX-1003 is 24.00 dollars.", False),
        (DEALERS, "成都的经销商是蜀光仪器。", True),
        (DEALERS, "西安的经销商是蜀光仪器。", False),
        (DEALERS, "蜀光仪器的联系人是马晓莉。", False),
        (DEALERS, "蜀光仪器的保修期是24个月。", True),
        (DEALERS, "蜀光仪器的保修期是24天。", False),
    ],
)
def test_a_statement_on_a_cell_is_told_by_its_row(
    text: str, statement: str, supported: bool
) -> None:
    assert (best_span(statement, chunk(text)).support >= SUPPORTED) is supported


def test_a_row_says_the_names_of_its_columns_and_their_units() -> None:
    written = "| Part: SP-1 | Price EUR: 415 EUR | Lead time (weeks): 3 weeks | Fits: LS-400 "
    head = "| Part | Price EUR | Lead time (weeks) | Note | Fits |"
    assert written_out("| SP-1 | 415 | 3 |  | LS-400 |", head) == written
    assert written_out("| a | b |", "| one |") == "| a | b |"
    assert said_at(chunk(DEALERS), *spans_of(chunk(DEALERS))[0]).endswith("| 保修期(月): 24 个月 ")
    assert said_at(chunk(CSV), 0, 7) == "part_no"


def test_cells_of_the_other_rows() -> None:
    start = CSV.index(ROW)
    assert cells_of_others(chunk(CSV), start, start + len(ROW)) == {"BX-1004", "Fan motor"}
    text = "No table. Two sentences."
    assert cells_of_others(chunk(text), 0, 9) == frozenset()


def test_a_statement_may_name_what_title_or_own_row_say() -> None:
    found = basis(chunk(CSV, title="Fan motor"), CSV.index(ROW), CSV.index(ROW) + len(ROW))
    assert found["others"] == {"BX-1004"}
    assert support("The Fan motor BX-1003 costs 24.00 euros.", **found) >= SUPPORTED


def test_a_cell_is_held_as_words_of_its_own() -> None:
    assert holds("It is the Fan Motor.", "fan motor")
    assert not holds("a fantastic motor", "fan")
    assert holds("在蘇州的經銷商", "苏州")
