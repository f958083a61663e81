"""The default embedder as the tests of one process share it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from retrieval.embedding import Vectors
from retrieval.openvino_embedder import OpenVinoEmbedder


class LentEmbedder(OpenVinoEmbedder):
    """The real model, which remembers what it has embedded and which borrowers cannot close.

    Most tests embed the same few documents and questions.
    """

    def __init__(self, cache_dir: Path) -> None:
        super().__init__(cache_dir)
        self._known: dict[str, Vectors] = {}

    def embed(self, texts: Sequence[str]) -> Vectors:
        """As `OpenVinoEmbedder.embed`."""
        unknown = list(dict.fromkeys(text for text in texts if text not in self._known))
        self._known.update(zip(unknown, super().embed(unknown), strict=True))
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in enumerate(texts):
            vectors[row] = self._known[text]
        return vectors

    def close(self) -> None:
        """Stays open for the next test."""
