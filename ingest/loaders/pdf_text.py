"""From lines to the document's text: words and Chinese lines joined, tables set, spans kept."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ingest.documents import Mark, MarkKind, Page, Scalar, Section
from ingest.loaders.encoding import normalise
from ingest.loaders.pdf_layout import Line
from ingest.loaders.pdf_pieces import HYPHENS
from ingest.loaders.pdf_wrapping import both_wide, breaks_word, ends_wide, with_mark

_FENCE = "```"
_MARK = re.compile(f"([{HYPHENS}])")


@dataclass(slots=True)
class Passage:
    """One line of the text: a paragraph's line, a heading (`level` from 1), or a row of a table."""

    text: str
    line: Line
    level: int = 0
    boilerplate: bool = False
    apart: bool = False  # a blank line stands before it
    code: bool = False  # a line of a listing, with its blanks

    @property
    def kind(self) -> MarkKind | None:
        if self.line.hidden:
            return "hidden"
        if self.boilerplate:
            return "boilerplate"
        return "table" if self.line.cells is not None else None


@dataclass(slots=True)
class PageText:
    """What was read of one page, its number (from 1) and how well it was read."""

    number: int
    passages: list[Passage]
    quality: dict[str, Scalar]
    image: str = ""  # label of the image that the page is, if it is one


def passages_of(lines: Sequence[Line]) -> list[Passage]:
    """The lines of a page tidied: one passage each, those that run on joined to one.

    Where a word may be broken stands the mark of `HYPHENS` that `settle_hyphens` takes away.
    """
    lengths = sorted(len(line.text) for line in lines if ends_wide(line.text))
    full = 0.9 * lengths[int(0.9 * (len(lengths) - 1))] if lengths else 0.0
    gap = _usual_gap(lines)
    passages: list[Passage] = []
    previous: Line | None = None
    for line in lines:
        text = _tidy(line.text)
        if not text.strip(HYPHENS):
            continue
        if previous and _joins(passages[-1], previous, line, text, full):
            passages[-1].text = with_mark(passages[-1].text) + text
        else:
            passages.append(Passage(text, line, apart=_apart(previous, line, gap)))
        previous = line
    for passage in passages:
        passage.text = " ".join(passage.text.split())
    return [passage for passage in passages if passage.text]


def assembled(
    pages: Iterable[PageText],
) -> tuple[str, tuple[Page, ...], tuple[Section, ...], tuple[Mark, ...]]:
    """One text, a blank line between pages, with the spans of pages, sections and marks."""
    parts: list[str] = []
    at = 0
    spans: list[Page] = []
    headings: list[tuple[str, int, int]] = []
    marks: list[Mark] = []
    for page in pages:
        if spans:
            parts.append("\n\n")
            at += 2
        start = at
        for number, passage in enumerate(page.passages):
            before = page.passages[number - 1] if number else None
            gap = _separator(before, passage) if before else ""
            text = f"{'#' * passage.level} {passage.text}" if passage.level else passage.text
            begin = at + len(gap)
            if passage.level:
                headings.append((passage.text, passage.level, begin))
            if passage.line.header:
                text += "\n|" + " --- |" * len(passage.line.cells or [])
            if passage.code:
                text = _within_fences(page.passages, number)
            parts += [gap, text]
            at = begin + len(text)
            if passage.kind:
                _mark(marks, passage, begin, at, before)
        spans.append(Page(page.number, start, at, quality=page.quality))
        if page.image and at > start:
            marks.append(Mark("image", start, at, page.image))
    text = "".join(parts)
    order = sorted(marks, key=lambda mark: (mark.start, -mark.end))
    return text, tuple(spans), _sections(headings, len(text)), tuple(order)


def _within_fences(passages: Sequence[Passage], number: int) -> str:
    """A line of code, with the fence above the first one and below the last."""
    first = number == 0 or not passages[number - 1].code
    last = number + 1 == len(passages) or not passages[number + 1].code
    return f"{_FENCE}\n" * first + passages[number].text + f"\n{_FENCE}" * last


def _mark(
    marks: list[Mark], passage: Passage, start: int, end: int, before: Passage | None
) -> None:
    """A mark over the passage; it grows over neighbours of its kind, but each table has its own."""
    kind = passage.kind
    assert kind is not None
    joins = marks and before and before.kind == kind and not passage.line.header
    if joins and marks[-1].kind == kind and marks[-1].end >= start - 2:
        start = marks.pop().start
    marks.append(Mark(kind, start, end))


def _separator(before: Passage, passage: Passage) -> str:
    rows = before.line.cells is not None and passage.line.cells is not None
    if rows and not passage.line.header:
        return "\n"
    if rows or before.line.cells is not None or passage.line.cells is not None:
        return "\n\n"
    if before.code != passage.code:
        return "\n\n"
    return "\n\n" if passage.apart or before.line.hidden != passage.line.hidden else "\n"


def _sections(headings: Sequence[tuple[str, int, int]], length: int) -> tuple[Section, ...]:
    sections: list[Section] = []
    following: dict[int, int] = {}
    for title, level, start in reversed(headings):
        ends = (begin for other, begin in following.items() if other <= level)
        sections.append(Section(title, level, start, min(ends, default=length)))
        following[level] = start
    return tuple(reversed(sections))


def _tidy(text: str) -> str:
    """One line without odd blanks; marks of hyphens stay, but none begins it."""
    parts = _MARK.split(text.lstrip(HYPHENS))
    clean = "".join(part if _MARK.fullmatch(part) else normalise(part) for part in parts)
    return " ".join(clean.replace("\f", " ").split())


def _joins(passage: Passage, previous: Line, line: Line, text: str, full: float) -> bool:
    """Whether a line goes on in the next: a broken word, or a full line of Chinese."""
    if line.cells is not None or previous.cells is not None or line.hidden != previous.hidden:
        return False
    if breaks_word(passage.text, text):
        return True
    if abs(line.height - previous.height) > 0.25 * previous.height or line.top < previous.top:
        return False
    return both_wide(previous.text, text) and len(previous.text) >= max(full, 12)


def _usual_gap(lines: Sequence[Line]) -> float:
    gaps = sorted(b.top - a.bottom for a, b in pairwise(lines) if b.top > a.top)
    return gaps[len(gaps) // 2] if gaps else 0.0


def _apart(previous: Line | None, line: Line, gap: float) -> bool:
    """Whether the line begins a new paragraph: further down than lines of one are."""
    if previous is None or line.top <= previous.top:
        return False
    return line.top - previous.bottom > max(gap, 0.0) + 0.4 * min(line.height, previous.height)
