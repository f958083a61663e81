"""An optional second look at the first hits by a model that reads question and passage together.

`cross:NAME_OR_FOLDER`   a cross-encoder through sentence-transformers
`http:MODEL` with a URL  a rerank endpoint as Cohere, Jina and vLLM have it
`tei` with a URL         text-embeddings-inference

Off by default: no such model is bundled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol, runtime_checkable

from ingest.errors import BadRequest, NotConfigured
from retrieval.hits import Hit

RERANKED = 30  # hits that are looked at again


@runtime_checkable
class Reranker(Protocol):
    """Judges passages for a question. Usable from several threads."""

    @property
    def name(self) -> str:
        """The spec it was opened with."""
        ...

    def scores(self, question: str, passages: Sequence[str]) -> list[float]:
        """One figure 0..1 for each passage, in their order; more is better."""
        ...

    def close(self) -> None:
        """Release the model or the connections; may be called twice."""
        ...


def open_reranker(
    spec: str, *, url: str | None = None, api_key: str = "", timeout: float = 60.0
) -> Reranker:
    """The reranker that `spec` names. Raises BadRequest or NotConfigured."""
    kind, _, model = spec.partition(":")
    if kind == "cross" and model:
        from retrieval.cross_encoder import CrossEncoderReranker

        return CrossEncoderReranker(model)
    if (kind == "http" and model) or spec == "tei":
        if not url:
            raise NotConfigured(
                f"reranker '{spec}' needs the URL of its endpoint: set reranker_url"
            )
        from retrieval.http_reranker import HttpReranker

        return HttpReranker(model or None, url=url, api_key=api_key, timeout=timeout)
    raise BadRequest(
        f"there is no reranker '{spec}': use cross:NAME_OR_FOLDER, or http:MODEL or tei with a URL"
    )


def rerank(reranker: Reranker, question: str, hits: Sequence[Hit], k: int) -> list[Hit]:
    """The `k` best of the first `RERANKED` hits in the reranker's order, with its scores.

    Equal scores stay in their order. The hits beyond follow, none scored above the last of these.
    """
    first, rest = hits[:RERANKED], hits[RERANKED:]
    if not first:
        return []
    scores = reranker.scores(question, [hit.chunk.embedded_text for hit in first])
    judged = [
        replace(hit, score=min(1.0, max(0.0, score)))
        for hit, score in zip(first, scores, strict=True)
    ]
    judged.sort(key=lambda hit: -hit.score)
    floor = judged[-1].score
    return [*judged, *(replace(hit, score=min(hit.score, floor)) for hit in rest)][:k]
