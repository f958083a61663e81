from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qa.citing.marks import NO_ANSWER, MarkFilter, mark_numbers, without_marks

SOURCES = 3
PIECES = st.sampled_from(
    ["Paris", " ", "[1]", "[2][3]", "[1, 2]", "【1】", "【2、9】", "[9]", "[2024]", "[", "]",
     "【", "】", "1", ",", "，", "\n", "[text](http://a/1)", "[x]", "巴黎", "。", "NO_ANSWER", "NO",
     "_ANSWER", "[ 1 ]", "\t", "[12345]", "[1;2]", "[0]", "[" + "1," * 30, "(", "http", "h", ":",
     "`", "``", "```", "[1-3]", "[2–9]", "-", "[^1]", "［2］", "【1†source】", "†", "^", "**", '"',
     "Answer:", "答案：", "Answer"]
)  # fmt: skip
ANSWERS = st.lists(PIECES, max_size=14).map("".join)


def whole(text: str, sources: int = SOURCES) -> MarkFilter:
    marks = MarkFilter(sources)
    marks.feed(text)
    marks.finish()
    return marks


def streamed(tokens: list[str]) -> tuple[MarkFilter, str]:
    seen: list[str] = []
    marks = MarkFilter(SOURCES, seen.append)
    for token in tokens:
        marks.feed(token)
    marks.finish()
    return marks, "".join(seen)


def cut(text: str, places: set[int]) -> list[str]:
    bounds = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[a:b] for a, b in pairwise(bounds)]


@pytest.mark.parametrize("mark", ["[^1]", "［1］", "【1†source】", "[1†L3-L9]", "[ 1 ]"])
def test_marks_as_models_write_them(mark: str) -> None:
    assert whole(f"Paris {mark}.").text == "Paris [1]."


@given(ANSWERS, st.sets(st.integers(0, 200), max_size=20))
@example("Paris [1, 2].", set(range(14)))
@example(NO_ANSWER, set(range(10)))
@example(f" {NO_ANSWER}.", set(range(12)))
@example("NO_ANS", {2})
@example("[" + "1," * 30 + "1]", {3, 50})
def test_any_way_of_cutting_gives_the_same(text: str, places: set[int]) -> None:
    expected = whole(text)
    marks, seen = streamed(cut(text, places))
    assert (marks.text, marks.refused) == (expected.text, expected.refused)
    assert seen == marks.text


@given(ANSWERS)
def test_what_is_left_names_sources_only(text: str) -> None:
    numbers = [number for number, _ in mark_numbers(whole(text).text)]
    assert all(1 <= number <= SOURCES for number in numbers)


@given(ANSWERS)
def test_filtering_twice_changes_nothing(text: str) -> None:
    once = whole(text)
    if not once.refused and not once.text.lstrip().startswith(NO_ANSWER):
        assert whole(once.text).text == once.text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Paris [1].", "Paris [1]."),
        ("Paris [1, 2].", "Paris [1][2]."),
        ("Paris [1][3].", "Paris [1][3]."),
        ("巴黎【1】。", "巴黎[1]。"),
        ("巴黎【1、2】。", "巴黎[1][2]。"),
        ("Paris [ 2 ].", "Paris [2]."),
        ("Paris [9].", "Paris."),
        ("Paris [1, 9].", "Paris [1]."),
        ("Paris [0].", "Paris."),
        ("In [2024] it was [1].", "In it was [1]."),
        ("See [the text](http://a/1) [1].", "See [the text](http://a/1) [1]."),
        ("See [7](http://a/1) [1].", "See [7](http://a/1) [1]."),
        ("Paris [1](https://a).", "Paris [1](https://a)."),
        ("Paris [1](see also Lyon [9]).", "Paris [1](see also Lyon)."),
        ("Paris [1-3].", "Paris [1][2][3]."),
        ("Paris [2–3, 1].", "Paris [2][3][1]."),
        ("Paris [1-900].", "Paris [1]."),
        ("Paris【1-2】。", "Paris[1][2]。"),
        ("Run `a[9]` [1].", "Run `a[9]` [1]."),
        ("```\nx = a[9]\n```\nPast [9] it [1].", "```\nx = a[9]\n```\nPast it [1]."),
        ("``a`[9]`` [9]", "``a`[9]``"),
        ("A stray ` here [9]\nand there [9].", "A stray ` here [9]\nand there."),
        ("An [open bracket", "An [open bracket"),
        ("An array a[i] and [x].", "An array a[i] and [x]."),
        ("", ""),
    ],
)
def test_marks(text: str, expected: str) -> None:
    assert whole(text).text == expected


def test_what_a_text_says_without_its_marks() -> None:
    assert without_marks("Paris [1][2], `a[3]` and【4】Lyon.") == "Paris, `a[3]` andLyon."


def test_a_link_is_no_citation() -> None:
    assert mark_numbers("See [2](http://a/1) and [1].") == [(1, 23)]


@pytest.mark.parametrize(
    "text",
    [
        *(NO_ANSWER, f" {NO_ANSWER}\n", f"{NO_ANSWER}.", f"\n{NO_ANSWER}", f"**{NO_ANSWER}**"),
        *(f'"{NO_ANSWER}"', f"`{NO_ANSWER}`", f"Answer: {NO_ANSWER}", f"答案：「{NO_ANSWER}」"),
    ],
)
def test_no_answer_alone_is_a_refusal(text: str) -> None:
    for tokens in ([text], list(text)):
        marks, seen = streamed(tokens)
        assert marks.refused
        assert marks.text == seen == ""


@pytest.mark.parametrize("text", ["NO_ANS", "NO answer is given [1].", "N", "NO_ANSWE [1]"])
def test_a_text_that_begins_like_a_refusal_is_none(text: str) -> None:
    marks, seen = streamed(list(text))
    assert not marks.refused
    assert marks.text == seen == text


def test_text_is_held_back_only_while_it_may_be_a_mark() -> None:
    seen: list[str] = []
    marks = MarkFilter(SOURCES, seen.append)
    for token in ("Paris is", " big", " [1", "] and", " [x", "] old"):
        marks.feed(token)
    assert seen == ["Paris is", " big", " [1] and", " [x", "] old"]


def test_numbers_of_marks_with_their_places() -> None:
    assert mark_numbers("A [1]. B [2, 3]") == [(1, 1), (2, 8), (3, 8)]
    assert not re.search(r"\d", whole("A [7][8]").text)
