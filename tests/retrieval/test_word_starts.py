from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from retrieval.minilm import package_folder
from retrieval.word_starts import WordStarts

PIECES = st.sampled_from(
    ["word ", "Naïve", "e\u0301", " ", "\t", "\n", "水泵", "，", "a_b-c", "E-17", "🙂", "\u3000",
     "\xa0", "\x00", "\x1c", "\x85", "ｆｕｌｌ", "한국어", "ไทย", "﷽", "½", "\u200b", "豈", "𠀀",
     "x" * 120]
)  # fmt: skip
TEXTS = st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=30).map("".join))


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    found = Tokenizer.from_file(str(package_folder() / "tokenizer.json"))
    found.no_truncation()
    found.no_padding()
    return found


@given(text=TEXTS)
@example(text="")
@example(text="-\u0301b")
@example(text="水\u0301泵")
def test_starts_are_those_of_the_whole_text(text: str, tokenizer: Tokenizer) -> None:
    whole = tokenizer.encode(text, add_special_tokens=False)
    starts = WordStarts(tokenizer)
    assert starts(text) == [first for first, _ in whole.offsets]
    assert starts(text) == [first for first, _ in whole.offsets]


def test_what_is_remembered_is_bounded(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retrieval.word_starts._WORDS", 10)
    starts = WordStarts(tokenizer)
    text = " ".join(f"w{n}" for n in range(100))
    assert starts(text) == [
        first for first, _ in tokenizer.encode(text, add_special_tokens=False).offsets
    ]
    assert len(starts._known) <= 10
