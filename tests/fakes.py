"""Stand-ins for what costs time and adds nothing to a test: functions and small classes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import numpy as np

from retrieval.embedding import Vectors

_TOKEN = re.compile(r"[^\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]{1,6}|\S")


class HashEmbedder:
    """An `Embedder` without a model: a text is the sum of random directions, one for each token.

    Texts that share words are near each other. `embedded` counts the texts embedded so far.
    """

    def __init__(self, dim: int = 32, *, max_tokens: int = 256, known_share: float = 1.0) -> None:
        self.name = f"hash:{dim}"
        self.dimension = dim
        self.max_tokens = max_tokens
        self.embedded = 0
        self._known_share = known_share

    def embed(self, texts: Sequence[str]) -> Vectors:
        self.embedded += len(texts)
        rows = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in enumerate(texts):
            rows[row] = self._vector(text)
        return rows

    def embed_query(self, text: str) -> Vectors:
        return self._vector(text)

    def token_starts(self, text: str) -> list[int]:
        return [match.start() for match in _TOKEN.finditer(text)]

    def known_share(self, text: str) -> float:
        return self._known_share if text.strip() else 1.0

    def close(self) -> None:
        """Nothing to release."""

    def _vector(self, text: str) -> Vectors:
        vector = np.zeros(self.dimension, np.float32)
        for token in _TOKEN.findall(text.lower())[: self.max_tokens]:
            vector += _direction(token, self.dimension)
        length = float(np.linalg.norm(vector))
        if length < 1e-6:
            return _direction(text, self.dimension)
        scaled: Vectors = vector / np.float32(length)
        return scaled


def _direction(token: str, dimension: int) -> Vectors:
    """A direction that depends on the token only, of length 1."""
    digest = hashlib.shake_128(token.encode("utf-8", "surrogatepass")).digest(2 * dimension)
    numbers = np.frombuffer(digest, np.uint16).astype(np.float32) - np.float32(32767.5)
    direction: Vectors = numbers / np.linalg.norm(numbers)
    return direction
