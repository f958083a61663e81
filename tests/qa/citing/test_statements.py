from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qa.citing.statements import pieces

PARTS = st.sampled_from(
    ["Paris", " is", " 3.5", ".", ". ", "。", "!", " [1]", "[2]", "\n", "\n\n", "- ", "1. ", "# ",
     "```", "```\n", "e.g.", " Dr.", '"', ")", "**", ":", "？", "巴黎"]
)  # fmt: skip
TOKENS = st.lists(PARTS, max_size=20)


def said(text: str) -> list[str]:
    return [piece.said for piece in pieces(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It is in Paris [1]. It is high [2].", ["It is in Paris.", "It is high."]),
        ("It is in Paris. [1] It is high. [2][3]", ["It is in Paris.", "It is high."]),
        ("塔在巴黎[1]。建于1889年。[2]", ["塔在巴黎。", "建于1889年。"]),
        ("It costs 3.5 euros, says Dr. Wu. Yes!", ["It costs 3.5 euros, says Dr. Wu.", "Yes!"]),
        ("1. Open it [1].\n2. Close it.\n- Done", ["Open it.", "Close it.", "Done"]),
        ('He said "no." Then he left.', ['He said "no."', "Then he left."]),
        ("Run:\n```\na. b. c\n```\nDone.", ["Run:", "```\na. b. c\n```", "Done."]),
    ],
)
def test_pieces(text: str, expected: list[str]) -> None:
    assert said(text) == expected


def test_marks_belong_to_the_sentence_before_them() -> None:
    found = list(pieces("It is in Paris. [1] It is [2] high [3]."))
    assert [piece.marks for piece in found] == [[1], [2, 3]]


@pytest.mark.parametrize(
    "text",
    ["# Heading", "The steps are:", "步骤如下：", "Anything else?", "```\nx = 1\n```", "***"],
)
def test_what_claims_nothing(text: str) -> None:
    assert [piece.claims for piece in pieces(text)] == [False]


@pytest.mark.parametrize(
    ("text", "tail"),
    [
        ("It is in Paris.", "."),
        ("It is in Paris [1][2]. ", " [1][2]. "),
        ("塔在巴黎。[1]\n", "。[1]\n"),
        ("**Paris**", "**"),
        ("Paris (France)", ""),
        ('He said "yes."\n', '."\n'),
    ],
)
def test_the_tail_is_where_a_mark_may_come(text: str, tail: str) -> None:
    (piece,) = pieces(text)
    assert text[piece.tail :] == tail


@given(TOKENS)
@example(["```\nnever closed"])
def test_pieces_leave_nothing_out(tokens: list[str]) -> None:
    text = "".join(tokens)
    found = list(pieces(text))
    assert "".join(piece.text for piece in found) == text
    assert all(one.end == other.start for one, other in pairwise(found))
    assert all(text[piece.start : piece.end] == piece.text for piece in found)
    assert all(0 <= piece.tail <= len(piece.text) for piece in found)


@given(TOKENS, st.integers(0, 20))
def test_more_text_changes_no_piece_that_is_complete(tokens: list[str], number: int) -> None:
    before = list(pieces("".join(tokens[:number]), complete=False))
    assert before == list(pieces("".join(tokens)))[: len(before)]
