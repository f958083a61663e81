"""The list that a question asks for, quoted whole: "what are the steps", "有哪些"."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ingest.documents import Chunk
from qa.extracting.headed import Headed
from qa.extracting.kinds import asks_whether, kind_of
from retrieval.terms import CJK, analyse, analyse_query, stems

LONGEST = 2000  # characters: a longer list is no answer but a document
_ASKS_ITEMS = re.compile(
    r"\b(?:steps|procedure)\b|^list\b|\blist (?:of|all)\b"
    r"|\bwhat are (?:all )?(?:the|our|my|their)\b"
    r"|\b(?:what|which) (?:\w+ ){0,2}\w+s (?:are|do|does|can|must|should|have|need)\b"
    r"|\bwhat(?:'s| is| was| were| has been)? (?:not )?"
    r"(?:new|added|changed|fixed|removed|included|excluded)\b"
    r"|有[什甚][么麼]|[增加除新正复復改]了[什甚][么麼]|步[骤驟]|流程|哪些|哪几|哪幾|列出|有何",
    re.IGNORECASE,
)
_ASKS_HOW = re.compile(
    r"^how (?:do|can|should|must|to|is|are)\b|怎[么麼样樣]|如何|[应應][该該]做", re.IGNORECASE
)
_NUMBERED = r"(?:\d{1,3}[.)、](?!\d)|[(（]\d{1,3}[)）])"
_ITEM = re.compile(rf"[ \t]*(?:[*+](?=[ \t])|-(?!-)|[•·]|{_NUMBERED})[ \t]*\S")
_NUMBERED_ITEM = re.compile(rf"[ \t]*{_NUMBERED}")
_FIRST_WORD = re.compile(rf"{_ITEM.pattern[:-3]}[\W_]*([^\W\d_{CJK}]+|[{CJK}]{{2}})")
_COUNT = re.compile(r"\W*(?:\d[\d.]*|第?[一二三四五六七八九十]+[章条條节節、.])\s*")
_PAIR = re.compile(rf"[{CJK}]{{2}}")  # may span two words
_STOPPED = re.compile(r"[.。!！?？;；…]\W*$")
_NO_ITEM = re.compile(r"[ \t]*(?:#{1,6}[ \t]|\||```|~~~)")

Span = tuple[int, int]


def list_asked_for(
    question: str, chunk: Chunk, start: int, end: int, *, under: str = ""
) -> Span | None:
    """The list that the sentence `start`..`end` of a passage is in or leads up to, if the question
    asks for one, or is no more than the headings above (`under`, a line each): with the line that
    leads up to it. None where there is none of two items.

    Where some items begin with a word of the question ("Fixed ..."), these alone.
    """
    asks_items = _ASKS_ITEMS.search(question) or _is_heading(question, under)
    if not asks_items and not _ASKS_HOW.search(question):
        return None
    found = _list_at(chunk, start, end)
    if found is None or _is_unfit(found, chunk):
        return None
    numbered = any(_NUMBERED_ITEM.match(line) for line in chunk.text[slice(*found)].split("\n"))
    if asks_items:
        return _beginning_as_asked(question, chunk.text, found) or found
    return found if numbered else None


def _is_heading(question: str, under: str) -> bool:
    """Whether the question says all of the last heading and nothing that no heading says."""
    if not under or kind_of(question) or asks_whether(question):
        return False
    asked, last = (
        {term for term in stems(analyse_query(text)) if not _PAIR.match(term)}
        for text in (question, _COUNT.sub("", under.rpartition("\n")[2], count=1))
    )
    return bool(last) and last <= asked <= set(analyse(under))


def _beginning_as_asked(question: str, text: str, found: Span) -> Span | None:
    """The items of a list, one behind the other, that begin with a word of the question; None if
    all do or none."""
    asked, items, start = set(analyse(question)), list[tuple[int, int, bool]](), found[0]
    for line in text[slice(*found)].splitlines(keepends=True):
        end = start + len(line)
        if _ITEM.match(line):
            word = _FIRST_WORD.match(line)
            said = {term for term in analyse(word[1] if word else "") if len(term) > 1}
            items.append((start, end, not asked.isdisjoint(said)))
        elif items:
            items[-1] = (items[-1][0], end, items[-1][2])
        start = end
    meant = [number for number, item in enumerate(items) if item[2]]
    if not meant or len(meant) == len(items) or meant[-1] - meant[0] >= len(meant):
        return None
    first, last = items[meant[0]][0], items[meant[-1]][1]
    alone = _ITEM.match(text, first, last) if len(meant) == 1 else None
    first = alone.end() - 1 if alone else first
    return first, first + len(text[first:last].rstrip())


def led_to(chunk: Chunk, start: int, end: int) -> Span:
    """The sentence `start`..`end` with the list right below that it leads up to: "Do not take it"
    is nothing without "- if you drive". The sentence alone where there is none."""
    text, lines = chunk.text, _lines_between_headings(chunk, start)
    here = _line_at(lines, end)
    if _STOPPED.search(text[start:end]) or _item_before(text, lines, here + 1, gaps=0) is not None:
        return start, end
    found = _list_at(chunk, start, end)
    return (start, found[1]) if found and not _is_unfit(found, chunk) else (start, end)


def _is_unfit(found: Span, chunk: Chunk) -> bool:
    """Whether a list is too long or holds hidden text."""
    hidden = any(first < found[1] and found[0] < last for first, last in chunk.omitted)
    return hidden or found[1] - found[0] > LONGEST


def _list_at(chunk: Chunk, start: int, end: int) -> Span | None:
    text, lines = chunk.text, _lines_between_headings(chunk, start)
    here = _line_at(lines, start)
    first = _first_item(text, lines, here, end)
    if first is None:
        return None
    while first and (before := _item_before(text, lines, first, gaps=1)) is not None:
        first = before
    last = _last_line(text, lines, first)
    if sum(bool(_ITEM.match(text, *line)) for line in lines[first : last + 1]) < 2:
        return None
    lead = _line_before(lines, first)
    if lead is not None and text[slice(*lines[lead])].rstrip().endswith((":", "：")):
        first = lead
    return lines[first][0], lines[last][1]


def _line_at(lines: Sequence[Span], place: int) -> int:
    """The number of the line that holds the place, or of the last."""
    return next((i for i, (_, last) in enumerate(lines) if last >= place), len(lines) - 1)


def _first_item(text: str, lines: Sequence[Span], here: int, end: int) -> int | None:
    """The line of an item at the sentence, around it, or right behind it."""
    if _ITEM.match(text, *lines[here]):
        return here
    before = _item_before(text, lines, here, gaps=0)
    if before is not None:
        return before
    behind = next(
        (i for i, (first, last) in enumerate(lines) if first >= end and last > first), None
    )
    return behind if behind is not None and _ITEM.match(text, *lines[behind]) else None


def _item_before(text: str, lines: Sequence[Span], number: int, *, gaps: int) -> int | None:
    """The item before the line, past lines that go on with it and `gaps` empty ones."""
    for before in range(number - 1, -1, -1):
        first, last = lines[before]
        if _ITEM.match(text, first, last):
            return before
        gaps -= first == last
        if gaps < 0 or _NO_ITEM.match(text, first, last):
            return None
    return None


def _last_line(text: str, lines: Sequence[Span], first: int) -> int:
    """The last line of the list that begins in line `first`."""
    last = first
    for number in range(first + 1, len(lines)):
        start, end = lines[number]
        if start == end:
            continue
        is_item = bool(_ITEM.match(text, start, end))
        if not is_item and (
            number > last + 1
            or _NO_ITEM.match(text, start, end)
            or (_STOPPED.search(text[slice(*lines[last])]) and not text[start].isspace())
        ):
            break
        last = number
    return last


def _line_before(lines: Sequence[Span], number: int) -> int | None:
    """The last line before that is not empty."""
    return next((i for i in range(number - 1, -1, -1) if lines[i][0] < lines[i][1]), None)


def _lines_between_headings(chunk: Chunk, start: int) -> list[Span]:
    """Spans of the lines around `start`, without white space at their ends."""
    first, last = Headed(chunk).reach(start)
    spans = []
    for line in chunk.text[first:last].split("\n"):
        spans.append((first, first + len(line.rstrip())))
        first += len(line) + 1
    return spans
