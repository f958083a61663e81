from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from ingest.errors import BadRequest, NotConfigured
from retrieval.embedding import Embedder, LazyEmbedder, open_embedder
from retrieval.openvino_embedder import (
    BATCH_ROWS,
    BATCH_TOKENS,
    BREATH,
    CORES,
    OpenVinoEmbedder,
    _batches,
)
from tests.contracts.embedder_contract import EmbedderContract, assert_same
from tests.fakes import HashEmbedder
from tests.retrieval.reference import sentence_transformer, texts

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def embedder(cache_dir: Path) -> Iterator[OpenVinoEmbedder]:
    """One of our own, that remembers nothing."""
    with closing(OpenVinoEmbedder(cache_dir)) as opened:
        yield opened


class TestOpenVinoEmbedder(EmbedderContract):
    @pytest.fixture
    def subject(self, embedder: OpenVinoEmbedder) -> OpenVinoEmbedder:
        return embedder


class TestLazyEmbedder(EmbedderContract):
    @pytest.fixture
    def subject(self, embedder: OpenVinoEmbedder) -> LazyEmbedder:
        return LazyEmbedder(embedder.name, lambda: embedder)


@pytest.mark.torch
def test_vectors_are_those_of_the_reference(embedder: OpenVinoEmbedder) -> None:
    expected = sentence_transformer().encode(texts(), normalize_embeddings=True)
    cosines = np.sum(embedder.embed(texts()) * expected, axis=1)
    assert len(cosines) == 60
    assert cosines.min() >= 0.999


def test_a_query_is_embedded_as_a_passage(embedder: OpenVinoEmbedder) -> None:
    for text in texts()[::9]:
        np.testing.assert_array_equal(embedder.embed_query(text), embedder.embed([text])[0])


def test_padding_does_not_matter(embedder: OpenVinoEmbedder) -> None:
    short = "年假为十五天。"
    for neighbour in ("x", "word " * 20, "word " * 300):
        assert_same(embedder.embed([neighbour, short])[1], embedder.embed([short])[0])


def test_what_exceeds_the_window_is_cut_off(embedder: OpenVinoEmbedder) -> None:
    one, other, short = embedder.embed(
        ["word " * 300, "word " * 300 + "but another end", "word " * 200 + "but another end"]
    )
    np.testing.assert_array_equal(one, other)
    assert float(one @ short) < 0.999


def test_known_share_falls_with_characters_the_model_does_not_have(
    embedder: OpenVinoEmbedder,
) -> None:
    assert embedder.known_share("how many days") == 1.0
    assert embedder.known_share("how many 😀") == pytest.approx(2 / 3)
    assert embedder.known_share("请假需要提前几天") < 0.8


def test_a_question_overtakes_passages_that_are_being_embedded(cache_dir: Path) -> None:
    with closing(OpenVinoEmbedder(cache_dir)) as embedder:
        alone = embedder.embed_query("How long is it open?")
        passages = [f"{n} {'the gate is open ' * 60}" for n in range(48)]
        thread = threading.Thread(target=embedder.embed, args=(passages,))
        thread.start()
        while not embedder._at_work:
            thread.join(0.001)
        beside = embedder.embed_query("How long is it open?")
        assert thread.is_alive()
        thread.join()
        assert embedder._for_questions is not None
        embedder._worked = float("inf")  # more passages are about to come
        assert embedder._free_runtime() is embedder._for_questions
        embedder._worked = 0.0
        assert embedder._free_runtime() is embedder._for_passages
    np.testing.assert_allclose(beside, alone, atol=0.01)


@pytest.mark.skipif(CORES == 1, reason="there is one core")
def test_passages_leave_a_core_free_while_questions_are_asked(cache_dir: Path) -> None:
    with closing(OpenVinoEmbedder(cache_dir)) as embedder:
        alone = embedder.embed(["The gate is open.", "It is shut."])
        assert embedder._runtime_of_passages() is embedder._for_passages
        embedder.embed_query("Is it open?")  # between two answers, say, with nothing beside
        assert embedder._runtime_of_passages() is embedder._for_passages
        embedder._at_work += 1
        embedder.embed_query("Is it open?")
        embedder._at_work -= 1
        assert embedder._runtime_of_passages() not in (
            embedder._for_passages,
            embedder._for_questions,
        )
        np.testing.assert_allclose(
            embedder.embed(["The gate is open.", "It is shut."]), alone, atol=0.01
        )
        embedder._disturbed -= BREATH
        assert embedder._runtime_of_passages() is embedder._for_passages


def test_batches_hold_every_row_once_and_stay_small() -> None:
    lengths = [(n * 37) % 256 + 2 for n in range(500)]
    batches = list(_batches(lengths))
    assert sorted(row for batch in batches for row in batch) == list(range(500))
    assert all(len(batch) <= BATCH_ROWS for batch in batches)
    assert all(len(b) * max(lengths[row] for row in b) <= BATCH_TOKENS for b in batches)
    waste = sum(len(b) * max(lengths[row] for row in b) for b in batches) / sum(lengths)
    assert waste < 1.1


def test_one_row_longer_than_a_batch_is_a_batch() -> None:
    assert list(_batches([BATCH_TOKENS * 2, 3])) == [[1], [0]]


def test_open_embedder_opens_the_default(cache_dir: Path) -> None:
    with closing(open_embedder("minilm", cache_dir=cache_dir)) as embedder:
        assert isinstance(embedder, OpenVinoEmbedder)
        assert embedder.precision in ("bf16", "f32")


@pytest.mark.parametrize("spec", ["", "st:", "openai:", "minilm:x", "word2vec", "ST:x", "minilm "])
def test_open_embedder_refuses_other_specs(spec: str, cache_dir: Path) -> None:
    with pytest.raises(BadRequest, match=f"unknown embedder '{spec}'"):
        open_embedder(spec, cache_dir=cache_dir, base_url="http://127.0.0.1:9/v1")


def test_an_endpoint_needs_its_url(cache_dir: Path) -> None:
    with pytest.raises(NotConfigured, match="embedder_base_url"):
        open_embedder("openai:text-embedding-3-small", cache_dir=cache_dir)


def test_a_lazy_embedder_opens_once_and_only_when_needed() -> None:
    opened: list[HashEmbedder] = []

    def open_() -> Embedder:
        opened.append(HashEmbedder(dim=8))
        return opened[-1]

    lazy = LazyEmbedder("hash:8", open_)
    assert lazy.name == "hash:8"
    lazy.close()
    assert not opened
    assert lazy.dimension == len(lazy.embed_query("x")) == 8
    assert len(opened) == 1
