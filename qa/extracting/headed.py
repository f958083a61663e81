"""What stands above a sentence: the headings that it is under, in its passage and before it."""

from __future__ import annotations

import re
from bisect import bisect_left

from ingest.documents import Chunk

_HEADING = re.compile(
    r"^(?:(?P<signs>#{1,6})[ \t]+(?P<text>.+)"
    r"|[ \t]*(?P<counted>(?:[一二三四五六七八九十]+、|第[一二三四五六七八九十]+[章条條節节])"
    r"[^。\n]{1,30}))$",
    re.MULTILINE,
)
_DEEPEST = 7  # of a heading that is only counted ("二、..."): below those with signs


class Headed:
    """Which headings stand above a place in a passage."""

    def __init__(self, chunk: Chunk) -> None:
        above = dict(enumerate(chunk.heading, 1))
        self._from, self._text = [-1], ["\n".join(above.values())]
        for found in _HEADING.finditer(chunk.text):
            level = len(found["signs"]) if found["signs"] else _DEEPEST
            above = {known: text for known, text in above.items() if known < level}
            above[level] = found["text"] or found["counted"]
            self._from.append(found.start())
            self._text.append("\n".join(above.values()))

    def above(self, start: int) -> str:
        """The headings above what begins at `start`, outermost first, a line each; "" for none."""
        return self._text[bisect_left(self._from, start) - 1]
