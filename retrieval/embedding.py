"""Texts into vectors: the `Embedder` protocol and `open_embedder`.

One file per runtime stands beside this one; each is imported only when it is asked for.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ingest.errors import BadRequest, KbqaError, NotConfigured

if TYPE_CHECKING:
    from retrieval.adapter import Adapter

DEFAULT_EMBEDDER = "minilm"

Vectors = NDArray[np.float32]


class CosineScale(NamedTuple):
    """What makes the cosines of a tuned model comparable with those of the model it was: the same
    mean and spread among passages, so that legs and thresholds weigh what they did."""

    slope: float = 1.0
    shift: float = 0.0

    def __call__(self, cosine: float) -> float:
        """The cosine as the model it was might have given it."""
        return self.slope * cosine + self.shift


UNSCALED = CosineScale()


def scale_of(embedder: Embedder) -> CosineScale:
    """That of an embedder; of one that was not tuned, none."""
    return getattr(embedder, "cosine_scale", UNSCALED)


@runtime_checkable
class Embedder(Protocol):
    """Turns texts into vectors of length 1. Usable from several threads.

    `name` is the spec that opens it again, `dimension` the length of a vector, `max_tokens` what
    one text may measure before the rest is cut off.
    """

    @property
    def name(self) -> str: ...

    @property
    def dimension(self) -> int: ...

    @property
    def max_tokens(self) -> int: ...

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Vectors of passages: `(len(texts), dimension)` float32, rows of length 1."""
        ...

    def embed_query(self, text: str) -> Vectors:
        """Vector of a question: `(dimension,)` float32 of length 1."""
        ...

    def token_starts(self, text: str) -> list[int]:
        """Character offset of each token of `text`, ascending."""
        ...

    def known_share(self, text: str) -> float:
        """Share 0..1 of the tokens of `text` that the model has in its vocabulary; 1 if unknown."""
        ...

    def close(self) -> None:
        """Release the model."""
        ...


def open_embedder(
    spec: str = DEFAULT_EMBEDDER,
    *,
    cache_dir: Path,
    base_url: str | None = None,
    api_key: str | None = None,
    key_variable: str = "",
    timeout: float = 60.0,
    adapter: Adapter | None = None,
) -> Embedder:
    """The embedder that `spec` names.

    `minilm`            all-MiniLM-L6-v2 as it comes with kbqa, run by OpenVINO
    `st:NAME|FOLDER`    any model through sentence-transformers (a name: from the hub's cache)
    `openai:MODEL`      an OpenAI-compatible embeddings endpoint at `base_url`

    A `+TAG` at its end says that it was tuned to a base: then `adapter` is what that base holds.
    `key_variable` is the environment variable to name when the endpoint refuses the key.
    Raises BadRequest for a spec of another form, NotConfigured when a part is missing.
    """
    if adapter is not None:
        spec = adapter.base
    kind, _, model = spec.partition(":")
    if spec == DEFAULT_EMBEDDER:
        from retrieval.openvino_embedder import OpenVinoEmbedder

        return OpenVinoEmbedder(cache_dir, adapter)
    if kind == "st" and model:
        from retrieval.sentence_transformers_embedder import SentenceTransformersEmbedder

        return SentenceTransformersEmbedder(model, adapter)
    if kind == "openai" and model:
        if not base_url:
            raise NotConfigured(
                f"embedder '{spec}' needs the URL of an endpoint: set embedder_base_url"
            )
        from retrieval.openai_embedder import OpenAIEmbedder

        return OpenAIEmbedder(
            model,
            base_url=base_url,
            api_key=api_key or "",
            key_variable=key_variable,
            timeout=timeout,
        )
    raise BadRequest(
        f"unknown embedder '{spec}': use minilm, st:NAME_OR_FOLDER or openai:MODEL with a base URL"
    )


class LazyEmbedder:
    """An embedder that is opened when it is first needed: listing documents needs no model."""

    def __init__(self, name: str, open_: Callable[[], Embedder]) -> None:
        self.name = name
        self._open = open_
        self._opened: Embedder | None = None
        self._lock = threading.Lock()

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._embedder.dimension

    @property
    def max_tokens(self) -> int:
        """Tokens that one text may measure."""
        return self._embedder.max_tokens

    @property
    def revision(self) -> str:
        """Hash or commit of the weights, "" if the embedder has none; for the fingerprint."""
        return str(getattr(self._embedder, "revision", ""))

    @property
    def prompts(self) -> str:
        """What the model puts before texts; for the fingerprint."""
        return str(getattr(self._embedder, "prompts", ""))

    @property
    def cosine_scale(self) -> CosineScale:
        """Of a tuned model."""
        return scale_of(self._embedder)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """As `Embedder.embed`."""
        return self._embedder.embed(texts)

    def embed_query(self, text: str) -> Vectors:
        """As `Embedder.embed_query`."""
        return self._embedder.embed_query(text)

    def token_starts(self, text: str) -> list[int]:
        """As `Embedder.token_starts`."""
        return self._embedder.token_starts(text)

    def known_share(self, text: str) -> float:
        """As `Embedder.known_share`."""
        return self._embedder.known_share(text)

    def warm(self) -> None:
        """Open the model on a thread, for who is sure to need it soon. What is wrong with it shows
        when it is used."""
        threading.Thread(target=self._try_to_open, name="kbqa-embedder", daemon=True).start()

    def close(self) -> None:
        """Release the model if it was opened."""
        with self._lock:
            if self._opened is not None:
                self._opened.close()

    def _try_to_open(self) -> None:
        with contextlib.suppress(KbqaError, OSError):
            self._embedder  # noqa: B018 - opening is what it is for

    @property
    def _embedder(self) -> Embedder:
        with self._lock:
            if self._opened is None:
                self._opened = self._open()
            return self._opened
