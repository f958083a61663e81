"""How the two legs become one list, and what a score means.

score = w * cosine + (1 - w) * coverage

`coverage` is the BM25 score over the sum of the question's term weights (idf): about 1 when the
passage holds every term once, .5 when it holds half of their weight. Both parts are absolute, so
that a score means the same for every question and a threshold can be set once. A prototype on six
sets ranked as well so as with each list scaled to its own minimum and maximum (mean nDCG@10 .820
against .818); `bench.retrieval` shows reciprocal ranks beside it.

`w` falls with the share of the question's tokens that the embedder does not know: an English model
is blind to most Chinese characters, and its cosines there are noise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from retrieval.hits import Leg
from retrieval.store import Scored

DENSE_WEIGHT = 0.55  # .5 to .6 within .001 of each other in the prototype
KNOWN_POWER = 4  # in the prototype 2 .818, 3 .820, 4 .820, 6 .820
UNSEEN = 0.5  # brings the scores of Chinese questions to the scale of English ones
UNSEEN_NUMBER = 1.5
CANDIDATES = 100  # of each leg


class Fused(NamedTuple):
    """A candidate after fusion. `score` is not yet cut at 1."""

    id: int
    score: float
    legs: dict[str, Leg]


def dense_weight(known_share: float) -> float:
    """Weight of the dense leg for a question of which the embedder knows `known_share`, 0..1."""
    return float(DENSE_WEIGHT * known_share**KNOWN_POWER)


def idf(term: str, documents: int, frequency: int) -> float:
    """Weight of a term that `frequency` of `documents` passages hold, as BM25 has it.

    A term that none holds counts `UNSEEN` of that: it may be the question's only real word, or a
    pair of Chinese characters that is no word. With a digit in it, it is a number or a part number
    that the question is about and the documents do not know: `UNSEEN_NUMBER`.
    """
    frequency = min(frequency, documents)
    weight = math.log(1 + (documents - frequency + 0.5) / (frequency + 0.5))
    if frequency:
        return weight
    return weight * (UNSEEN_NUMBER if any(map(str.isdigit, term)) else UNSEEN)


def fuse(
    dense: Sequence[Scored],
    lexical: Sequence[Scored],
    *,
    weight: float,
    total_idf: float,
    keep: int | None = None,
) -> list[Fused]:
    """The best `keep` (default: all) of both legs' candidates; equal scores in order of id.

    `weight` is that of the dense leg; `total_idf` sums the weights of the question's terms. A leg
    that did not find a candidate counts 0 for it. Without terms the dense leg stands alone.
    """
    if total_idf <= 0:
        weight = 1.0
    factors = {"dense": weight, "lexical": (1 - weight) / total_idf if total_idf > 0 else 0.0}
    found = {"dense": dense, "lexical": lexical}
    scores: dict[int, float] = {}
    for name, leg in found.items():
        factor = factors[name]
        for id_, score in leg:
            if score > 0:
                scores[id_] = scores.get(id_, 0.0) + factor * score
            else:
                scores.setdefault(id_, 0.0)
    order = sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:keep]
    legs: dict[int, dict[str, Leg]] = {id_: {} for id_, _ in order}
    for name, leg in found.items():
        for rank, (id_, score) in enumerate(leg, 1):
            if id_ in legs:
                legs[id_][name] = Leg(rank, score)
    return [Fused(id_, score, legs[id_]) for id_, score in order]
