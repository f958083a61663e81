from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa.citing.quantities import agree, codes, quantities, without_quantities


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("26 days", "twenty-six days"),
        ("26 days", "26天"),
        ("1,200 requests", "1.2 thousand requests"),
        ("一千二百个", "1200"),
        ("五百小时", "500 hours"),
        ("两年", "2 years"),
        ("90 minutes", "1.5 h"),
        ("24个月", "two years"),
        ("35 %", "百分之三十五"),
        ("€65", "65 euros"),
        ("EUR 18,900", "€18,900"),
        ("3万元", "30000 元"),
        ("20GB", "20 GB"),
        ("0.8 Nm", "0.8 Nm"),
        ("-20 ℃", "-20 °C"),
        ("2:30 pm", "14:30"),
        ("第 3 次", "第三次"),
        ("5 % of all", "５％"),
        ("300 requests", "300"),  # a number without a unit fits one with any
    ],
)
def test_the_same_written_otherwise(one: str, other: str) -> None:
    (mine,), (theirs,) = quantities(one), quantities(other)
    assert agree(mine, theirs)
    assert agree(theirs, mine)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("26 days", "28 days"),
        ("26 days", "26 weeks"),
        ("32 MB", "32 GB"),
        ("0.8 Nm", "0.8 nm"),
        ("€65", "$65"),
        ("35 %", "35 °C"),
        ("48 小时", "2 Mbit/s"),  # not the 2 of "2 days"
        ("第二次", "第三次"),
        ("-5 °C", "5 °C"),
        ("3 次", "3 月"),
        ("3 times", "3 people"),
        ("三人", "三次"),
    ],
)
def test_what_differs(one: str, other: str) -> None:
    assert not agree(quantities(one)[0], quantities(other)[0])


@pytest.mark.parametrize("text", ["2025-03-18", "18 March 2025", "2025年3月18日", "March 18, 2025"])
def test_a_date_is_its_numbers(text: str) -> None:
    written = sorted(quantity.written for quantity in quantities(text))
    assert written == [3, 18, 2025]
    asked = quantities("on 18 March 2025")
    assert all(any(agree(part, found) for found in quantities(text)) for part in asked)


def test_identifiers_are_no_quantities() -> None:
    text = "The LS-400 shows ERR_DATA-2019 with 5.1.0 for LS4-19-00003"
    assert codes(text) == ["LS-400", "ERR_DATA-2019", "5.1.0", "LS4-19-00003"]
    assert quantities(text) == []
    assert codes("LS-400台式光谱仪") == ["LS-400"]
    assert codes("20GB, 45 days and 24-hour") == []


def test_words_that_are_often_no_numbers_are_not_certain() -> None:
    assert [quantity.certain for quantity in quantities("one of the two, 一个")] == [
        False,
        True,
        False,
    ]
    assert quantities("You may go; 十分重要")[:1] != quantities("May")


def test_a_text_without_its_quantities() -> None:
    assert without_quantities("26 days of leave").split() == ["of", "leave"]


@given(st.text("0123456789.,-/:一二十百千万亿第年月天% €kKgGbBhm\n", max_size=40))
def test_any_text_has_quantities_or_none(text: str) -> None:
    for quantity in quantities(text):
        assert agree(quantity, quantity)
