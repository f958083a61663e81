"""Offsets of tokens in long texts, without the memory that one encoding of the whole would take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

BLOCK = 50_000  # characters; an encoding takes about 100 times its text


def token_starts(tokenizer: Any, text: str) -> list[int]:
    """Character offset of each token of `text` by a `tokenizers.Tokenizer` without truncation."""
    return [
        start + first
        for start, end in _blocks(text)
        for first, _ in tokenizer.encode(text[start:end], add_special_tokens=False).offsets
    ]


def _blocks(text: str) -> Iterator[tuple[int, int]]:
    """Spans of at most `BLOCK` characters, ending at a line break or a blank where there is one."""
    start = 0
    while len(text) - start > BLOCK:
        end = max(text.rfind("\n", start, start + BLOCK), text.rfind(" ", start, start + BLOCK)) + 1
        end = end if end > start else start + BLOCK
        yield start, end
        start = end
    yield start, len(text)
