"""What a PDF says on page after page: running headers and footers, page numbers, contents."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ingest.loaders.pdf_headings import larger_than, usual_size
from ingest.loaders.pdf_text import PageText, Passage

_EDGE_LINES = 3  # at the top and at the bottom of a page, that may be a header or a footer
_MIN_PAGES = 3
_MIN_SHARE = 0.2  # of the pages; chapters change their running headers
_SAME_PLACE = 4.0  # points between the places of a running line on two pages
_MIN_ENTRIES = 5  # lines of contents on a page of contents
_PAGE_NUMBER = re.compile(
    r"(?:(?:page|seite|p\.?|стр\.?|pág\.?|página)\s*)?[-–—•|\[(]*\s*(?:\d{1,4}|[ivxlc]{1,7})\s*"
    r"(?:(?:of|/|von|de|sur|из)\s*\d{1,4})?\s*[-–—•|\])]*"
    r"|第?\s*\d{1,4}\s*[页頁](?:\s*[,，/]?\s*共\s*\d{1,4}\s*[页頁])?"
    r"|\d{1,2}[-–]\d{1,3}",
    re.I,
)
_LABELLED = re.compile(
    r"(?:\b(?:page|seite|p\.|стр\.?|pág\.?|página)\s*|第\s*)(?P<named>\d{1,4})(?!\w|[.,:-]\d)"
    r"|第\s*(?P<leaf>\d{1,4})\s*[页頁]"
    r"|(?<![^\s|(\[])(?P<counted>\d{1,4})\s*(?:of|/|von|de|sur|из)\s*\d{1,4}(?![\w/]|[.,:-]\d)",
    re.I,
)
_FIRST = re.compile(r"[\s|(\[•–—-]*(?P<first>\d{1,4})(?=[\s|)\]•])")
_LAST = re.compile(r"(?<=[\s|(\[•])(?P<last>\d{1,4})[\s|)\]•–—-]*$")
_VALUE = re.compile(r"(?:[:：=#№]|\b(?:no|nr|nos|num|art)\b\.?)\s*$", re.I)  # what follows is one
_MONTH = re.compile(
    r"\b(?:jan|feb|mar|mär|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez)\w*\.?", re.I
)
_YEAR = re.compile(r"(?:19|20)\d\d")
_WORD = re.compile(r"[^\W\d_]{2,}")
_TWO_CHINESE = re.compile("[\u2e80-\u9fff\uac00-\ud7af]{2}")
_LEADERS = re.compile(r"\.\.|\. \.|··|· ·|…|__")
_ENTRY = re.compile(r".*\w.*?(?:(?:[.·…_] ?){4,}|… ?…)\s*[\divxlcIVXLC]{1,6}\W*")
_ENTRY_BARE = re.compile(r".*[^\W\d].*\s\d{1,4}")
_CONTENTS = re.compile(
    r"(?:table of )?contents|inhalt(?:sverzeichnis)?|sommaire|table des matières|índice|contenido"
    r"|目\s*[录錄次]|目次|차례|목차|содержание|оглавление",
    re.I,
)


@dataclass(frozen=True, slots=True)
class _Edge:
    """A line at the edge of a page, and how it may run on: as it is, or numbered with the pages."""

    passage: Passage
    page: int
    numbered: tuple[tuple[int, str], ...]  # (number less that of the page, the line without it)
    doubtful: bool  # one word and a number: `Methods 12`, but `Chapter 2` or `Exercise 4` as well

    def keys(self, form: str) -> tuple[tuple[str, int], tuple[str, int]]:
        """The form, and where it stands: in two grids, so that no edge parts them."""
        place = self.passage.line.top / (2 * _SAME_PLACE)
        return (form, 2 * round(place)), (form, 2 * round(place + 0.5) + 1)

    @property
    def bare(self) -> bool:
        return bool(_PAGE_NUMBER.fullmatch(self.passage.text))

    @property
    def forms(self) -> list[str]:
        return [_flat(self.passage.text), *(f"{step} {form}" for step, form in self.numbered)]


def set_boilerplate(pages: Sequence[PageText]) -> None:
    """Mark running lines and page numbers (of several pages), and contents.

    A running line is the same on each page, but for the page's number. Other numbers that change
    are what the page is about: of an invoice, of a chapter.
    """
    for page in pages:
        _set_contents(page)
    usual = usual_size(passage for page in pages for passage in page.passages)
    edges = [_edge(passage, page, usual) for page in pages for passage in _edges(page)]
    places = Counter(key for edge in edges for form in edge.forms for key in edge.keys(form))
    bare = {edge.page for edge in edges if edge.bare}
    needed = max(_MIN_PAGES, _MIN_SHARE * len(pages))
    few = max(_MIN_PAGES, 0.05 * len(pages))
    doubtful: list[_Edge] = []
    steps: set[int] = set()  # from a page to its printed number, as sure lines tell
    told: set[int] = set()  # pages whose number is printed in a sure line
    for edge in edges:
        enough = few if len(edge.passage.text) >= 12 else needed
        running = [max(places[key] for key in edge.keys(form)) >= enough for form in edge.forms]
        if running[0] or (edge.bare and len(bare) >= 2):
            edge.passage.boilerplate = True
        elif any(running) and edge.doubtful:
            doubtful.append(edge)
        elif any(running):
            edge.passage.boilerplate = True
            told.add(edge.page)
            steps.update(step for step, _ in edge.numbered)
    if len(bare) >= 2:
        told |= bare
    for edge in doubtful:
        if edge.page not in told and steps.intersection(step for step, _ in edge.numbered):
            edge.passage.boilerplate = True


def _edge(passage: Passage, page: PageText, usual: float) -> _Edge:
    text = passage.text
    labels = list(_LABELLED.finditer(text))
    slots = labels
    if not labels and (page.quality.get("ocr") or not larger_than(passage, usual)):
        found = [_FIRST.match(text), _LAST.search(text)]
        slots = [match for match in found if match and not _is_value(match)]
    numbered = []
    for match in slots:
        start, end = match.span(match.lastgroup or 0)
        form = _flat(f"{text[:start]}#{text[end:]}")
        numbered.append((int(text[start:end]) - page.number, form))
    words = len(_WORD.findall(text)) + len(_TWO_CHINESE.findall(text)) - bool(labels)
    return _Edge(passage, page.number, tuple(numbered), not labels and words < 2)


def _is_value(match: re.Match[str]) -> bool:
    """Whether the number is that of a thing (`No. 7`) or part of a date.

    Page 1900 is rarer than a page that tells of a year.
    """
    start, end = match.span(match.lastgroup or 0)
    before, after = match.string[:start].rstrip(), match.string[end:].lstrip()
    if _VALUE.search(before) or _MONTH.match(after) or _YEAR.fullmatch(match[match.lastgroup or 0]):
        return True
    return any(month.end() == len(before) for month in _MONTH.finditer(before))


def _flat(text: str) -> str:
    return "".join(text.split()).casefold()


def _edges(page: PageText) -> list[Passage]:
    shown = [passage for passage in page.passages if passage.kind is None]
    shown.sort(key=lambda passage: passage.line.top)
    if len(shown) <= 2 * _EDGE_LINES:
        return shown
    inner = shown[_EDGE_LINES:-_EDGE_LINES]
    stamps = [passage for passage in inner if passage.line.turned]
    return shown[:_EDGE_LINES] + stamps + shown[-_EDGE_LINES:]


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
