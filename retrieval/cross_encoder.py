"""A reranker on a `CrossEncoder` of sentence-transformers: a hub name or a folder.

Importing it takes seconds and hundreds of MB, so that only `open_reranker("cross:...")` does.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from ingest.errors import BadRequest, NotConfigured
from retrieval.hub import model_folder


class CrossEncoderReranker:
    """`Reranker` in this process; a model with one output, its logit made a probability."""

    def __init__(self, model: str) -> None:
        self.name = f"cross:{model}"
        self._model = _load(model)
        self._lock = threading.Lock()  # tokenizer and model keep state while they predict
        if self._model.num_labels != 1:
            raise BadRequest(
                f"{model} sorts into {self._model.num_labels} classes: a reranker has one output"
            )

    def scores(self, question: str, passages: Sequence[str]) -> list[float]:
        """As `Reranker.scores`."""
        if not passages:
            return []
        from torch.nn import Sigmoid

        # the tokenizer takes no lone surrogates
        texts = [text.encode("utf-8", "replace").decode() for text in (question, *passages)]
        pairs = [(texts[0], passage) for passage in texts[1:]]
        with self._lock:
            found = self._model.predict(pairs, activation_fn=Sigmoid(), show_progress_bar=False)
        return [float(score) for score in found]

    def close(self) -> None:
        """Release the model."""
        self._model = None


def _load(model: str) -> Any:
    try:
        from sentence_transformers import CrossEncoder
    except ImportError as exc:
        raise NotConfigured(
            f"reranker 'cross:{model}' needs sentence-transformers: "
            "pip install sentence-transformers"
        ) from exc
    folder = model_folder(model, what=f"reranker 'cross:{model}'")
    try:
        return CrossEncoder(folder)
    except Exception as exc:  # the seam to every library that a model may need
        reason = " ".join(str(exc).split())[:200] or type(exc).__name__
        raise BadRequest(f"cannot open the reranker 'cross:{model}': {reason}") from exc
