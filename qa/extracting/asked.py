"""Questions that a document asks itself: what stands below one answers it, in other words."""

from __future__ import annotations

import re
from bisect import bisect_left
from itertools import islice

from ingest.documents import Chunk

_LINE = re.compile(r"^(?:#{1,6}[ \t]+(?P<heading>.+)|(?P<line>.*[?？]))[ \t*]*$", re.MULTILINE)
ASKS = re.compile(r"[?？][\s*]*$")
_BREAK = re.compile(r"\n[ \t]*\n")
PARAGRAPHS = 2  # breaks until the end of what answers a line that is no heading


class Asked:
    """Which question stands above a place in a passage.

    That of a heading reaches to the next heading, that of a mere line over one paragraph.
    """

    def __init__(self, chunk: Chunk) -> None:
        heading = chunk.heading[-1] if chunk.heading else ""
        self._from, self._text = [-1], [heading if ASKS.search(heading) else ""]
        for found in _LINE.finditer(chunk.text):
            self._reach(found.start(), found["heading"] or found["line"])
            if not found["heading"]:
                breaks = list(islice(_BREAK.finditer(chunk.text, found.end()), PARAGRAPHS))
                if len(breaks) == PARAGRAPHS:
                    self._reach(breaks[-1].start(), "")

    def above(self, start: int) -> str:
        """The question above the sentence that begins at `start`; "" for none."""
        return self._text[bisect_left(self._from, start) - 1]

    def _reach(self, start: int, text: str) -> None:
        while self._from[-1] >= start:  # the end of a line before, beyond this one
            self._from.pop()
            self._text.pop()
        self._from.append(start)
        self._text.append(text if ASKS.search(text) else "")
