"""Headings of a PDF: those its outline names, else lines in larger type, and its title."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ingest.loaders.pdf_text import PageText, Passage

_LARGER = 1.09  # times the usual height of lines
_MAX_HEADING = 140  # characters
_MAX_SENTENCE = 50  # characters of a heading that ends in a full stop
_MAX_RUN_IN = 80  # characters of a heading that no gap parts from the text below
_MAX_SHARE = 0.15  # of the text in larger type: more is a poster or slides
_MAX_LEVELS = 4
_TOLD_APART = 0.94
_FOUND_SHARE = 0.5  # of the outline's entries that must stand on their pages
_LETTERS = re.compile(r"[^\W\d_]{2}|[\u3400-\u9fff]")
_NAMES = re.compile(r"[∗†‡@{}]|(?:,.*){3}|[,;]$")  # of authors, and what is no heading at all
_NUMBER = re.compile(r"\d{1,2}(?:\.\d{1,2})+(?=\s)")
_FLAT = re.compile(r"[\W_]+")
_NUMBERING = re.compile(
    r"^(?:(?:chapter|section|part|appendix|kapitel)\s+)?[\divxlc]+(?:\.\d+)*[.)]?\s+", re.I
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the outline: `page` counts from 1, `level` too."""

    title: str
    level: int
    page: int


def set_headings(pages: Sequence[PageText], outline: Sequence[Entry]) -> None:
    """Give headings their level, and join those that take several lines."""
    if not _by_outline(pages, outline):
        _by_size(pages)
    for page in pages:
        _join_lines(page)


def largest_line(page: PageText) -> str:
    """The first lines of the page in its largest type; "" where all type is of one size."""
    upright = [p for p in page.passages if p.kind is None and not p.line.turned]
    shown = [passage for passage in upright if not _NAMES.search(passage.text)]
    heights = sorted(passage.line.height for passage in shown for _ in passage.text)
    if not heights or heights[-1] < 1.15 * heights[len(heights) // 2]:
        return ""
    title: list[str] = []
    for passage in shown:
        if passage.line.height > 0.95 * heights[-1]:
            title.append(passage.text)
        elif title:
            break
    return " ".join(title)


def usual_size(passages: Iterable[Passage]) -> float:
    """The size of type that most characters have; 0 without any."""
    sizes: Counter[float] = Counter()
    for passage in passages:
        sizes[_size(passage)] += len(passage.text)
    return sizes.most_common(1)[0][0] if sizes else 0.0


def larger_than(passage: Passage, usual: float) -> bool:
    """Whether it is set in type that is plainly larger, as headings are."""
    return _size(passage) >= max(_LARGER * usual, usual + 0.8)


def _by_outline(pages: Sequence[PageText], outline: Sequence[Entry]) -> bool:
    by_number = {page.number: page for page in pages}
    found: list[tuple[Passage, int]] = []
    for entry in outline:
        page = by_number.get(entry.page)
        passage = _passage_of(page, entry) if page else None
        if passage:
            found.append((passage, entry.level))
    if len(found) < 2 or len(found) < _FOUND_SHARE * len(outline):
        return False
    for passage, level in found:
        passage.level = min(level, 6)
    return True


def _passage_of(page: PageText, entry: Entry) -> Passage | None:
    wanted = _flat(entry.title)
    bare = _flat(_NUMBERING.sub("", entry.title))
    if not bare:
        return None
    for passage in page.passages:
        if passage.level or passage.kind or len(passage.text) > _MAX_HEADING:
            continue
        if _flat(passage.text) in (wanted, bare) or _flat(_NUMBERING.sub("", passage.text)) == bare:
            return passage
    starts = (
        passage
        for passage in page.passages
        if not passage.level
        and passage.kind is None
        and len(flat := _flat(passage.text)) >= 8
        and wanted.startswith(flat)
    )
    return next(starts, None)


def _flat(text: str) -> str:
    return _FLAT.sub("", text).casefold()


def _by_size(pages: Sequence[PageText]) -> None:
    shown = [p for page in pages if not page.quality.get("ocr") for p in page.passages]
    shown = [passage for passage in shown if passage.kind is None and not passage.line.turned]
    if not shown:
        return
    usual = usual_size(shown)
    larger = [
        passage
        for passage, after in zip(shown, [*shown[1:], None], strict=True)
        if _may_be_heading(passage, usual) and not _runs_on(passage, after)
    ]
    characters = sum(len(passage.text) for passage in larger)
    if characters > _MAX_SHARE * sum(len(passage.text) for passage in shown):
        return
    levels = _levels({_size(passage) for passage in larger})
    for passage in larger:
        passage.level = levels[_size(passage)]
    _level_by_number(larger)


def _level_by_number(headings: Sequence[Passage]) -> None:
    """Headings numbered as deeply (1.2, 3.4) get one level: that of most of them."""
    by_depth: dict[int, list[Passage]] = {}
    for passage in headings:
        number = _NUMBER.match(passage.text)
        if number:
            by_depth.setdefault(number.group().count("."), []).append(passage)
    for alike in by_depth.values():
        level = Counter(passage.level for passage in alike).most_common(1)[0][0]
        for passage in alike:
            passage.level = level


def _levels(sizes: set[float]) -> dict[float, int]:
    """Level of each size: the largest is 1; sizes that the eye does not tell apart are one."""
    levels: dict[float, int] = {}
    level, above = 0, math.inf
    for size in sorted(sizes, reverse=True):
        if size < _TOLD_APART * above:
            level, above = level + 1, size
        levels[size] = min(level, _MAX_LEVELS)
    return levels


def _size(passage: Passage) -> float:
    return round(2 * passage.line.height) / 2


def _may_be_heading(passage: Passage, usual: float) -> bool:
    if not 2 <= len(passage.text) <= _MAX_HEADING or not _LETTERS.search(passage.text):
        return False
    first = passage.text[0]
    if _NAMES.search(passage.text) or not first.isalnum() or first.islower():
        return False
    if passage.text[-1] in ".。" and len(passage.text) > _MAX_SENTENCE:
        return False
    return larger_than(passage, usual)


def _runs_on(passage: Passage, after: Passage | None) -> bool:
    """Whether it is the first line of a paragraph, tall because of a sign in it."""
    if after is None or after.apart or after.line.top < passage.line.top:
        return False
    if len(passage.text) > _MAX_RUN_IN:
        return True
    return after.text[0].islower() and _size(after) < _size(passage)


def _join_lines(page: PageText) -> None:
    """A heading of two lines in the same type, one below the other, is one."""
    joined: list[Passage] = []
    for passage in page.passages:
        before = joined[-1] if joined else None
        if before and _one_heading(before, passage):
            before.text = f"{before.text} {passage.text}"
            before.line.bottom = passage.line.bottom
        else:
            joined.append(passage)
    page.passages[:] = joined


def _one_heading(before: Passage, passage: Passage) -> bool:
    if not before.level or before.level != passage.level:
        return False
    gap = passage.line.top - before.line.bottom
    close = -before.line.height < gap < 0.6 * before.line.height
    numbered = _NUMBERING.match(passage.text)
    return close and not numbered and len(before.text) + len(passage.text) <= 2 * _MAX_HEADING
