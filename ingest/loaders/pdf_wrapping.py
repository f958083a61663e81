"""How the end of a line and the next one go together: broken words, Chinese, anything else."""

from __future__ import annotations

import re

from ingest.loaders.pdf_pieces import HYPHENS

_MARK = "\ufffe"
_BROKEN_WORD = re.compile(r"(?<=[a-zà-öø-ÿ]{2})-$")
_WORD_START = re.compile(r"[a-zà-öø-ÿ]{2}")
_HYPHEN_END = re.compile(r"[^\W_]-$")
_WIDE = "\u3400-\u4dbf\u4e00-\u9fff\u3040-\u30ff\uf900-\ufaff，、；：（）《》“”"
_WIDE_END = re.compile(f"[{_WIDE}]$")
_WIDE_START = re.compile(f"^[{_WIDE}。！？]")


def breaks_word(text: str, following: str) -> bool:
    """Whether the line ends in a hyphen that may only be there because the line ends."""
    return text.endswith(tuple(HYPHENS)) or bool(
        _BROKEN_WORD.search(text) and _WORD_START.match(following)
    )


def with_mark(text: str) -> str:
    """The line, its hyphen replaced by a mark: `settle_hyphens` decides."""
    return _BROKEN_WORD.sub(_MARK, text)


def ends_wide(text: str) -> bool:
    """Whether the text ends in Chinese or Japanese."""
    return bool(_WIDE_END.search(text))


def both_wide(text: str, following: str) -> bool:
    """Whether the texts meet in Chinese or Japanese, which has no blanks."""
    return bool(_WIDE_END.search(text) and _WIDE_START.match(following))


def wrapped(text: str, following: str, *, full: bool) -> str:
    """Two lines of a cell as one; `full` if the first reaches to the end of the cell."""
    if breaks_word(text, following):
        return with_mark(text) + following
    if _HYPHEN_END.search(text) and following[:1].isalnum():
        return text + following
    if full and both_wide(text, following):
        return text + following
    return f"{text} {following}".strip()
