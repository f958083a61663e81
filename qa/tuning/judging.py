"""Is a tuned embedder better? nDCG@10 on questions and documents that the training has not seen.

Both embedders search the same passages, each in an index of its own, with the fusion that users
get. Questions that nobody has asked are half of the words of a sentence, drawn several times: of
the whole one the words alone would find it.
"""

from __future__ import annotations

import math
import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ingest.documents import Chunk, Document, Prepared
from ingest.scratch import scratch_folder
from qa.evaluation.statistics import Difference, paired_difference
from qa.tuning.pairs import Pair
from retrieval.edge_store import EdgeStore
from retrieval.embedding import Embedder
from retrieval.hits import Hit
from retrieval.index import Index
from retrieval.terms import CJK

CUT = 10  # hits that count
DEPTH = 100  # hits asked for, so that the dense leg has its first ten among them
MOST_QUESTIONS = 300  # before words are drawn
OF_A_PASSAGE = 3  # questions
ASKED = 900  # questions: of few sentences more are drawn, else chance decides
DRAWS, MOST_DRAWS = 3, 10  # of a sentence
REMEMBERED = 0.5  # share of its words in each
MOST_PASSAGES = 1500
ENOUGH = 0.005  # nDCG@10
BATCH = 64
# kinds that judge, the most telling first; what a header says is found by its words alone
_WORTH = ("labelled", "feedback", "generated", "question", "comment", "sentence")
_DRAWN = ("comment", "sentence")  # kinds of which a few words ask
_PARTS = re.compile(rf"[{CJK}]{{1,3}}|[^\s{CJK}]+")


@dataclass(frozen=True, slots=True)
class Judgement:
    """nDCG@10 of the embedder before and after, by the vectors alone and as users search."""

    questions: int
    passages: int
    dense: Difference
    hybrid: Difference

    @property
    def is_better(self) -> bool:
        """Whether the hybrid search has not fallen, and it or the vectors alone have risen: by
        `ENOUGH`, or by more than chance.

        Questions made of a passage's own words are found by words, which leaves the hybrid search
        little to gain on them; where people asked, it gained what the vectors promised.
        """
        has_fallen = _risen(-self.hybrid.difference, self.hybrid)
        return not has_fallen and any(
            _risen(leg.difference, leg) for leg in (self.hybrid, self.dense)
        )


def _risen(gain: float, found: Difference) -> bool:
    return gain >= ENOUGH or (gain > 0 and found.significant)


def judge(
    chunks: Sequence[Chunk],
    held_out: Iterable[Pair],
    before: Embedder,
    after: Embedder,
    *,
    seed: int = 0,
    on_progress: Callable[[float], None] | None = None,
) -> Judgement:
    """Ask both embedders the held-out questions, of their passages among others of `chunks`."""
    asked = asked_of(held_out, seed=seed)
    corpus = [_alone(chunk) for chunk in passages_of(chunks, asked, seed)]
    scores: list[Mapping[str, Mapping[str, float]]] = []
    for number, embedder in enumerate((before, after)):

        def done(share: float, number: int = number) -> None:
            if on_progress is not None:
                on_progress((number + share) / 2)

        scores.append(_scores(corpus, asked, embedder, done))
    found = {leg: paired_difference(leg, scores[0][leg], scores[1][leg]) for leg in scores[0]}
    dense, hybrid = found["dense"], found["hybrid"]
    assert dense is not None
    assert hybrid is not None
    return Judgement(len(asked), len(corpus), dense, hybrid)


def asked_of(held_out: Iterable[Pair], *, seed: int = 0) -> list[Pair]:
    """The questions, each with its passage: as they are, or some of their words, several times."""
    chance = random.Random(seed)
    pairs = chosen(held_out, seed=seed)
    draws = min(MOST_DRAWS, max(DRAWS, ASKED // max(1, len(pairs))))
    return [
        replace(pair, query=query)
        for pair in pairs
        for query in dict.fromkeys(_queries(pair, chance, draws))
    ]


def chosen(held_out: Iterable[Pair], *, seed: int = 0) -> list[Pair]:
    """At most `MOST_QUESTIONS` pairs, real questions first; of a passage `OF_A_PASSAGE`."""
    pairs = [pair for pair in held_out if pair.kind in _WORTH]
    random.Random(seed).shuffle(pairs)
    pairs.sort(key=lambda pair: _WORTH.index(pair.kind))
    counts: Counter[tuple[str, int]] = Counter()
    kept = []
    for pair in pairs:
        counts[pair.place] += 1
        if counts[pair.place] <= OF_A_PASSAGE:
            kept.append(pair)
    return kept[:MOST_QUESTIONS]


def _queries(pair: Pair, chance: random.Random, draws: int) -> list[str]:
    if pair.kind not in _DRAWN:
        return [pair.query]
    return [remembered(pair.query, chance) for _ in range(draws)]


def remembered(text: str, chance: random.Random) -> str:
    """Some of the words of a text, of Chinese some of its runs of three characters: what somebody
    who looks for it again may remember. Never none."""
    parts = _PARTS.findall(text)
    kept = [part for part in parts if chance.random() < REMEMBERED]
    return " ".join(kept or parts[:1]) or text


def passages_of(chunks: Sequence[Chunk], asked: Sequence[Pair], seed: int) -> list[Chunk]:
    """The passages of the questions, and others drawn at random."""
    places = {pair.place for pair in asked}
    theirs = [chunk for chunk in chunks if (chunk.uri, chunk.position) in places]
    others = [chunk for chunk in chunks if (chunk.uri, chunk.position) not in places]
    room = max(0, MOST_PASSAGES - len(theirs))
    others = random.Random(seed).sample(others, min(room, len(others)))
    return [*theirs, *others]


def _alone(chunk: Chunk) -> Prepared:
    """A passage as a document of its own."""
    text = chunk.kept_text
    document = Document.from_text(text, uri=_name(chunk.uri, chunk.position), title=chunk.title)
    whole = Chunk(
        document.id, document.uri, chunk.title, 0, len(document.text), document.text,
        chunk.heading, context=chunk.context,
    )  # fmt: skip
    return Prepared(document, [whole])


def _name(uri: str, position: int) -> str:
    return f"{uri}#{position}"


def _scores(
    corpus: Sequence[Prepared],
    asked: Sequence[Pair],
    embedder: Embedder,
    done: Callable[[float], None],
) -> Mapping[str, Mapping[str, float]]:
    """nDCG@10 by leg and question."""
    scores: dict[str, dict[str, float]] = {"dense": {}, "hybrid": {}}
    steps = len(corpus) + len(asked)
    with scratch_folder("tune") as folder:
        store = EdgeStore(folder, dimension=embedder.dimension, lock_timeout=0)
        try:
            index = Index(store, embedder)
            for start in range(0, len(corpus), BATCH):
                index.replace(corpus[start : start + BATCH])
                done(start / steps)
            for number, pair in enumerate(asked):
                hits = index.search(pair.query, DEPTH)
                by_rank = sorted(
                    (hit for hit in hits if "dense" in hit.legs),
                    key=lambda hit: hit.legs["dense"].rank,
                )
                wanted = _name(*pair.place)
                scores["dense"][str(number)] = _ndcg(by_rank, wanted)
                scores["hybrid"][str(number)] = _ndcg(hits, wanted)
                if number % BATCH == 0:
                    done((len(corpus) + number) / steps)
        finally:
            store.close()
    return scores


def _ndcg(hits: Sequence[Hit], wanted: str) -> float:
    """nDCG@10 where one passage is right: 1 / log2(1 + its rank)."""
    ranks = (rank for rank, hit in enumerate(hits[:CUT], 1) if hit.uri == wanted)
    return next((1 / math.log2(1 + rank) for rank in ranks), 0.0)
