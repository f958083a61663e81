from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qa.sentences import sentences

PIECES = st.sampled_from(
    ["The pump", " ", "\n", "\n\n", ". ", "。", "！", "? ", "…", "Dr. ", "v2.10.3", "水泵",
     "密封件", "- ", "1. ", "（1）", "| a | b |\n", "|---|---|\n", "# ", "```\n", "日期：",
     "Date: ", "😀", "\t", "\u3000", "”", "e.g. ", "3.14", "> ", "\u00a0", "\r\n", "a" * 30]
)  # fmt: skip
TEXTS = st.one_of(st.text(max_size=80), st.lists(PIECES, max_size=25).map("".join))


def split(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text)]


@given(TEXTS)
@example("| a |\n|---|")
@example(" \n\t\n ")
@example("- ")
def test_spans_are_ordered_disjoint_and_trimmed(text: str) -> None:
    spans = sentences(text)
    for start, end in spans:
        assert 0 <= start < end <= len(text)
        assert text[start:end] == text[start:end].strip()
    assert all(first_end <= start for (_, first_end), (start, _) in pairwise(spans))


@given(st.lists(st.text("abcdefgh水泵密封 ", min_size=1), min_size=1, max_size=8))
def test_running_text_loses_no_word(words: list[str]) -> None:
    text = "。".join(words)
    kept = "".join(split(text))
    assert [c for c in kept if c.isalpha()] == [c for c in text if c.isalpha()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Dr. Smith paid 3.14 euros for v2.10.3. He left, e.g. for Fig. 3.",
            ["Dr. Smith paid 3.14 euros for v2.10.3.", "He left, e.g. for Fig. 3."],
        ),
        ("J. R. R. Tolkien wrote it. The U.S. army.", ["J. R. R. Tolkien wrote it.",
                                                       "The U.S. army."]),
        ("No. 5 is alive. He said: go! Why? Well… fine.", ["No. 5 is alive.", "He said: go!",
                                                          "Why?", "Well…", "fine."]),
        ("Mail a@b.com or see www.example.com/a.b now. Done.",
         ["Mail a@b.com or see www.example.com/a.b now.", "Done."]),
        ('"Yes." She left. (See above.) End.', ['"Yes."', "She left.", "(See above.)", "End."]),
        ("No stop at the end", ["No stop at the end"]),
    ],
)  # fmt: skip
def test_english(text: str, expected: list[str]) -> None:
    assert split(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("第一句。第二句！第三句？第四句", ["第一句。", "第二句！", "第三句？", "第四句"]),
        ("他说：“走吧。”然后离开。", ["他说：“走吧。”", "然后离开。"]),
        ("升级到 v2.10.3 版本。价格是3.5元。", ["升级到 v2.10.3 版本。", "价格是3.5元。"]),
        ("甲方负责；乙方付款。", ["甲方负责；", "乙方付款。"]),
        ("真的吗？！是的……好。", ["真的吗？！", "是的……", "好。"]),
    ],
)
def test_chinese(text: str, expected: list[str]) -> None:
    assert split(text) == expected


def test_a_wrapped_line_goes_on() -> None:
    english = "The pump runs for 500\nhours before it needs\noil. Then it stops."
    assert split(english) == ["The pump runs for 500\nhours before it needs\noil.",
                              "Then it stops."]  # fmt: skip
    chinese = "水泵每运行五百小时\n需要加注一次润滑油。\n密封件两年一换。"
    assert split(chinese) == ["水泵每运行五百小时\n需要加注一次润滑油。", "密封件两年一换。"]


@pytest.mark.parametrize("number", ["0.004", "-5", "12)34", "1889"])
def test_a_number_at_the_start_of_a_wrapped_line_is_no_list_item(number: str) -> None:
    text = f"For this unit a penalty weight of\n{number} was chosen by the team."
    assert split(text) == [text]


def test_lines_of_a_form_are_statements() -> None:
    form = "Date: 3 May\nPlace: Room 4\nPresent: Ann, Bob"
    assert split(form) == form.split("\n")
    form = "日期：2025年3月1日\n地点：会议室"
    assert split(form) == form.split("\n")


def test_lines_of_a_form_may_have_long_labels_of_equal_length() -> None:
    form = ["Device: pump", "Serial number: 88", "Date of test: 3 May", "Oil pressure: 4.2 bar"]
    assert split("\n".join(form)) == form
    assert (
        len(split("The result was as we had expected it: all\npumps passed the test of May.")) == 1
    )


def test_list_items_lose_their_markers() -> None:
    text = "- first item\n* second item\n1. third\n2) fourth\n（3） 第五"
    assert split(text) == ["first item", "second item", "third", "fourth", "第五"]


def test_a_list_item_may_wrap() -> None:
    assert split("- one item wraps\n  onto a line\n- two") == ["one item wraps\n  onto a line",
                                                               "two"]  # fmt: skip


def test_table_rows_are_statements_and_the_head_is_none() -> None:
    table = "| Part | Price |\n|:---|---:|\n| Seal. Blue | 12 |\n| 密封件 | 7 |"
    assert split(table) == ["| Seal. Blue | 12 |", "| 密封件 | 7 |"]


@pytest.mark.parametrize("text", ["# Head", "## 4.1 价格", "```python", "~~~", "|---|:-:|", "---",
                                  "***", "", " \n ", "。"])  # fmt: skip
def test_no_statements(text: str) -> None:
    assert split(text) == []


def test_structure_around_a_sentence_is_left_out() -> None:
    text = "# Head\n\nThe text.\n\n```\nx = 1\n```\n\n## 标题\n正文。"
    assert split(text) == ["The text.", "x = 1", "正文。"]


def test_omitted_text_is_in_no_sentence() -> None:
    text = "We leave at noon. Page 3 of 9. Bring water.\nConfidential."
    omitted = [(text.index("Page"), text.index(" Bring")), (text.index("Conf"), len(text))]
    spans = sentences(text, omitted=omitted)
    assert [text[start:end] for start, end in spans] == ["We leave at noon.", "Bring water."]
