"""Citation marks `[n]` in an answer, whole or as it streams in."""

from __future__ import annotations

import re
from collections.abc import Callable

_NUMBERS = r"[\[【]\s?(\d{1,4}(?:\s?[,，、;]\s?\d{1,4}){0,7})\s?[\]】]"
_MARK = re.compile(rf"[ \t]?{_NUMBERS}(?!\(https?:)")  # [7](https://...) is a link
_UNFINISHED = re.compile(
    r"[ \t]?(?:[\[【][\d\s,，、;]{0,60}"  # longer than the longest mark
    rf"|{_NUMBERS}(?:\((?:h(?:t(?:t(?:ps?)?)?)?)?)?)?\Z"
)
NO_ANSWER = "NO_ANSWER"


def mark_numbers(text: str) -> list[tuple[int, int]]:
    """(number, position of its mark) for every citation in `text`, in order."""
    return [
        (int(number), match.start())
        for match in _MARK.finditer(text)
        for number in re.findall(r"\d+", match.group(1))
    ]


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
        self.text = ""
        self.refused = False
        self.fed = False

    def feed(self, token: str) -> None:
        """Take the next piece of the model's answer."""
        self.fed = True
        self._pending += token
        if not self._started:
            beginning = self._pending.lstrip()
            if beginning.startswith(NO_ANSWER) or NO_ANSWER.startswith(beginning):
                return
            self._started = True
        held = _UNFINISHED.search(self._pending)
        cut = held.start() if held else len(self._pending)
        self._pass_on(self._pending[:cut])
        self._pending = self._pending[cut:]

    def finish(self) -> str:
        """The rest of the answer has come; returns all of `text`."""
        rest = self._pending.strip()
        if rest.startswith(NO_ANSWER) and not self._started:
            self.refused = True
        elif rest or self._started:
            self._pass_on(self._pending)
        self._pending = ""
        return self.text

    def _pass_on(self, text: str) -> None:
        text = _MARK.sub(self._valid, text)
        if text:
            self.text += text
            if self._emit:
                self._emit(text)

    def _valid(self, match: re.Match[str]) -> str:
        numbers = [int(number) for number in re.findall(r"\d+", match.group(1))]
        marks = "".join(f"[{number}]" for number in numbers if 1 <= number <= self._sources)
        space = match.group()[0] if match.group()[0] in " \t" and marks else ""
        return space + marks
