from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.documents import Chunk
from qa.extracting.lists import LONGEST, led_to, list_asked_for

STEPS = "To reset it:\n\n1. Open\n   the lid.\n2. Press the knob.\n\nIt then starts."
BULLETS = "Bring along\n- a pen\n- a ruler\n\nLunch is at noon."
FAQ = "**Which carriers?**\nAt present BlueVan.\n\n**Which sizes?**\nAll.\n"
SECTIONS = "1. Arrival\nShow a card at the gate.\n\n2. Clothing\nNo sandals or loose scarves.\n"
NOTED = "- if you drive,\n- at sea.\nDriving: it makes sleepy.\n"
FIXED = "- Added a\n- Fixed: b\n  and c\n- Fixed d\n"
CHINESE = "升级步骤：\n1. 断电。\n2. 上电。\n"


def chunk(text: str, omitted: tuple[tuple[int, int], ...] = ()) -> Chunk:
    return Chunk("d", "a.md", "", 0, len(text), text, omitted=omitted)


def asked(question: str, text: str, sentence: str) -> str | None:
    start = text.index(sentence)
    span = list_asked_for(question, chunk(text), start, start + len(sentence))
    return span and text[slice(*span)]


@pytest.mark.parametrize(
    ("question", "text", "sentence", "whole"),
    [
        ("What are the steps to reset it?", STEPS, "Press the knob.", STEPS[:-17]),
        ("How do I reset it?", STEPS, "To reset it:", STEPS[:-17]),
        ("What are the things to bring?", BULLETS, "a pen", "- a pen\n- a ruler"),
        ("Which things do I bring?", BULLETS, "Bring along", "- a pen\n- a ruler"),
        ("升级有哪些步骤？", CHINESE, "断电。", CHINESE[:-1]),
        ("怎么升级？", CHINESE, "上电。", CHINESE[:-1]),
        ("How do I bring it?", BULLETS, "a pen", None),
        ("What is the second step?", "Only this:\n1. Open.\n", "Open.", None),
        ("Who resets it?", STEPS, "Press the knob.", None),
        ("What are the steps?", STEPS, "It then starts.", None),
        ("What is the list price?", BULLETS, "a pen", None),
        ("What are the rules for carriers?", FAQ, "At present BlueVan.", None),
        ("What are the rules?", SECTIONS, "Show a card at the gate.", None),
        ("What was added in 2.3?", "## 2.3\n- New: a\n- New: b\n", "New: a", "- New: a\n- New: b"),
        ("4.2.0有什么新功能？", "- 新增：a\n- 新增：b\n", "新增：b", "- 新增：a\n- 新增：b"),
        ("What are the limits?", NOTED, "if you drive", NOTED[:25]),
        ("What was fixed in 2.3?", FIXED, "Fixed: b", "- Fixed: b\n  and c\n- Fixed d"),
        ("What was added in 2.3?", FIXED, "Fixed: b", "Added a"),
        ("修复了什么？", "- 新增：a\n- 修复：b\n- 修复c\n", "修复c", "- 修复：b\n- 修复c"),
        ("怎么办？", "2.1 领用\n2.2 液氮\n", "液氮", None),
    ],
)
def test_the_list_asked_for(question: str, text: str, sentence: str, whole: str | None) -> None:
    assert asked(question, text, sentence) == whole


@pytest.mark.parametrize(
    ("text", "sentence", "whole"),
    [
        ("Do not take it\n- if you drive,\n- at sea.\n\nAsk.", "Do not take it", -6),
        ("Do not take it\n- if you drive,\n- at sea.\n\nAsk.", "if you drive,", None),
        ("To reset it:\n\n1. Open.\n2. Press.\n", "To reset it:", -1),
        ("It is old.\n- a\n- b\n", "It is old.", None),
        ("各位同事：\n\n年会在一月。\n", "各位同事：", None),
        ("Do not take it\n\n## Children\n- a\n- b\n", "Do not take it", None),
    ],
)
def test_the_list_that_a_sentence_leads_to(text: str, sentence: str, whole: int | None) -> None:
    start = text.index(sentence)
    first, last = led_to(chunk(text), start, start + len(sentence))
    assert text[first:last] == (text[:whole] if whole else sentence)


def test_no_list_with_hidden_text_or_as_long_as_a_document() -> None:
    start = STEPS.index("Press")
    hidden = chunk(STEPS, omitted=((start, start + 5),))
    assert list_asked_for("Which steps are there?", hidden, start, start + 16) is None
    long = "1. one\n2. " + "x" * LONGEST
    assert list_asked_for("Which steps are there?", chunk(long), 3, 6) is None


@given(st.lists(st.sampled_from(["- a", "1. b", "", "text", "# head", "  more:"]), max_size=8))
def test_a_list_lies_in_its_passage(lines: list[str]) -> None:
    text = "\n".join(lines)
    for start in range(len(text)):
        span = list_asked_for("What are the steps?", chunk(text), start, min(start + 3, len(text)))
        assert span is None or 0 <= span[0] < span[1] <= len(text)


@pytest.mark.parametrize(
    ("question", "under", "is_asked_for"),
    [
        ("ingredients for fish pie", "Fish pie\nIngredients", True),
        ("what do volunteers get", "Handbook for volunteers\n3. What you get", True),
        ("公司福利", "公司手册\n第四章 福利", True),
        ("shrimps in the ingredients", "Fish pie\nIngredients", False),
        ("fish pie", "Fish pie\nIngredients", False),
        ("how many ingredients", "Fish pie\nIngredients", False),
        ("ingredients", "", False),
    ],
)
def test_the_list_below_the_heading_asked_for(
    question: str, under: str, is_asked_for: bool
) -> None:
    found = list_asked_for(question, chunk("- 600 g cod\n- 2 eggs\n"), 2, 11, under=under)
    assert (found is not None) is is_asked_for
