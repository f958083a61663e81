"""Which sentence of the passages found answers the question: a score from what can be seen.

The features stand in `Features`, their coefficients in `WEIGHTS`: a conditional logit (of the
sentences of one question, which holds the answer; McFadden 1974), fitted by `bench.fit_sentences`
on three sets of questions and answers in English, simplified and traditional Chinese, each set of
the same weight. Fitted without one of the sets they rank that one as well (bench/RESULTS.md).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qa.extracting.asked import ASKS, Asked
from qa.extracting.fields import field_of
from qa.extracting.headed import Headed
from qa.extracting.kinds import (
    asks_whether,
    counts_the_same,
    holds,
    kind_of,
    names_price,
    told_by_heading,
    without_price,
)
from qa.extracting.tables import cells_of, head_of, rows_without_bars
from qa.sentences import sentences
from retrieval.embedding import Embedder
from retrieval.hits import Hit
from retrieval.index import Index
from retrieval.terms import CJK, EXACT, analyse, analyse_query, asked_about, stems

PASSAGES = 5  # the right passage is among the first five for .997 of the questions (FACTS)
UNDERSTOOD = 0.5  # share of the question that the embedder must know for cosines to be worth it
CHARACTER = 2.0  # what a Chinese character counts beside the pairs, of which half span words
UNDER = 0.6  # what a word of the headings above a sentence counts of one of its own
NOTHING_NEW = 10.0  # what a question loses, and a sentence without a word beyond the question's
FIELD = 3.0  # what a field gains whose label stands in the question
PRICE = 3.0  # what an amount of money gains where a price is asked for
ROW = 2.0  # what a table's row gains whose first cell does, and loses without a word of it
BEFORE = 1.0  # what a sentence gains by all words of the questions before (bench.followups)
EMBEDDED = 48  # sentences that are embedded at most: a passage of short rows has many
SHOWN = 3  # sentences at most
APART = 0.8  # more than cosines of a question with two sentences differ, but for a rare exception
_ONE_CJK = re.compile(rf"[{CJK}]$")
_REFERS_BACK = re.compile(
    r"(?:He|She|It|They|This|These|That|Those|His|Her|Its|Their|The (?:latter|former))\b"
    r"|[他她它这這该該此其]"
)


class Features(NamedTuple):
    """What is seen of a sentence beside a question.

    `cosine` of the two, times the squared share that the embedder knows of the question. `words`:
    share of the question's terms in the sentence, weighted by how rare they are in the base
    (square root) and among these sentences. `exact`: share of its exact word forms. `passage`: the
    hit's score. `before`: share of the terms that only the sentence before has; `referring` the
    same where the sentence begins with a pronoun. `time` to `reason`: it has what this kind of
    question asks for. `unit`: it has what "how many" counts.
    """

    cosine: float
    words: float
    exact: float
    passage: float
    before: float
    referring: float
    time: float
    number: float
    person: float
    reason: float
    unit: float


WEIGHTS = Features(
    cosine=2.1,
    words=5.3,
    exact=0.9,
    passage=4.8,
    before=1.25,
    referring=1.3,
    time=2.1,
    number=1.5,
    person=1.7,
    reason=0.75,
    unit=0.9,
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence of a hit: `start` and `end` in the hit's text.

    `score` as an answer has no bounds; `share` is its chance among the candidates, 0..1. `under`
    are the headings above it, a line each.
    """

    hit: Hit
    start: int
    end: int
    score: float
    share: float = 0.0
    under: str = ""

    @property
    def text(self) -> str:
        """The sentence as it stands in the document."""
        return self.hit.text[self.start : self.end]


class Sentence(NamedTuple):
    """A span of a hit; `before` is the sentence before, `head` that of its table, `asked` the
    question of the document that stands above it, `under` the headings; `heads`: it is one."""

    hit: Hit
    start: int
    end: int
    before: str
    head: str
    asked: str = ""
    under: str = ""
    heads: bool = False

    @property
    def text(self) -> str:
        """The sentence."""
        return self.hit.text[self.start : self.end]

    @property
    def terms(self) -> frozenset[str]:
        """What it says; a row says the names of its columns too, an answer its question."""
        return _terms(self.text) | _terms(self.head) | _terms(self.asked)


def rank(
    question: str, hits: Sequence[Hit], index: Index, embedder: Embedder, *, before: str = ""
) -> list[Candidate]:
    """Sentences of the first `PASSAGES` hits, the likeliest answer first.

    `before` is what was asked earlier and the question leans on; its words count for less.
    """
    terms = asked_about(question) if before else analyse_query(question)
    found, rows = seen(question, hits, index, embedder, terms=terms)
    if not found:
        return []
    scores = _scores(question, found, rows)
    if before:
        weights = index.term_weights(stems(analyse_query(before)))
        scores += BEFORE * np.array(_said(weights, found))
    shares = np.exp(scores - scores.max())
    shares /= shares.sum()
    candidates = [
        Candidate(s.hit, s.start, s.end, float(score), float(share), s.under)
        for s, score, share in zip(found, scores, shares, strict=True)
    ]
    return sorted(candidates, key=lambda candidate: -candidate.score)


def seen(
    question: str, hits: Sequence[Hit], index: Index, embedder: Embedder, *, terms: Sequence[str]
) -> tuple[list[Sentence], list[Features]]:
    """The sentences of the first `PASSAGES` hits, and what is seen of each beside a question of
    these terms."""
    found = [sentence for hit in hits[:PASSAGES] for sentence in sentences_of(hit)]
    if not found:
        return [], []
    rows = features(question, found, index.term_weights(terms))
    cosines = _cosines(question, found, rows, embedder)
    return found, [row._replace(cosine=c) for row, c in zip(rows, cosines, strict=True)]


def sentences_of(hit: Hit) -> Iterator[Sentence]:
    """The sentences and table rows of a passage, each with what stands before it."""
    chunk = hit.chunk
    before, asked, headed = "", Asked(chunk), Headed(chunk)
    spans = rows_without_bars(chunk) or sentences(chunk.text, omitted=chunk.omitted)
    for start, end in spans:
        head = head_of(chunk, start)
        yield Sentence(
            hit,
            start,
            end,
            before,
            head,
            asked.above(start),
            headed.above(start),
            headed.is_one(start),
        )
        before = chunk.text[start:end]


def features(
    question: str, found: Sequence[Sentence], weights: Mapping[str, float]
) -> list[Features]:
    """What is seen of each sentence but for its cosine, which is left 0.

    `weights` are those of the question's terms, see `Index.term_weights`.
    """
    meant = {term: weights[term] for term in stems(weights)}
    exact = {term: weight for term, weight in weights.items() if term.startswith(EXACT)}
    terms = [sentence.terms for sentence in found]
    rare = _rare_here(meant, [own | _terms(s.under) for own, s in zip(terms, found, strict=True)])
    kind = kind_of(question)
    rows = []
    for sentence, own in zip(found, terms, strict=True):
        held = own | _terms(sentence.under)
        missing = {term: weight for term, weight in meant.items() if term not in held}
        before = _share({t: meant[t] for t in missing if t in _terms(sentence.before)}, meant)
        row = Features(
            cosine=0.0,
            words=_share(
                {t: rare[t] * (1.0 if t in own else UNDER) for t in rare if t in held}, rare
            ),
            exact=_share({t: exact[t] for t in exact if t in held}, exact),
            passage=sentence.hit.score,
            before=before,
            referring=before if _REFERS_BACK.match(sentence.text) else 0.0,
            time=0.0,
            number=0.0,
            person=0.0,
            reason=0.0,
            unit=float(kind == "number" and counts_the_same(question, sentence.text)),
        )
        if kind:
            row = row._replace(**{kind: holds(kind, question, sentence.text)})
        rows.append(row)
    return rows


def _cosines(
    question: str, found: Sequence[Sentence], rows: Sequence[Features], embedder: Embedder
) -> list[float]:
    """Cosine of each sentence times the squared known share; 0 for those not worth embedding."""
    known = embedder.known_share(question)
    if known < UNDERSTOOD:
        return [0.0] * len(found)
    scores = _scores(question, found, rows)
    likely = np.argsort(-scores, kind="stable")[:EMBEDDED]
    third = scores[likely[:SHOWN][-1]]  # what a cosine lifts above it may be shown
    likely = likely[scores[likely] >= third - WEIGHTS.cosine * known**2 * APART]
    vectors = embedder.embed([found[i].text for i in likely.tolist()])
    cosines = np.zeros(len(found))
    cosines[likely] = known**2 * (vectors @ embedder.embed_query(question))
    return [float(cosine) for cosine in cosines]


def _rare_here(meant: Mapping[str, float], terms: Sequence[frozenset[str]]) -> dict[str, float]:
    """Weights that also say how few of these sentences hold a term; 0 for one that none holds."""
    rare = {}
    for term, weight in meant.items():
        held = sum(term in sentence for sentence in terms)
        here = math.log(1 + (len(terms) - held + 0.5) / (held + 0.5)) if held else 0.0
        rare[term] = math.sqrt(weight) * here * (CHARACTER if _ONE_CJK.match(term) else 1.0)
    return rare


def _scores(
    question: str, found: Sequence[Sentence], rows: Sequence[Features]
) -> NDArray[np.float64]:
    """Of each sentence as an answer."""
    scores: NDArray[np.float64] = np.array(rows) @ np.array(WEIGHTS)
    empty = [sentence.heads or bool(ASKS.search(sentence.text)) for sentence in found]
    scores -= NOTHING_NEW * np.array(empty)
    if asks_whether(question):
        return scores
    asked = _terms(question)
    told = [
        not sentence.terms <= asked and told_by_heading(question, sentence.text, sentence.under)
        for sentence in found
    ]
    bought = _terms(without_price(question))
    priced = [
        names_price(question, sentence.text)
        and not (bought and sentence.head and sentence.terms.isdisjoint(bought))
        for sentence in found
    ]
    scores += np.array(
        [
            0.0 if heading else _gain(sentence, asked, is_price)
            for sentence, heading, is_price in zip(found, told, priced, strict=True)
        ]
    )
    return scores


def _said(weights: Mapping[str, float], found: Sequence[Sentence]) -> list[float]:
    """The share of terms of these weights in each sentence, or above it."""
    held = [sentence.terms | _terms(sentence.under) for sentence in found]
    rare = _rare_here(weights, held)
    return [_share({t: rare[t] for t in rare if t in own}, rare) for own in held]


def _gain(sentence: Sentence, asked: frozenset[str], is_price: bool) -> float:
    """What it gains as the field or the price that is asked for, or loses for a value or for words
    that are all the question's own."""
    field = field_of(sentence.text)
    if sentence.terms <= asked or (field is not None and field.says_nothing(asked)):
        return -NOTHING_NEW
    if sentence.head:
        gain = _row_gain(sentence.text, asked)
    else:
        gain = FIELD if field is not None and field.is_asked_for(asked) else 0.0
    return max(gain, 0.0) + PRICE if is_price else gain


def _row_gain(row: str, asked: frozenset[str]) -> float:
    """What a row gains if its first cell is named, or loses if none is."""
    cells = cells_of(row)
    key = _terms(cells[0]) if cells else frozenset()
    if key and key <= asked:
        return ROW
    return -ROW if _terms(row).isdisjoint(asked) else 0.0


def _share(part: Mapping[str, float], whole: Mapping[str, float]) -> float:
    total = sum(whole.values())
    return sum(part.values()) / total if total else 0.0


@lru_cache(maxsize=1024)
def _terms(text: str) -> frozenset[str]:
    return frozenset(analyse(text))
