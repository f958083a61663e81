"""Passages that say the same, shown once: five versions of one manual.

Only what the better passage says as well is left out, as far as it was asked: a version that
differs in the number that was asked for stays, one that differs in its date elsewhere is named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from retrieval.hits import Hit
from retrieval.terms import analyse, stems

MIN_CHARACTERS = 40  # "Yes." stands in many documents and makes none of them a copy
NEAR = 0.8  # of the characters, in sentences that both passages have
ASIDE = 0.5  # of what the best common sentence has of the question; what differs has less
_SENTENCE_ENDS = (". ", "! ", "? ", "。", "！", "？", "；")


@dataclass
class _Passage:
    hit: Hit
    words: str

    @cached_property
    def sentences(self) -> frozenset[str]:
        text = self.hit.chunk.kept_text.casefold()
        for end in _SENTENCE_ENDS:  # a third of what a regular expression takes
            text = text.replace(end, "\n")
        return frozenset(filter(None, (part.strip(" \t\r.!?") for part in text.split("\n"))))


def fold(hits: Sequence[Hit], weights: Mapping[str, float] | None = None) -> list[Hit]:
    """`hits`, best first, without those whose words a better one of another document holds.

    With the `weights` of the question's terms, so goes a passage that has nearly all sentences of a
    better one, and answers the question by these. `copies` of a hit that stays names their
    documents, in order of score.
    """
    asked = {term: (weights or {})[term] for term in stems(weights or {})}
    kept: list[_Passage] = []
    for hit in hits:
        passage = _Passage(hit, " ".join(hit.chunk.kept_text.casefold().split()))
        better = next((one for one in kept if _says(one, passage, asked)), None)
        if better is None:
            kept.append(passage)
        elif hit.uri not in better.hit.copies:
            better.hit = replace(better.hit, copies=(*better.hit.copies, hit.uri))
    return [passage.hit for passage in kept]


def _says(better: _Passage, passage: _Passage, asked: Mapping[str, float]) -> bool:
    """Whether a passage of another document says what this one says, as far as it was asked."""
    if better.hit.uri == passage.hit.uri or len(passage.words) < MIN_CHARACTERS:
        return False
    if passage.words in better.words:
        return True
    if better.sentences.isdisjoint(passage.sentences):
        return False
    different = better.sentences ^ passage.sentences
    if not different:
        return True
    common = better.sentences & passage.sentences
    least = NEAR * max(_length(better.sentences), _length(passage.sentences))
    if not asked or _length(common) < least:
        return False
    aside = max(_told(one, asked) for one in different)
    return aside < ASIDE * max(_told(one, asked) for one in common)


def _length(sentences: Iterable[str]) -> int:
    return sum(map(len, sentences))


def _told(sentence: str, asked: Mapping[str, float]) -> float:
    """The weight of the question's terms that a sentence has."""
    return sum(asked.get(term, 0.0) for term in {*analyse(sentence)})
