"""Hyphens at the ends of lines: those that only broke a word go, those that belong to it stay.

PDFium marks both alike. The document knows best: a word that it has elsewhere in one piece, or with
its hyphen, is written so.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from ingest.loaders.pdf_pieces import HYPHENS
from ingest.loaders.pdf_text import PageText

_SOFT = "\xad"  # shown only where a line breaks
_MARKS = HYPHENS.replace(_SOFT, "")
_PART = r"[^\W_]"
_BROKEN = re.compile(f"(-?)({_PART}*)[{_MARKS}](?=({_PART}*)(-?))")
_AROUND = re.compile(f"[^\\s{_MARKS}]*[{_MARKS}]\\S*")
_WORD = re.compile(f"{_PART}+(?:-{_PART}+)*")
_CHINESE = re.compile("[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]")
_WHOLE = 4  # letters; shorter words are syllables of others, too
_FIRST = frozenset(("well", "self"))  # words that are as good as always joined by a hyphen
_SECOND = frozenset(("based", "driven", "free", "known", "like", "oriented", "related", "specific"))
_SOLID = frozenset(  # words that make one with what follows, without a hyphen
    [
        "after",
        "every",
        "here",
        "inter",
        "over",
        "some",
        "super",
        "there",
        "under",
        "what",
        "when",
        "where",
        "with",
    ]
)


@dataclass(slots=True)
class _Words:
    """How often the document has each word, and each two joined by a hyphen, inside its lines."""

    single: Counter[str] = field(default_factory=Counter)
    joined: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, text: str) -> None:
        for word in _WORD.findall(_AROUND.sub(" ", text).casefold()):
            parts = word.split("-")
            self.single.update(parts)
            self.joined.update(pairwise(parts))


def settle_hyphens(pages: Sequence[PageText]) -> None:
    """Put a hyphen, or nothing, for each mark of a hyphen at the end of a line."""
    passages = [passage for page in pages for passage in page.passages]
    words = _Words()
    if any(mark in passage.text for passage in passages for mark in _MARKS):
        for passage in passages:
            words.add(passage.text)
    for passage in passages:
        text = passage.text.replace(_SOFT, "")
        settled = _BROKEN.sub(lambda match: _settled(match, words), text)
        passage.text = " ".join(settled.split()) if settled != passage.text else settled


def _settled(match: re.Match[str], words: _Words) -> str:
    before, first, second, after = match.groups()
    if not first and match.string[match.start() - 1 : match.start()].strip() == "":
        return before  # the mark stands alone: a bullet
    hyphen = "-" if _belongs(first, second, bool(before or after), words) else ""
    return f"{before}{first}{hyphen}"


def _belongs(first: str, second: str, compound: bool, words: _Words) -> bool:
    """Whether the hyphen is part of the word; `compound` if that has another one beside it."""
    if not first or not second:
        return True
    one, two = first.casefold(), second.casefold()
    solid, hyphenated = words.single[one + two], words.joined[one, two]
    if solid or hyphenated:
        return hyphenated > solid
    both = first + second
    if any(map(str.isdigit, both)) or _CHINESE.search(both):
        return True
    if second[0].isupper() or first.isupper():
        return True
    if one in _FIRST or (two in _SECOND and len(one) >= _WHOLE):
        return True
    if not words.single[one] or not words.single[two] or one in _SOLID:
        return False
    return compound or min(len(one), len(two)) >= _WHOLE
