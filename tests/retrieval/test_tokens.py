from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from retrieval.minilm import package_folder
from retrieval.tokens import BLOCK, _blocks, token_starts


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    opened = Tokenizer.from_file(str(package_folder() / "tokenizer.json"))
    opened.no_truncation()
    opened.no_padding()
    return opened


def encoded_whole(tokenizer: Any, text: str) -> list[int]:
    return [first for first, _ in tokenizer.encode(text, add_special_tokens=False).offsets]


@given(text=st.text(max_size=300))
def test_a_text_of_one_block_is_encoded_as_a_whole(tokenizer: Any, text: str) -> None:
    starts = token_starts(tokenizer, text)
    assert starts == encoded_whole(tokenizer, text) == sorted(starts)


@pytest.mark.parametrize("unit", ["word ", "some more words\n", "年假为十五天。\n"])
def test_blocks_that_end_at_blanks_change_nothing(tokenizer: Any, unit: str) -> None:
    text = unit * (2 * BLOCK // len(unit) + 100)
    assert token_starts(tokenizer, text) == encoded_whole(tokenizer, text)


def test_chinese_without_a_blank_is_cut_anywhere(tokenizer: Any) -> None:
    text = "年假为十五天" * (2 * BLOCK // 6)
    assert token_starts(tokenizer, text) == list(range(len(text)))


def test_a_word_longer_than_a_block_still_has_tokens_in_each_block(tokenizer: Any) -> None:
    starts = token_starts(tokenizer, "a" * (3 * BLOCK))
    assert starts == sorted(starts)
    assert {start // BLOCK for start in starts} == {0, 1, 2}


@given(
    text=st.lists(st.sampled_from(["x" * 7000, " ", "\n", "字" * 9000, " y"]), max_size=60).map(
        "".join
    )
)
def test_blocks_cover_the_text_and_stay_small(text: str) -> None:
    spans = list(_blocks(text))
    assert "".join(text[start:end] for start, end in spans) == text
    assert all(end - start <= BLOCK for start, end in spans)
