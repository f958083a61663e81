"""The answer without an LLM: the sentences that answer, quoted exactly, in reading order."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from qa.images import in_words
from qa.plugins.cite_sources import citation_of
from qa.sentences import sentences
from qa.turn import Handler, Turn
from retrieval.embedding import Embedder
from retrieval.hits import Hit
from retrieval.index import Index
from retrieval.terms import CJK, analyse, analyse_query, stems

NAME = "extractive"
PASSAGES = 5  # the right passage is among the first five for .997 of the questions (FACTS)
MAX_SENTENCES = 3
NUMBER_BONUS = 0.15  # .1 to .2 were alike in a prototype on three sets
FOLLOW = 0.75  # share of the best sentence's score that a further one must reach

_ASKS_NUMBER = re.compile(
    r"\bhow (?:many|much|long|old|far|often|large|big|tall|fast|high|soon)\b|\bwhen\b"
    r"|\b(?:what|which) (?:year|date|day|time|percentage|number|price|version|code)\b"
    r"|多少|几|幾|何时|何時|哪一?[年天日]|什么时候|什麼時候|多[久长長大高快]",
    re.IGNORECASE,
)
_HAS_NUMBER = re.compile(
    r"\d|[一二三四五六七八九十百千万萬亿億兩两]+[年月日天周週个個次人名种種元倍]"
    r"|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|twelve|hundred|thousand|million"
    r"|once|twice|half|dozen)\b",
    re.IGNORECASE,
)
_WRAPPED_CJK = re.compile(rf"(?<=[{CJK}，。；：、])\s*\n\s*(?=[{CJK}])")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence of a hit: `start` and `end` in the hit's text, `score` as an answer."""

    hit: Hit
    start: int
    end: int
    score: float

    @property
    def text(self) -> str:
        """The sentence as it stands in the document."""
        return self.hit.text[self.start : self.end]


def answer_extractively(index: Index, embedder: Embedder) -> Handler:
    """A handler in the model's place that answers with sentences of `turn.hits`.

    It streams nothing: `cite_sources` passes on the text of an answer that brings its citations.
    """

    def handler(turn: Turn) -> Turn:
        asked = in_words(turn.question, turn.images)
        chosen = choose(rank(asked, turn.hits, index, embedder))
        text = _joined([candidate.text for candidate in chosen])
        citations = tuple(
            citation_of(number, candidate.hit, candidate.start, candidate.end)
            for number, candidate in enumerate(chosen, 1)
        )
        return replace(turn, text=text, citations=citations, model=NAME, abstained=not chosen)

    return handler


def rank(question: str, hits: Sequence[Hit], index: Index, embedder: Embedder) -> list[Candidate]:
    """Sentences of the first `PASSAGES` hits, the likeliest answer first.

    score = known^2 * cosine + coverage + hit.score + bonus: `coverage` is the share of the
    question's term weights (idf) in the sentence, `known` the share of the question that the
    embedder knows; the bonus goes to a sentence with a number when one is asked for.
    """
    spans = [
        (hit, start, end)
        for hit in hits[:PASSAGES]
        for start, end in sentences(hit.text, omitted=hit.chunk.omitted)
    ]
    if not spans:
        return []
    texts = [hit.text[start:end] for hit, start, end in spans]
    known = embedder.known_share(question) ** 2
    cosines = embedder.embed(texts) @ embedder.embed_query(question)
    weights = index.term_weights(stems(analyse_query(question)))
    bonus = NUMBER_BONUS if _ASKS_NUMBER.search(question) else 0.0
    candidates = [
        Candidate(
            hit,
            start,
            end,
            known * float(cosine)
            + _coverage(text, weights)
            + hit.score
            + bonus * bool(_HAS_NUMBER.search(text)),
        )
        for (hit, start, end), text, cosine in zip(spans, texts, np.asarray(cosines), strict=True)
    ]
    candidates.sort(key=lambda candidate: -candidate.score)
    return candidates


def choose(ranked: Sequence[Candidate]) -> list[Candidate]:
    """The best sentence and those close to it, in reading order, no text twice."""
    chosen: dict[str, Candidate] = {}
    for candidate in ranked:
        if len(chosen) == MAX_SENTENCES or candidate.score < FOLLOW * ranked[0].score:
            break
        chosen.setdefault(candidate.text, candidate)
    first = {candidate.hit.uri: number for number, candidate in reversed(list(enumerate(ranked)))}
    return sorted(
        chosen.values(),
        key=lambda c: (first[c.hit.uri], c.hit.uri, c.hit.chunk.start + c.start),
    )


def _coverage(text: str, weights: Mapping[str, float]) -> float:
    total = sum(weights.values())
    terms = set(analyse(text))
    return sum(weight for term, weight in weights.items() if term in terms) / total if total else 0


def _joined(quotes: Sequence[str]) -> str:
    """The quotes as running text, each with its mark."""
    return "\n".join(f"{_readable(quote)} [{number}]" for number, quote in enumerate(quotes, 1))


def _readable(quote: str) -> str:
    """A quote on one line; a table row as its cells with dashes between."""
    text = " ".join(_WRAPPED_CJK.sub("", quote).split())
    if not text.startswith("|"):
        return text
    return " — ".join(cell for cell in map(str.strip, text.split("|")) if cell)
