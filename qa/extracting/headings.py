"""Lines of a passage that are headings, also without signs that say so.

Those are a title in the first line, `2.1 Charging` or `二、费用` with text below, and keys of
settings whose value is what is indented below them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ingest.documents import Chunk
from qa.sentences import blocks

_SIGNS = re.compile(r"(?P<signs>#{1,6})[ \t]+(?P<text>.+)")
_COUNTED = re.compile(
    r"[ \t]*(?:[一二三四五六七八九十]+、|第[一二三四五六七八九十]+[章条條節节])[^。\n]{1,30}$"
)
_NUMBERED = re.compile(r"[ \t]*(?P<number>\d{1,2}(?:\.\d{1,2}){0,3})(?:[.)、]\s*|\s+)(?=[^\W\d_])")
_NO_TITLE = re.compile(r"\W*$|[ \t]*(?:[-*+•·|>`~#]|[(（]?\d)")
_STOPPED = re.compile(r"[:：]|[.。!！?？;；,，、…][”’」』）)\"'*_]*$")
_KEY = re.compile(r"(?P<indent>[ \t]*)(?P<key>[^\W\d_][^:：。，,.|\n]{0,40}):$")
LONGEST = 60  # characters of a heading without signs
COUNTED = 7  # level of a heading that is only counted ("二、..."): below those with signs
NUMBERED = 8  # level of "2. ..."; of "2.1 ..." 9
KEY = 20  # level of a key of settings that is not indented


class Heading(NamedTuple):
    """A heading: where its line begins and ends, its level (1 is outermost), what it says.

    Without a text it only ends those of its level and below. `plain`: it has no sign.
    """

    start: int
    end: int
    level: int
    text: str
    plain: bool = False


class _Line(NamedTuple):
    start: int
    end: int
    text: str


def headings(chunk: Chunk) -> list[Heading]:
    """The headings of a passage, in order."""
    lines = _lines(chunk.text)
    if len(lines) < 2:  # a heading of nothing
        return [*_signed(lines)]
    plain = [*_numbered(lines, chunk.text), *_keys(lines)]
    if chunk.start == 0 and _is_title(lines[0], lines[1], chunk.text):
        plain.append(Heading(lines[0].start, lines[0].end, 1, "", plain=True))
    return sorted((*_signed(lines), *plain), key=lambda heading: heading.start)


def _signed(lines: Sequence[_Line]) -> Iterator[Heading]:
    for start, end, text in lines:
        if found := _SIGNS.match(text):
            yield Heading(start, end, len(found["signs"]), found["text"])
        elif _COUNTED.match(text):
            yield Heading(start, end, COUNTED, text.strip(), plain=True)


def _numbered(lines: Sequence[_Line], text: str) -> Iterator[Heading]:
    """Numbered lines with text below, that do not go on a list."""
    alone, listed = _single_lines(text), 0
    for number, line in enumerate(lines[:-1]):
        depth = _depth(line.text)
        goes_on = listed == depth or _depth(lines[number + 1].text) == depth
        if depth and not goes_on and line.end in alone and _is_short(line.text):
            level = NUMBERED - 1 + depth
            yield Heading(line.start, line.end, level, line.text.strip(), plain=True)
            listed = 0
        else:
            listed = depth


def _keys(lines: Sequence[_Line]) -> Iterator[Heading]:
    """Keys without a value, and where what is indented below them ends."""
    open_: list[int] = []
    for number, (start, end, text) in enumerate(lines):
        indent = len(text) - len(text.lstrip())
        while open_ and open_[-1] >= indent and not text.lstrip().startswith("- "):
            yield Heading(start - 1, start - 1, KEY + open_.pop(), "")
        found = _KEY.match(text)
        if found and number + 1 < len(lines):
            below = lines[number + 1].text
            if len(below) - len(below.lstrip()) > indent:
                open_.append(indent)
                yield Heading(start, end, KEY + indent, found["key"], plain=True)


def _is_title(line: _Line, below: _Line, text: str) -> bool:
    """Whether the first line is one; what a list follows at once leads to it."""
    directly = text.count("\n", line.end, below.start) == 1
    return (
        line.end in _single_lines(text)
        and _is_short(line.text)
        and not _NO_TITLE.match(line.text)
        and not (directly and _NO_TITLE.match(below.text))
    )


def _is_short(text: str) -> bool:
    return len(text.strip()) <= LONGEST and not _STOPPED.search(text)


def _depth(text: str) -> int:
    """Of how many numbers the one before a line is; 0 for none."""
    found = _NUMBERED.match(text)
    return 1 + found["number"].count(".") if found else 0


def _single_lines(text: str) -> set[int]:
    """Ends of the lines that go on in no other."""
    return {
        start + len(text[start:end].rstrip())
        for start, end in blocks(text)
        if "\n" not in text[start:end].strip()
    }


def _lines(text: str) -> list[_Line]:
    """The lines that are not empty, without white space at their ends."""
    found, start = [], 0
    for line in text.split("\n"):
        if kept := line.rstrip():
            found.append(_Line(start, start + len(kept), kept))
        start += len(line) + 1
    return found
