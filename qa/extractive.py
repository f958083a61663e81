"""The answer without an LLM: the sentences that answer, quoted exactly, the likeliest first."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence, Set
from dataclasses import replace

from ingest.documents import Chunk
from qa.citing.asked_for import lacks_identifier
from qa.extracting.fields import field_of
from qa.extracting.kinds import told_by_heading
from qa.extracting.lists import led_to, list_asked_for
from qa.extracting.scores import SHOWN, Candidate, rank
from qa.extracting.tables import head_of, read_row
from qa.follow_ups import leant_on
from qa.images import in_words
from qa.plugins.cite_sources import citation_of
from qa.sentences import sentences
from qa.turn import Citation, Handler, Turn
from retrieval.embedding import Embedder
from retrieval.hits import Hit
from retrieval.index import Index
from retrieval.terms import CJK, analyse, stems

NAME = "extractive"
ENOUGH = 0.93  # chance that one of the sentences shown answers: then no more of them are shown
# a chance below which no second sentence is shown, where the likeliest stands and elsewhere: with
# these and `ENOUGH` as many answers are shown as without, in fewer sentences (bench.extractive)
LEAST, LEAST_ELSEWHERE = 0.04, 0.06

_WRAPPED_CJK = re.compile(rf"(?<=[{CJK}，。；：、])\s*\n\s*(?=[{CJK}])")
_ONE_WORD = re.compile(rf"\W*(?:[^\W{CJK}]+|[{CJK}]{{1,4}})[\"”’」』*_]*[.。!！]\W*\Z")
_LIST_LINE = re.compile(r"\n(?=[ \t]*(?:[-*+•·]|\d{1,3}[.)、](?!\d)|[(（]\d{1,3}[)）])[ \t]*\S)")


def answer_extractively(index: Index, embedder: Embedder) -> Handler:
    """A handler in the model's place that answers with sentences of `turn.hits`.

    It answers nothing where the question names an identifier that none of them has. It streams
    nothing: `cite_sources` passes on the text of an answer that brings its citations.
    """

    def handler(turn: Turn) -> Turn:
        asked = in_words(turn.question, turn.images)
        before = "\n".join(leant_on(turn.question, turn.history))
        hits = () if _is_unknown(asked, turn.hits) else turn.hits
        ranked = rank(asked, hits, index, embedder, before=before)
        chosen = choose(asked, ranked, before=before)
        lines = [
            f"{readable(candidate, turn.question)} [{number}]"
            for number, candidate in enumerate(chosen, 1)
        ]
        citations = tuple(_citation(number, found) for number, found in enumerate(chosen, 1))
        text = "\n".join(lines)
        return replace(turn, text=text, citations=citations, model=NAME, abstained=not chosen)

    return handler


def _is_unknown(question: str, hits: Sequence[Hit]) -> bool:
    """Whether the question is about an identifier (`E09`, `AQ-20`) that stands in no passage: the
    row of another one is no answer."""
    told = (
        "\n".join((hit.uri, hit.chunk.title, *hit.chunk.heading, hit.chunk.context, hit.text))
        for hit in hits
    )
    return lacks_identifier(question, "\n".join(told))


def _citation(number: int, candidate: Candidate) -> Citation:
    """Its headings are those above the sentence, also such as stand inside the passage."""
    citation = citation_of(number, candidate.hit, candidate.start, candidate.end)
    return replace(citation, heading=tuple(filter(None, candidate.under.split("\n"))))


def choose(question: str, ranked: Sequence[Candidate], *, before: str = "") -> list[Candidate]:
    """The likeliest sentences, until one of them is likely `ENOUGH` to answer or the next hardly
    is; no text twice.

    Of a table no row besides a better one that says more of what is asked: the price of B is not
    that of C; what was asked `before` counts here. Where the question asks for a list and one of
    them is in one that is likelier than any sentence elsewhere, the list alone.
    """
    asked = stems(analyse(f"{before}\n{question}"))
    chosen: dict[str, Candidate] = {}
    covered, possible = 0.0, 1.0
    for candidate in ranked:
        least = LEAST if candidate.hit is ranked[0].hit else LEAST_ELSEWHERE
        least = 0.0 if before else least  # what a follow-up means is less sure than its chances say
        if (
            len(chosen) == SHOWN
            or covered >= ENOUGH * possible
            or (chosen and candidate.share < least)
        ):
            break
        if any(_is_other_row(candidate, better, asked) for better in chosen.values()):
            possible -= candidate.share
        elif chosen.setdefault(candidate.text, candidate) is candidate:
            covered += candidate.share
    for candidate in chosen.values():
        span = list_asked_for(
            question,
            candidate.hit.chunk,
            candidate.start,
            candidate.end,
            under=candidate.under,
        )
        if span and _is_likeliest(candidate, span, ranked):
            return [replace(candidate, start=span[0], end=span[1])]
    shown: list[Candidate] = []
    for candidate in chosen.values():
        whole = _with_what_belongs_to_it(candidate, frozenset(asked))
        if any(_is_inside(whole, other) for other in shown):
            continue
        parts = [number for number, other in enumerate(shown) if _is_inside(other, whole)]
        shown = [other for number, other in enumerate(shown) if number not in parts]
        shown.insert(parts[0] if parts else len(shown), whole)
    return shown


def _with_what_belongs_to_it(candidate: Candidate, asked: Set[str]) -> Candidate:
    """With the list that it leads up to, or what goes on after "Yes."; the field asked for with
    all parts of its value."""
    chunk = candidate.hit.chunk
    if head_of(chunk, candidate.start):
        return candidate
    start, end = led_to(chunk, candidate.start, candidate.end)
    if _ONE_WORD.match(candidate.text):
        end = _next_end(chunk, end)
    field = field_of(candidate.text) if candidate.text.endswith("；") else None
    if field and field.is_asked_for(asked) and not chunk.omitted:
        end = start + len(chunk.text[start:].partition("\n")[0].rstrip())
    return replace(candidate, start=start, end=end)


def _next_end(chunk: Chunk, end: int) -> int:
    """Where the sentence ends that goes on in the same line behind `end`; else `end`."""
    spans = sentences(chunk.text, omitted=chunk.omitted)
    first, last = next((span for span in spans if span[0] >= end), (end, end))
    return last if not chunk.text[end:first].strip(" ") else end


def _is_inside(candidate: Candidate, other: Candidate) -> bool:
    same = candidate.hit is other.hit
    return same and other.start <= candidate.start and candidate.end <= other.end


def _is_likeliest(inside: Candidate, span: tuple[int, int], ranked: Sequence[Candidate]) -> bool:
    """Whether no sentence elsewhere is likelier than all of the list together."""
    within, elsewhere = inside.share, 0.0
    for candidate in ranked:
        if candidate is inside:
            continue
        if candidate.hit is inside.hit and span[0] <= candidate.start < span[1]:
            within += candidate.share
        else:
            elsewhere = max(elsewhere, candidate.share)
    return within >= elsewhere


def _is_other_row(candidate: Candidate, better: Candidate, asked: Collection[str]) -> bool:
    """Whether it is a row of the same table that says only part of what the better one says."""
    head = head_of(candidate.hit.chunk, candidate.start)
    if not head or candidate.hit.uri != better.hit.uri:
        return False
    if head != head_of(better.hit.chunk, better.start):
        return False
    said, said_better = (
        {term for term in stems(analyse(found.text)) if term in asked}
        for found in (candidate, better)
    )
    return said < said_better


def readable(candidate: Candidate, question: str) -> str:
    """A quote on one line, each item of a list on its own; a table row as its labelled cells; where
    the heading above has the time or version asked for, that first."""
    head = head_of(candidate.hit.chunk, candidate.start)
    if head or candidate.text.startswith("|"):
        return read_row(candidate.text, head, question)
    heading = told_by_heading(question, candidate.text, candidate.under)
    items = _LIST_LINE.split(f"{heading} — {candidate.text}" if heading else candidate.text)
    return "\n".join(" ".join(_WRAPPED_CJK.sub("", item).split()) for item in items)
