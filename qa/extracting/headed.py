"""What stands above a sentence: the headings that it is under, in its passage and before it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from ingest.documents import Chunk
from qa.extracting.headings import headings


class Headed:
    """Which headings stand above a place in a passage."""

    def __init__(self, chunk: Chunk) -> None:
        found = headings(chunk)
        own = {heading.text for heading in found if heading.plain}
        above = {level: text for level, text in enumerate(chunk.heading, 1) if text not in own}
        self._from, self._text = [-1], ["\n".join(above.values())]
        self._until, self._end = [0], len(chunk.text)
        self._plain: list[tuple[int, int]] = []
        for start, end, level, text, plain in found:
            above = {known: text for known, text in above.items() if known < level}
            if text:
                above[level] = text
            self._from.append(start)
            self._until.append(end)
            self._text.append("\n".join(above.values()))
            if plain:
                self._plain.append((start, end))

    def above(self, start: int) -> str:
        """The headings above what begins at `start`, outermost first, a line each; "" for none."""
        return self._text[bisect_left(self._from, start) - 1]

    def reach(self, start: int) -> tuple[int, int]:
        """From the heading above what begins at `start`, or the passage's begin, to the next."""
        index = bisect_right(self._from, start)
        last = self._from[index] if index < len(self._from) else self._end
        return self._until[bisect_left(self._from, start) - 1], last

    def is_one(self, start: int) -> bool:
        """Whether what begins at `start` is a heading itself, one without a sign."""
        return any(first <= start < last for first, last in self._plain)
