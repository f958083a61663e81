"""Bases of any size to measure with: real texts with their words shuffled, vectors near real ones.

Document number N is the same in every run, so that a base that was left half built goes on growing
where it was.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import numpy as np

from ingest.documents import Chunk, Document, Prepared
from qa import KnowledgeBase
from retrieval.embedding import Embedder, Vectors

CHUNKS_PER_DOCUMENT = 20
BATCH = 50  # documents
TEXTS = 120  # passages that the synthetic ones are made of
SPREAD = 0.6  # length of the noise added to a real vector: its cosine to it is about .86


def questions(folder: Path) -> list[str]:
    """Those of `questions.jsonl` in a folder of sample documents."""
    lines = (folder / "questions.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line)["question"] for line in lines]


def grow(base: KnowledgeBase, texts: Sequence[str], chunks: int) -> None:
    """Write through the index until `base` has so many chunks, and index them."""
    documents = -(-chunks // CHUNKS_PER_DOCUMENT)
    there = base._index.count()[0]
    with scattered(base, texts, seed=there):
        numbers = range(there, documents)
        for first in numbers[::BATCH]:
            last = min(first + BATCH, documents)
            base._index.replace([document(texts, number) for number in range(first, last)])
        base._index.optimize()


def document(texts: Sequence[str], number: int, *, version: int = 0) -> Prepared:
    """Document `number` of a synthetic base: 20 chunks of `texts`, each with its words shuffled."""
    chooser = random.Random(f"{number}/{version}")
    pieces = [_shuffled(chooser.choice(texts), chooser) for _ in range(CHUNKS_PER_DOCUMENT)]
    whole = Document.from_text("\n\n".join(pieces), uri=f"document-{number}.txt")
    return Prepared(whole, list(_chunks(whole, pieces)))


@contextmanager
def scattered(base: KnowledgeBase, texts: Sequence[str], *, seed: int = 7) -> Iterator[Scattered]:
    """Lets the base take synthetic vectors for what is written."""
    real = base._index._embedder
    embedder = base._index._embedder = Scattered(real, texts, seed=seed)
    try:
        yield embedder
    finally:
        base._index._embedder = real


def _chunks(whole: Document, pieces: Sequence[str]) -> Iterator[Chunk]:
    start = 0
    for position, piece in enumerate(pieces):
        end = start + len(piece)
        yield Chunk(whole.id, whole.uri, "", start, end, piece, position=position)
        start = end + 2


def _shuffled(text: str, chooser: random.Random) -> str:
    words = text.split()
    chooser.shuffle(words)
    return " ".join(words)


class Scattered:
    """Vectors near real ones: each a real passage's plus noise with the covariance of them all."""

    def __init__(self, embedder: Embedder, texts: Sequence[str], *, seed: int = 7) -> None:
        self.name, self.dimension = embedder.name, embedder.dimension
        self.max_tokens = embedder.max_tokens
        self._real = embedder
        self._vectors = embedder.embed(texts)
        centred = self._vectors - self._vectors.mean(axis=0)
        # rows of `centred` combined at random have its covariance; a little in all directions too
        self._directions = centred / np.sqrt(len(centred))
        self._seed, self._calls = seed, count()

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One vector a text, whatever it says."""
        chance = np.random.default_rng([self._seed, next(self._calls)])
        rows = chance.integers(0, len(self._vectors), len(texts))
        mixed = chance.normal(size=(len(texts), len(self._directions))).astype(np.float32)
        noise = mixed @ self._directions
        noise += 0.01 * chance.normal(size=noise.shape).astype(np.float32)
        noise *= SPREAD / np.linalg.norm(noise, axis=1, keepdims=True)
        near = self._vectors[rows] + noise
        unit: Vectors = (near / np.linalg.norm(near, axis=1, keepdims=True)).astype(np.float32)
        return unit

    def embed_query(self, text: str) -> Vectors:
        """As the real one."""
        return self._real.embed_query(text)

    def token_starts(self, text: str) -> list[int]:
        """As the real one."""
        return self._real.token_starts(text)

    def known_share(self, text: str) -> float:
        """As the real one."""
        return self._real.known_share(text)

    def close(self) -> None:
        """Nothing of its own."""
