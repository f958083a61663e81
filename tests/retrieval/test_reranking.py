from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.documents import Chunk, Document, Prepared
from ingest.errors import BadRequest
from retrieval.edge_store import EdgeStore
from retrieval.hits import Hit
from retrieval.index import Index
from retrieval.reranking import RERANKED, open_reranker, rerank
from tests.fakes import HashEmbedder


class FakeReranker:
    """A reranker that is one function."""

    name = "fake"

    def __init__(self, judge: Callable[[str], float]) -> None:
        self._judge = judge

    def scores(self, question: str, passages: Sequence[str]) -> list[float]:
        return [self._judge(passage) for passage in passages]

    def close(self) -> None:
        """Nothing to release."""


def hit(text: str, score: float) -> Hit:
    return Hit(Chunk("d@1", "d", "", 0, len(text), text), score)


@given(lengths=st.lists(st.integers(1, 60), max_size=RERANKED + 10), k=st.integers(1, 50))
def test_the_order_is_the_rerankers_and_scores_fall(lengths: list[int], k: int) -> None:
    hits = [hit("x" * length, 0.9) for length in lengths]
    found = rerank(FakeReranker(lambda text: len(text) / 60), "why", hits, k)
    assert len(found) == min(k, len(hits))
    scores = [item.score for item in found]
    assert scores == sorted(scores, reverse=True)
    looked_at = sorted(lengths[:RERANKED], reverse=True)
    assert [len(item.text) for item in found][:RERANKED] == looked_at[:k]


def test_scores_are_kept_within_0_and_1() -> None:
    found = rerank(
        FakeReranker(lambda text: 9.0 * len(text) - 10), "w", [hit("a", 1), hit("bb", 0)], 2
    )
    assert [(item.text, item.score) for item in found] == [("bb", 1.0), ("a", 0.0)]


@pytest.mark.parametrize("spec", ["", "cross", "cross:", "http:", "other:m", "tei:m"])
def test_a_spec_that_names_none(spec: str) -> None:
    with pytest.raises(BadRequest, match="there is no reranker"):
        open_reranker(spec, url="http://127.0.0.1:1/rerank")


def test_a_search_is_reranked_and_its_evidence_stays(tmp_path: Path) -> None:
    embedder = HashEmbedder()
    store = EdgeStore(tmp_path, dimension=embedder.dimension, lock_timeout=1)
    try:
        plain = Index(store, embedder)
        texts = ["annual leave", "annual leave is long", "annual leave is a very long story"]
        documents = [Document.from_text(text, uri=f"{n}.txt") for n, text in enumerate(texts)]
        plain.replace(
            [Prepared(d, [Chunk(d.id, d.uri, "", 0, len(d.text), d.text)]) for d in documents]
        )
        longest_first = Index(store, embedder, reranker=FakeReranker(lambda text: len(text) / 100))
        found = longest_first.explain("annual leave", 2)
        assert [item.text for item in found.hits] == texts[:0:-1]
        assert found.hits[0].score == pytest.approx(len(texts[2]) / 100)
        assert found.evidence == plain.explain("annual leave", 2).evidence
        assert found.cut == {"beyond k": 1}
        assert [item.chunk.text for item in found.dropped] == texts[:1]
        assert found.reasons(found.hits[0]).rank > found.reasons(found.hits[1]).rank
        assert "rerank" in found.timings
    finally:
        store.close()
