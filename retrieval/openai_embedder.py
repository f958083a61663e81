"""Vectors from an OpenAI-compatible embeddings endpoint."""

from __future__ import annotations

import re
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.errors import BadRequest
from retrieval.openai_client import open_client
from retrieval.openai_errors import NO_KEY, Endpoint, clear_errors, malformed

# The real tokenizer is the server's secret. Four letters are a token of BERT's or OpenAI's
# vocabularies at most on average, a Chinese character is one: this counts too many, not too few.
_TOKEN = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]"
    r"|[^\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]{1,4}"
    r"|[^\w\s]"
)


class OpenAIEmbedder:
    """An `Embedder` whose model runs behind `base_url`. Usable from several threads.

    `dimension` is the length that vectors must have; None: what the server's first reply has.
    `api_key` may be "" for a server without keys, `key_variable` names it in errors.
    `timeout` is in seconds, `batch_size` the number of texts in a request. `retries` as in
    `open_client`. Errors are those of `retrieval.openai_errors`.
    """

    max_tokens = 512  # what the smallest models in use take; OpenAI's own take 8191

    def __init__(
        self,
        model: str,
        *,
        base_url: str,
        api_key: str,
        dimension: int | None = None,
        timeout: float = 60.0,
        batch_size: int = 64,
        key_variable: str = "",
        retries: int = 2,
    ) -> None:
        self.name = f"openai:{model}"
        self._model = model
        self._dimension = dimension
        self._batch_size = batch_size
        self._endpoint = Endpoint(
            name=self.name,
            base_url=base_url,
            api_key=api_key.strip() or NO_KEY,
            key_variable=key_variable,
            timeout=timeout,
        )
        self._client = open_client(self._endpoint, retries=retries)
        self._finalizer = weakref.finalize(self, self._client.close)

    @property
    def dimension(self) -> int:
        """Length of a vector; asks the server once if neither told nor seen before."""
        if self._dimension is None:
            self._embed_batch(["dimension"])
        assert self._dimension is not None
        return self._dimension

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of `texts`: `(len(texts), dimension)` float32, rows of length 1, in their order.

        What exceeds `max_tokens` is cut off.
        """
        batches = [
            self._embed_batch(texts[start : start + self._batch_size])
            for start in range(0, len(texts), self._batch_size)
        ]
        return np.concatenate(batches) if batches else np.empty((0, self.dimension), np.float32)

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """Vector of a question: `(dimension,)` float32 of length 1."""
        row: NDArray[np.float32] = self._embed_batch([text])[0]
        return row

    def token_starts(self, text: str) -> list[int]:
        """Character offsets of estimated tokens: one for each CJK character, each piece of a word
        of up to four letters, each mark.
        """
        return [match.start() for match in _TOKEN.finditer(text)]

    def known_share(self, text: str) -> float:
        """1: models behind an API are multilingual."""
        return 1.0

    def close(self) -> None:
        """Close the connections; may be called twice."""
        self._finalizer()

    def _embed_batch(self, texts: Sequence[str]) -> NDArray[np.float32]:
        with clear_errors(self._endpoint):
            reply: Any = self._client.embeddings.create(
                model=self._model,
                input=[self._sendable(text) for text in texts],
                encoding_format="float",  # the SDK's default, base64, is not understood everywhere
            )
            vectors = self._vectors(reply, len(texts))
        self._check_dimension(vectors.shape[1])
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        rows: NDArray[np.float32] = vectors / np.maximum(lengths, 1e-12)
        return rows

    def _vectors(self, reply: Any, count: int) -> NDArray[np.float32]:
        """The reply's rows by their index. Raises Unreachable for what is no such reply."""
        try:
            rows = {int(item.index): item.embedding for item in reply.data}
            with np.errstate(over="ignore"):  # what float32 does not hold is refused below
                vectors = np.array([rows[index] for index in range(count)], dtype=np.float32)
        except (AttributeError, TypeError, KeyError, ValueError) as exc:
            raise malformed(self._endpoint) from exc
        if vectors.ndim != 2 or not vectors.shape[1] or not np.isfinite(vectors).all():
            raise malformed(self._endpoint)
        return vectors

    def _check_dimension(self, found: int) -> None:
        if self._dimension is None:
            self._dimension = found
        if found != self._dimension:
            raise BadRequest(
                f"{self._endpoint.label} sent vectors of {found} numbers instead of "
                f"{self._dimension}: is it another model?"
            )

    def _sendable(self, text: str) -> str:
        """`text` as servers take it: not empty, not too long, without lone surrogates."""
        head = text[: self.max_tokens * 16]
        starts = self.token_starts(head)
        if len(starts) > self.max_tokens:
            head = head[: starts[self.max_tokens]]
        return head.encode("utf-8", "replace").decode() if head.strip() else "."
