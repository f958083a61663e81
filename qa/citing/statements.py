"""An answer sentence by sentence, as it streams in: which sentence a mark stands behind."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from qa.citing.claims import claim_of
from qa.citing.marks import mark_numbers, without_marks
from qa.sentences import ends_in_abbreviation

LONGEST_TAIL = 200  # characters
_MARKS = r"(?:[ \t]?\[\d{1,4}\](?!\())*"
_ENDS = r"(?=[\"”’)\]*_]*(?:\s|\Z|\[\d{1,4}\]))"  # a full stop that does, no dot of an address
_STOP = re.compile(rf"(?:[。！？!?…]+|\.+{_ENDS})[\"”’」』）)*_]*{_MARKS}|\n")
_FENCE = re.compile(r"[ \t]*```")
_LIST_NUMBER = re.compile(r"[ \t]*\d{1,3}\.\Z")
_TAIL = re.compile(rf"{_MARKS}\s*(?:[.。！？!?…]+[\"”’」』）)*_]*|[*_]*){_MARKS}\s*\Z")
_BLANK = re.compile(r"\s*")
_OPENING = re.compile(r"\s*(?:(?:[-*+•·>]|\d{1,3}[.)、])\s+)?")  # of a list item
_NO_CLAIM = re.compile(r"\s*#{1,6}\s|.*[:：?？]\W*\Z", re.DOTALL)  # headings, announcements


class Piece(NamedTuple):
    """A sentence or a line of an answer at `start:end`, with its marks and the blanks behind it."""

    start: int
    end: int
    text: str

    @property
    def marks(self) -> list[int]:
        """Numbers of its marks, each once, in order."""
        return list(dict.fromkeys(number for number, _ in mark_numbers(self.text)))

    @property
    def said(self) -> str:
        """What it says, without marks and list signs."""
        return without_marks(self.text[self.opening :]).strip()

    @property
    def opening(self) -> int:
        """Where its words begin."""
        opening = _OPENING.match(self.text)
        return opening.end() if opening else 0

    @property
    def tail(self) -> int:
        """Where its last marks and its stop begin: a mark may be put there."""
        tail = _TAIL.search(self.text, max(0, len(self.text) - LONGEST_TAIL))
        return tail.start() if tail else len(self.text)

    @property
    def claims(self) -> bool:
        """Whether it says something that a source could bear out."""
        if _FENCE.match(self.text) or _NO_CLAIM.match(self.said):
            return False
        claim = claim_of(self.said)
        return bool(claim.terms or claim.quantities)


def pieces(text: str, *, complete: bool = True) -> Iterator[Piece]:
    """`text` cut into pieces, without gaps. A block of code is one piece.

    With `complete` false the last piece is left out, and any that more text might still change.
    """
    start = 0
    while start < len(text):
        end = _end(text, start, complete)
        if end is None:
            return
        yield Piece(start, end, text[start:end])
        start = end


def _end(text: str, start: int, complete: bool) -> int | None:
    """Where the piece that begins at `start` ends; None while that is open."""
    fence = _FENCE.match(text, start)
    if fence:
        closing = text.find("```", fence.end())
        end = text.find("\n", closing) + 1 if closing >= 0 else 0
        return end or (len(text) if complete else None)
    for stop in _STOP.finditer(text, start):
        if stop.group()[0] == "." and _goes_on(text, start, stop):
            continue
        blank = _BLANK.match(text, stop.end())
        end = blank.end() if blank else stop.end()
        return end if end < len(text) or complete else None
    return len(text) if complete else None


def _goes_on(text: str, start: int, stop: re.Match[str]) -> bool:
    """Whether a full stop is that of an abbreviation or of a list item's number."""
    before = text[start : stop.start() + 1]
    return bool(_LIST_NUMBER.match(before)) or ends_in_abbreviation(text, start, stop.start())
