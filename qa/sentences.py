"""Sentences of a text as spans, in Chinese and English, in running text, lists and tables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

_BLOCK_START = re.compile(
    r"[ \t]*(?:[-*+•·](?!\d)|\d{1,3}[.)、](?!\d)|[(（]\d{1,3}[)）]|#{1,6}|\||>|```|~~~"
    r"|[^\s:：。，,.]{1,16}[:：]\s?\S)"  # a line of a form: "Date: 3 May"
)
# a label and where its value begins: "Date of inspection: 3 May", "**Pressure**: 4.2 bar"
_LABEL = re.compile(r"[ \t*]*(?P<label>[^\W\d_][^:：。，,.|\n]{0,40}?)[ \t*]*[:：](?!//)")
FIELD = re.compile(rf"{_LABEL.pattern}[ \t]?(?P<value>\S)")
_GOES_ON = re.compile(r"[ \t]*[a-z\d(（]")
_LINE_BLOCK = re.compile(r"[ \t]*(?:#{1,6}[ \t]|\||```|~~~)")
_STOP = re.compile(r"[。！？；!?…]+[”’」』）)\"'*_]*|\.+[”’)\"'\]]*(?=\s|$)")
_ABBREVIATION = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|vs|etc|approx|No|Nos|Fig|Figs|Eq|Sec|Vol|pp|cf|al|Inc|"
    r"Ltd|Co|Corp|Gen|Col|Lt|Sgt|Capt|Rev|Hon|Mt|ca|est|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sep|Sept|Oct|"
    r"Nov|Dec)|\b[A-Za-z]|\be\.g|\bi\.e|\bU\.S|\bU\.K)$"
)
_SHORT_LINE = 0.6  # of the paragraph's longest line: a shorter one was not wrapped but ended
_MARKER = re.compile(r"[ \t]*(?:[-*+•·>]|\d{1,3}[.)、]|[(（]\d{1,3}[)）])[ \t]+")
_NO_STATEMENT = re.compile(r"[ \t]*(?:#{1,6}[ \t][^\n]*|\|[\s|:-]*|(?:```|~~~)[^\n]*|[^\w]*)\Z")
_TABLE_HEAD = re.compile(r"[ \t]*\|[^\n]*\n[ \t]*\|[ \t]*:?-+[\s|:-]*(?:\n|\Z)")


def sentences(text: str, *, omitted: Sequence[tuple[int, int]] = ()) -> list[tuple[int, int]]:
    """Spans (start, end) of the sentences of `text`, in order, without outer white space.

    None holds anything of the `omitted` spans (ascending): boilerplate and hidden text.

    A table row and a list item without a stop are sentences of their own; headings, the head of a
    table and code fences are none. A line break inside a paragraph ends a sentence only where the
    line was evidently not wrapped.
    """
    return [
        span
        for first, last in _gaps(omitted, len(text))
        for start, end in blocks(text[first:last])
        for span in _split(text, first + start, first + end)
        if span[0] < span[1]
    ]


def ends_in_abbreviation(text: str, start: int, stop: int) -> bool:
    """Whether the full stop at `stop` belongs to a word such as "Dr" behind `start`."""
    return _ABBREVIATION.search(text, max(start, stop - 8), stop) is not None


def _gaps(omitted: Sequence[tuple[int, int]], end: int) -> Iterator[tuple[int, int]]:
    """What lies between the omitted spans."""
    first = 0
    for start, stop in omitted:
        if first < start:
            yield first, start
        first = max(first, stop)
    if first < end:
        yield first, end


def blocks(text: str) -> Iterator[tuple[int, int]]:
    """Spans inside which line breaks are mere wrapping, in order."""
    for start, end in _paragraphs(text):
        lines = _lines(text, start, end)
        widest = max(last - first for first, last in lines)
        block_start = start
        for (first, last), (following, _) in pairwise(lines):
            short = last - first < _SHORT_LINE * widest and not _GOES_ON.match(text, following)
            if (
                short
                or text[last - 1] in ":：。！？!?"
                or _BLOCK_START.match(text, following)
                or _LINE_BLOCK.match(text, first)
                or (FIELD.match(text, first) and _LABEL.match(text, following))
            ):
                yield block_start, last
                block_start = following
        yield block_start, end


def _paragraphs(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for match in re.finditer(r"\n[ \t]*\n\s*", text):
        if text[start : match.start()].strip():
            yield start, match.start()
        start = match.end()
    if text[start:].strip():
        yield start, len(text)


def _lines(text: str, start: int, end: int) -> list[tuple[int, int]]:
    lines, position = [], start
    for match in re.finditer("\n", text[start:end]):
        if start + match.start() > position:
            lines.append((position, start + match.start()))
        position = start + match.end()
    if end > position:
        lines.append((position, end))
    return lines


def _split(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    if _NO_STATEMENT.match(text, start, end) or _TABLE_HEAD.match(text, start):
        return
    marker = _MARKER.match(text, start)
    position = marker.end() if marker and marker.end() < end else start
    if text.startswith("|", position):  # a table row is one statement
        yield _trimmed(text, position, end)
        return
    for match in _STOP.finditer(text, position, end):
        if text[match.start()] == "." and ends_in_abbreviation(text, position, match.start()):
            continue
        yield _trimmed(text, position, match.end())
        position = match.end()
    yield _trimmed(text, position, end)


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end
