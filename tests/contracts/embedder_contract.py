"""What every `Embedder` does. Inherit it and write the fixture `subject`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from retrieval.embedding import Embedder, Vectors

TEXTS = (
    "The router restarts when both buttons are held for ten seconds.",
    "年假为十五天，需提前两周申请。",
    "def parse_url(text: str) -> Url: ...",
    "x",
    "Mixed 中文 and English, ﬁgures ½ and 😀 — in one line.",
    "long " * 700,
)
ODD = ("", " \n\t ", "\x00\x01", "\u200b", "😀" * 50, "a" * 10_000, "é" * 3000, "塔" * 10_000)


class EmbedderContract:
    @pytest.fixture
    def subject(self) -> Embedder:
        raise NotImplementedError("a subclass opens its embedder here")

    def test_satisfies_the_protocol(self, subject: Embedder) -> None:
        assert isinstance(subject, Embedder)
        assert subject.name
        assert subject.dimension > 0
        assert subject.max_tokens >= 8

    def test_rows_are_float32_of_length_1(self, subject: Embedder) -> None:
        vectors = subject.embed(TEXTS)
        assert vectors.shape == (len(TEXTS), subject.dimension)
        assert vectors.dtype == np.float32
        assert_unit(vectors)

    def test_a_query_is_one_vector_of_length_1(self, subject: Embedder) -> None:
        vector = subject.embed_query("Where is the tower? 塔在哪里？")
        assert vector.shape == (subject.dimension,)
        assert vector.dtype == np.float32
        assert_unit(vector[None])

    def test_no_texts_give_no_rows(self, subject: Embedder) -> None:
        assert subject.embed([]).shape == (0, subject.dimension)

    @pytest.mark.parametrize("text", ODD, ids=lambda text: ascii(text[:4]))
    def test_odd_texts_have_a_vector(self, subject: Embedder, text: str) -> None:
        assert_unit(subject.embed([text]))
        assert_unit(subject.embed_query(text)[None])

    def test_a_row_depends_on_its_text_alone(self, subject: Embedder) -> None:
        texts = [f"{TEXTS[n % 6][: 40 + n]} {n}" for n in range(150)]
        together = subject.embed(texts)
        for row in range(0, len(texts), 37):
            assert_same(subject.embed([texts[row]])[0], together[row])

    def test_other_texts_have_other_vectors(self, subject: Embedder) -> None:
        vectors = subject.embed(["red apples", "a treaty on customs", "red apples"])
        assert float(vectors[0] @ vectors[1]) < 0.98
        assert_same(vectors[0], vectors[2])

    def test_threads_do_not_disturb_each_other(self, subject: Embedder) -> None:
        texts = [f"{text[:200]} {number}" for number in range(4) for text in TEXTS]
        alone = subject.embed(texts)
        with ThreadPoolExecutor(4) as threads:
            rows = list(threads.map(lambda text: subject.embed([text])[0], texts))
            starts = list(threads.map(subject.token_starts, texts))
        for row, expected in zip(rows, alone, strict=True):
            assert_same(row, expected)
        assert starts == [subject.token_starts(text) for text in texts]

    @pytest.mark.parametrize("text", [*TEXTS, *ODD], ids=lambda text: ascii(text[:4]))
    def test_token_starts_ascend_within_the_text(self, subject: Embedder, text: str) -> None:
        starts = subject.token_starts(text)
        assert starts == sorted(starts)
        assert all(0 <= start < len(text) for start in starts)

    def test_token_starts_measure_the_text(self, subject: Embedder) -> None:
        assert subject.token_starts("") == []
        assert subject.token_starts("  one two  ")[0] == 2
        short, long = (len(subject.token_starts("one two " * n)) for n in (10, 1000))
        assert short >= 20
        assert long == 100 * short
        assert len(subject.token_starts("塔在巴黎" * 100)) >= 100

    def test_known_share_is_a_share(self, subject: Embedder) -> None:
        assert all(0.0 <= subject.known_share(text) <= 1.0 for text in [*TEXTS, *ODD])
        assert subject.known_share("") == 1.0
        assert subject.known_share("the red house") == 1.0


def assert_unit(vectors: Vectors) -> None:
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def assert_same(one: Vectors, other: Vectors) -> None:
    """Equal but for the rounding of bf16, which varies with the shape of the batch."""
    assert float(one @ other) > 0.999
