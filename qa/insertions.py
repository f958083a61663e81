"""Text put into a document at some places: spans of pages, sections and marks move along."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

from ingest.documents import Document, Mark


def inserted(document: Document, additions: Sequence[tuple[int, str, str]]) -> Document:
    """The document with each text of `additions` (offset, text, label) at its offset.

    Each is marked as an image with its label. An addition at the end of a page or section belongs
    to it; one at the end of a table or another mark does not.
    """
    additions = sorted(additions, key=lambda addition: addition[0])
    at = [offset for offset, _, _ in additions]
    moved = list(accumulate((len(text) for _, text, _ in additions), initial=0))

    def start(offset: int) -> int:
        return offset + moved[bisect_right(at, offset)]

    def end(offset: int) -> int:
        return offset + moved[bisect_left(at, offset)]

    cuts = [0, *at, len(document.text)]
    parts = [document.text[cuts[0] : cuts[1]]]
    marks = [replace(m, start=start(m.start), end=end(m.end)) for m in document.marks]
    for number, (offset, text, label) in enumerate(additions):
        begin = offset + moved[number]
        marks.append(Mark("image", begin, begin + len(text), label))
        parts += [text, document.text[offset : cuts[number + 2]]]
    return replace(
        document,
        text="".join(parts),
        pages=tuple(replace(p, start=start(p.start), end=start(p.end)) for p in document.pages),
        sections=tuple(
            replace(s, start=start(s.start), end=start(s.end)) for s in document.sections
        ),
        marks=tuple(sorted(marks, key=lambda mark: (mark.start, -mark.end))),
    )
