"""What a search should find for a question, and which hits are it.

A hit is a place's when half of the shorter of the two lies in the other. The ranking that is scored
is of places: a hit stands for the places it meets, else for its document (page, passage), each only
once. Questions that name documents are thus scored over documents, as retrieval sets are.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ingest.documents import Document
from qa.evaluation.questions import Level, Question, Span
from retrieval.hits import Hit
from retrieval.terms import CJK

ANSWER = "answer"
_HAS_CJK = re.compile(rf"[{CJK}]")
_LEADING = re.compile(r"^(?:\.?/)+")  # of ./docs/a.md


@dataclass(frozen=True, slots=True)
class Target:
    """A relevant place: a document, or `start`..`end` of its text; `grade` from 1."""

    name: str
    uri: str
    start: int | None = None
    end: int | None = None
    grade: int = 1

    def meets(self, uri: str, start: int, end: int) -> bool:
        """Whether the passage `start`..`end` of `uri` is in this place."""
        if uri != self.uri or self.start is None or self.end is None:
            return uri == self.uri
        overlap = min(end, self.end) - max(start, self.start)
        return overlap > 0 and 2 * overlap >= min(end - start, self.end - self.start)


@dataclass(frozen=True, slots=True)
class Aim:
    """What a question is judged by. `problem` says why it can only be missed.

    Without targets the answer, if there is one, is what a passage must hold.
    """

    question: Question
    level: Level
    targets: tuple[Target, ...] = ()
    problem: str = ""

    @property
    def relevant(self) -> dict[str, int]:
        """Grades by the name of the place; empty for a question without an answer."""
        if self.question.unanswerable:
            return {}
        if self.level == "answer":
            return {ANSWER: 1} if self.question.answers else {}
        return {target.name: target.grade for target in self.targets}

    def ranking(self, hits: Sequence[Hit]) -> list[str]:
        """Names of the places found, the best first, none twice."""
        names = (name for hit in hits for name in self._names(hit))
        return list(dict.fromkeys(names))

    def answer_ranking(self, hits: Sequence[Hit]) -> list[str]:
        """One item for each hit: `ANSWER` for the first that holds the answer."""
        held = (holds_answer(hit.text, self.question.answers) for hit in hits)
        first = next((rank for rank, holds in enumerate(held) if holds), None)
        return [ANSWER if rank == first else str(rank) for rank in range(len(hits))]

    def _names(self, hit: Hit) -> list[str]:
        chunk = hit.chunk
        if self.level == "answer":
            held = holds_answer(hit.text, self.question.answers)
            return [ANSWER if held else f"{chunk.uri}:{chunk.start}"]
        met = [t.name for t in self.targets if t.meets(chunk.uri, chunk.start, chunk.end)]
        if met:
            return met
        if self.level == "document":
            return [chunk.uri]
        place = chunk.page if self.level == "page" else chunk.start
        return [f"{chunk.uri}:{place}"]


class Names:
    """Documents by what people call them."""

    def __init__(self, uris: Iterable[str]) -> None:
        self._uris = {_normal(uri): uri for uri in uris}

    def uri(self, name: str) -> str | None:
        """The base's name of a document: the same, or the only one that ends like it."""
        normal = _normal(name)
        if normal in self._uris:
            return self._uris[normal]
        ends = [
            uri
            for known, uri in self._uris.items()
            if known.endswith(f"/{normal}") or normal.endswith(f"/{known}")
        ]
        return ends[0] if len(ends) == 1 else None


class Finder:
    """Resolves what questions name to places in the documents of a base."""

    def __init__(self, uris: Iterable[str], document: Callable[[str], Document]) -> None:
        self._names = Names(uris)
        self._document = document
        self._opened: dict[str, Document] = {}

    def aim(self, question: Question, level: Level | None = None) -> Aim:
        """What `question` is judged by at `level`, or at the finest that it names.

        A set's coarser `level` wins over what the question names; a finer one does not.
        """
        wanted = coarser(question.level, level)
        if question.unanswerable or wanted == "answer":
            return Aim(question, wanted)
        found = {name: self._names.uri(name) for name in question.documents}
        missing = [name for name, uri in found.items() if uri is None]
        problem = f"no document '{missing[0]}' in the base" if missing else ""
        targets: list[Target] = []
        for name, grade in question.documents.items():
            uri = found[name]
            if uri is None:
                targets.append(Target(f"{name} (missing)", name, grade=grade))
            elif wanted == "document" or not self._says(uri, question, wanted):
                targets.append(Target(uri, uri, grade=grade))
            else:
                places, fault = self._places(self._open(uri), question, wanted)
                targets += places
                problem = problem or fault
        return Aim(question, wanted, tuple(targets), problem)

    def _says(self, uri: str, question: Question, level: Level) -> bool:
        """Whether there are such places: a span lies on a page where the document has any."""
        return level != "page" or bool(question.pages or self._open(uri).pages)

    def _places(
        self, document: Document, question: Question, level: Level
    ) -> tuple[list[Target], str]:
        if level == "page":
            wanted = [(f"p. {number}", _page(document, number)) for number in question.pages]
            wanted = wanted or [(_shown(s), _page_of(document, s)) for s in question.spans]
        else:
            wanted = [(_shown(span), _located(document, span)) for span in question.spans]
        targets, fault = [], ""
        for name, span in wanted:
            start, end = span or (0, 0)  # an empty span is met by nothing
            targets.append(Target(f"{document.uri} {name}", document.uri, start, end))
            if span is None:
                fault = f"{document.uri} has no {name}"
        return targets, fault

    def _open(self, uri: str) -> Document:
        if uri not in self._opened:
            self._opened[uri] = self._document(uri)
        return self._opened[uri]


def coarser(named: Level, wanted: Level | None) -> Level:
    """The level to judge at: `wanted`, unless the question does not say as much."""
    order: Mapping[Level, int] = {"answer": 0, "document": 1, "page": 2, "passage": 3}
    if wanted is None or order[named] < order[wanted]:
        return named
    return wanted


def holds_answer(text: str, answers: Iterable[str]) -> bool:
    """Whether one of `answers` stands in `text`, whatever the case, width and line breaks.

    An answer of Latin letters or digits is found as a whole word only: 7 is not in 17.
    """
    return any(_answer_pattern(answer).search(squeezed(text)) for answer in answers if answer)


def squeezed(text: str) -> str:
    """A text without what does not count: case, width, white space beside Chinese characters."""
    text = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return re.sub(rf"(?<=[{CJK}]) | (?=[{CJK}])", "", text)


def _answer_pattern(answer: str) -> re.Pattern[str]:
    words = squeezed(answer)
    before = r"(?<![0-9a-z])" if re.match(r"[0-9a-z]", words) else ""
    after = r"(?![0-9a-z])" if re.search(r"[0-9a-z]$", words) else ""
    return re.compile(before + re.escape(words) + after)


def _page(document: Document, number: int) -> tuple[int, int] | None:
    return next(((p.start, p.end) for p in document.pages if p.number == number), None)


def _page_of(document: Document, span: Span) -> tuple[int, int] | None:
    """The page on which a span begins."""
    found = _located(document, span)
    number = document.page_at(found[0]) if found else None
    return None if number is None else _page(document, number)


def _located(document: Document, span: Span) -> tuple[int, int] | None:
    """Offsets of a span; a quotation may differ in its white space."""
    if not isinstance(span, str):
        return span if span[1] <= len(document.text) else None
    pattern = r"\s*".join(re.escape(part) for part in _parts(span))
    found = re.search(pattern, document.text)
    return (found.start(), found.end()) if found else None


def _parts(quote: str) -> list[str]:
    """The words of a quotation; Chinese has none, and lines break between any characters."""
    words = quote.split()
    if not _HAS_CJK.search(quote):
        return words
    return re.findall(rf"[{CJK}]|[^{CJK}\s]+", quote)


def _shown(span: Span) -> str:
    return f"'{span[:60]}'" if isinstance(span, str) else f"{span[0]}..{span[1]}"


def _normal(uri: str) -> str:
    return _LEADING.sub("", unicodedata.normalize("NFC", uri))
