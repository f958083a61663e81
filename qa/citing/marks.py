"""Citation marks `[n]` in an answer, whole or as it streams in."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

LONGEST_RANGE = 8
_ITEM = r"\d{1,4}(?:\s?[-–—~]\s?\d{1,4})?"
# as models write them, whatever they were told: [1], [1, 3-5], [^1], ［1］, 【1†source】
_NUMBERS = (
    rf"[\[【［]\s?\^?({_ITEM}(?:\s?[,，、;；]\s?{_ITEM}){{0,7}})"
    r"(?:†[^\]】］\s]{0,20})?\s?[\]】］]"
)
_MARK = re.compile(rf"[ \t]?{_NUMBERS}(?!\(https?:)")  # [7](https://...) is a link
_UNFINISHED = re.compile(
    r"[ \t]?(?:[\[【［]\s?\^?[\d\s,，、;；–—~-]{0,60}(?:†[^\]】］\s]{0,20}\s?)?"
    rf"|{_NUMBERS}(?:\((?:h(?:t(?:t(?:ps?)?)?)?)?)?|`+)?\Z"
)
_CODE = re.compile(r"`+|\n")
_FENCE = 3  # as many backticks begin a block; fewer end with their line
NO_ANSWER = "NO_ANSWER"
_QUOTES = r"[\s*_\"'`“”‘’«»「『【\[(（]*"
_BEFORE_NO_ANSWER = re.compile(
    rf"{_QUOTES}(?:(?:answer|答案|回答)[ \t]*[:：]{_QUOTES})?", re.IGNORECASE
)
_LABELS = ("answer:", "答案：", "回答：")


def mark_numbers(text: str) -> list[tuple[int, int]]:
    """(number, position of its mark) for every citation in `text`, in order; none in code."""
    return [
        (number, match.start())
        for match in marks_in(text)
        for number in _numbers_of(match.group(1))
    ]


def marks_in(text: str) -> list[re.Match[str]]:
    """The marks of `text`, each with the blank before it. What stands in code is no mark."""
    prose = "".join(
        "\0" * len(part) if is_code else part for part, is_code, _ in _parts(text, ticks=0)
    )
    return list(_MARK.finditer(prose))


def without_marks(text: str) -> str:
    """What `text` says."""
    for match in reversed(marks_in(text)):
        text = text[: match.start()] + text[match.end() :]
    return text


class MarkFilter:
    """Passes text on with its marks normalised to `[n]` and those of no source dropped.

    Text is held back only while it may still become a mark, or the whole answer `NO_ANSWER`.
    `text` is all that was passed on; `refused` tells that the model found no answer.
    """

    def __init__(self, sources: int, emit: Callable[[str], None] | None = None) -> None:
        self._sources = sources
        self._emit = emit
        self._pending = ""
        self._started = False
        self._ticks = 0  # backticks that began the code we are in
        self.text = ""
        self.refused = False
        self.fed = False

    def feed(self, token: str) -> None:
        """Take the next piece of the model's answer."""
        self.fed = True
        self._pending += token
        if not self._started:
            beginning = _beginning(self._pending)
            if any(
                beginning.startswith(NO_ANSWER) or whole.startswith(beginning.lower())
                for whole in (NO_ANSWER.lower(), *_LABELS)
            ):
                return
            self._started = True
        held = _UNFINISHED.search(self._pending)
        cut = held.start() if held else len(self._pending)
        self._pass_on(self._pending[:cut])
        self._pending = self._pending[cut:]

    def finish(self) -> str:
        """The rest of the answer has come; returns all of `text`."""
        if _beginning(self._pending).startswith(NO_ANSWER) and not self._started:
            self.refused = True
        elif self._pending.strip() or self._started:
            self._pass_on(self._pending)
        self._pending = ""
        return self.text

    def _pass_on(self, text: str) -> None:
        passed = ""
        for part, is_code, ticks in _parts(text, self._ticks):
            passed += part if is_code else _MARK.sub(self._valid, part)
            self._ticks = ticks
        if passed:
            self.text += passed
            if self._emit:
                self._emit(passed)

    def _valid(self, match: re.Match[str]) -> str:
        numbers = _numbers_of(match.group(1))
        marks = "".join(f"[{number}]" for number in numbers if 1 <= number <= self._sources)
        space = match.group()[0] if match.group()[0] in " \t" and marks else ""
        return space + marks


def _beginning(text: str) -> str:
    """What an answer begins with, without what models put before `NO_ANSWER`."""
    found = _BEFORE_NO_ANSWER.match(text)
    return text[found.end() :] if found else text


def _numbers_of(inside: str) -> Iterator[int]:
    """The numbers of `1, 3-5`, each once; of a range that is none its ends."""
    seen: set[int] = set()
    for item in re.findall(_ITEM, inside):
        ends = [int(end) for end in re.findall(r"\d+", item)]
        is_range = 0 <= ends[-1] - ends[0] < LONGEST_RANGE
        for number in range(ends[0], ends[-1] + 1) if is_range else ends:
            if number not in seen:
                seen.add(number)
                yield number


def _parts(text: str, ticks: int) -> Iterator[tuple[str, bool, int]]:
    """`text` in parts: (part, whether it is code, backticks that began the code we are in then).

    As many backticks as began it end a piece of code; a piece within a line ends with it at the
    latest, so that a stray backtick does little harm.
    """
    start = 0
    for match in _CODE.finditer(text):
        run = 0 if match.group() == "\n" else len(match.group())
        if run == 0 and not 0 < ticks < _FENCE:
            continue
        if ticks and run not in (0, ticks):
            continue
        yield text[start : match.end()], ticks > 0, (0 if ticks else run)
        ticks, start = (0 if ticks else run), match.end()
    yield text[start:], ticks > 0, ticks
