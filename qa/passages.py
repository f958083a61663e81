"""The passage of a citation in its document as that is now, with what stands around it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ingest.documents import Document, FileState
from ingest.errors import BadRequest
from qa.turn import Citation

CONTEXT_LINES = 3
LONGEST_LINE = 400  # characters of a line that are shown before and behind a quote


@dataclass(frozen=True, slots=True)
class Passage:
    """Where the quote of a citation stands now: `document.text[start:end]`.

    `line` is its line in the file, where the text has the file's lines. `moved`: the document has
    changed since it was cited. `before` and `after` are the text around the quote. `file`: what
    became of the document's file since it was read, see `KnowledgeBase.file_state`.
    """

    number: int
    uri: str
    page: int | None
    line: int | None
    heading: tuple[str, ...]
    start: int
    end: int
    before: str
    quote: str
    after: str
    moved: bool
    file: FileState = ""


def passages_of(
    number: int,
    citations: Sequence[Citation],
    read: Callable[[str], Document],
    file_state: Callable[[str], FileState] = lambda uri: "",
) -> list[Passage]:
    """The passages of a citation's number, as the documents that `read` gives are now.

    Raises BadRequest, with the quote, for a document that is gone or does not say it any more.
    """
    passages: list[Passage] = []
    for citation in cited_as(number, citations):
        try:
            document = read(citation.uri)
        except BadRequest as exc:
            raise BadRequest(f"{exc}; it said: {_in_one_line(citation.quote)}") from exc
        passages.append(replace(passage_of(citation, document), file=file_state(citation.uri)))
    return passages


def cited_as(number: int, citations: Sequence[Citation]) -> list[Citation]:
    """The citations of a number. Raises BadRequest if there is none."""
    found = [citation for citation in citations if citation.number == number]
    if not found:
        numbers = sorted({citation.number for citation in citations})
        there_are = f"it has {', '.join(map(str, numbers))}" if numbers else "it cites nothing"
        raise BadRequest(f"the last answer has no citation {number}: {there_are}")
    return found


def passage_of(citation: Citation, document: Document) -> Passage:
    """The passage of a citation. Raises BadRequest if the document does not say it any more."""
    start = citation.start
    moved = document.text[start : citation.end] != citation.quote
    if moved:
        start = _nearest(citation.quote, document.text, start)
    if start < 0:
        raise BadRequest(
            f"'{citation.uri}' has changed since and does not say any more: "
            f"{_in_one_line(citation.quote)}"
        )
    end = start + len(citation.quote)
    lines_before = document.text.count("\n", 0, start)
    return Passage(
        number=citation.number,
        uri=citation.uri,
        page=document.page_at(start),
        line=None if document.first_line is None else document.first_line + lines_before,
        heading=document.heading_at(start) or citation.heading,
        start=start,
        end=end,
        before=_lines_before(document.text, start),
        quote=document.text[start:end],
        after=_lines_after(document.text, end),
        moved=moved,
    )


def _in_one_line(quote: str) -> str:
    return f'"{" ".join(quote.split())}"'


def _nearest(quote: str, text: str, start: int) -> int:
    """Where `quote` stands in `text` nearest to `start`; -1 if it does not."""
    behind, ahead = text.find(quote, start), text.rfind(quote, 0, start + len(quote))
    found = [place for place in (behind, ahead) if place >= 0]
    return min(found, key=lambda place: abs(place - start), default=-1)


def _lines_before(text: str, start: int) -> str:
    lines = text[:start].rsplit("\n", CONTEXT_LINES + 1)
    shown = "\n".join(lines[-CONTEXT_LINES - 1 :])
    return f"...{shown[-LONGEST_LINE:]}" if len(shown) > LONGEST_LINE else shown


def _lines_after(text: str, end: int) -> str:
    lines = text[end:].split("\n", CONTEXT_LINES + 1)
    shown = "\n".join(lines[: CONTEXT_LINES + 1])
    return f"{shown[:LONGEST_LINE]}..." if len(shown) > LONGEST_LINE else shown
