"""How many tokens an LLM sees in a text, where its own tokenizer is not at hand."""

from __future__ import annotations

import re

from retrieval.terms import CJK

_CJK = re.compile(rf"[{CJK}]")


def estimate_tokens(text: str) -> int:
    """About how many tokens an LLM sees: one a Chinese character, one per four others."""
    wide = len(_CJK.findall(text))
    return wide + -(-(len(text) - wide) // 4)
