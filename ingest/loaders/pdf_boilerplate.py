"""What a PDF says on page after page: running headers and footers, page numbers, contents."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from ingest.loaders.pdf_text import PageText, Passage

_EDGE_LINES = 3  # at the top and at the bottom of a page, that may be a header or a footer
_MIN_PAGES = 3
_MIN_SHARE = 0.2  # of the pages; chapters change their running headers
_SAME_PLACE = 4.0  # points between the places of a running line on two pages
_MIN_ENTRIES = 5  # lines of contents on a page of contents
_DIGITS = re.compile(r"\d+")
_PAGE_NUMBER = re.compile(
    r"(?:(?:page|seite|p\.?|стр\.?|pág\.?|página)\s*)?[-–—•|\[(]*\s*(?:\d{1,4}|[ivxlc]{1,7})\s*"
    r"(?:(?:of|/|von|de|sur|из)\s*\d{1,4})?\s*[-–—•|\])]*"
    r"|第?\s*\d{1,4}\s*[页頁](?:\s*[,，/]?\s*共\s*\d{1,4}\s*[页頁])?",
    re.I,
)
_LEADERS = re.compile(r"\.\.|\. \.|··|· ·|…|__")
_ENTRY = re.compile(r".*\w.*?(?:(?:[.·…_] ?){4,}|… ?…)\s*[\divxlcIVXLC]{1,6}\W*")
_ENTRY_BARE = re.compile(r".*[^\W\d].*\s\d{1,4}")
_CONTENTS = re.compile(
    r"(?:table of )?contents|inhalt(?:sverzeichnis)?|sommaire|table des matières|índice|contenido"
    r"|目\s*[录錄次]|目次|차례|목차|содержание|оглавление",
    re.I,
)


def set_boilerplate(pages: Sequence[PageText]) -> None:
    """Mark running lines and page numbers (of several pages), and contents."""
    for page in pages:
        _set_contents(page)
    edges = [_edges(page) for page in pages]
    places: Counter[tuple[str, int]] = Counter()
    numbered = 0
    for edge in edges:
        places.update({key for passage in edge for key in _keys(passage)})
        numbered += any(_PAGE_NUMBER.fullmatch(passage.text) for passage in edge)
    needed = max(_MIN_PAGES, _MIN_SHARE * len(pages))
    few = max(_MIN_PAGES, 0.05 * len(pages))
    for edge in edges:
        for passage in edge:
            times = max(places[key] for key in _keys(passage))
            long_line = len(passage.text) >= 12
            page_number = numbered >= 2 and _PAGE_NUMBER.fullmatch(passage.text)
            if times >= (few if long_line else needed) or page_number:
                passage.boilerplate = True


def _edges(page: PageText) -> list[Passage]:
    shown = [passage for passage in page.passages if passage.kind is None]
    shown.sort(key=lambda passage: passage.line.top)
    if len(shown) <= 2 * _EDGE_LINES:
        return shown
    return shown[:_EDGE_LINES] + shown[-_EDGE_LINES:]


def _keys(passage: Passage) -> tuple[tuple[str, int], tuple[str, int]]:
    """Its words without numbers, and where it stands: in two grids, so that no edge parts them."""
    words = _DIGITS.sub("#", "".join(passage.text.split())).casefold()
    place = passage.line.top / (2 * _SAME_PLACE)
    return (words, 2 * round(place)), (words, 2 * round(place + 0.5) + 1)


def _set_contents(page: PageText) -> None:
    entries = [
        number
        for number, passage in enumerate(page.passages)
        if _LEADERS.search(passage.text) and _ENTRY.fullmatch(passage.text[-200:])
    ]
    if len(entries) < _MIN_ENTRIES:
        titled = any(_CONTENTS.fullmatch(p.text.strip(" #.:")) for p in page.passages[:5])
        if titled:
            entries = [
                n for n, p in enumerate(page.passages) if _ENTRY_BARE.fullmatch(p.text[-200:])
            ]
        if not titled or len(entries) < max(_MIN_ENTRIES, 0.5 * len(page.passages)):
            return
    for passage in page.passages[entries[0] : entries[-1] + 1]:
        passage.boilerplate = True
