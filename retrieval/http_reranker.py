"""A reranker behind HTTP, in either of the two forms in use.

Cohere, Jina, vLLM: {model, query, documents, top_n} -> {results: [{index, relevance_score}]}
text-embeddings-inference: {query, texts, truncate} -> [{index, score}]

Most servers give a probability. One that gives logits is known by figures beyond 0..1, and they
become probabilities here, so that a threshold holds whoever judges.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import httpx2

from ingest.errors import Unreachable
from retrieval.openai_errors import NO_KEY, Endpoint, check, status_error, timed_out, without_key


class HttpReranker:
    """`Reranker` behind `url`, the whole address of its rerank call. Errors as for embeddings.

    `model` None: the server is a text-embeddings-inference, which has one model.
    """

    def __init__(
        self, model: str | None, *, url: str, api_key: str = "", timeout: float = 60.0
    ) -> None:
        self.name = "tei" if model is None else f"http:{model}"
        self._model = model
        self._endpoint = Endpoint(
            name=self.name,
            base_url=url,
            api_key=api_key.strip() or NO_KEY,
            key_variable="KBQA_RERANKER_API_KEY",
            timeout=timeout,
        )
        check(self._endpoint)
        headers = {"Authorization": f"Bearer {api_key.strip()}"} if api_key.strip() else {}
        self._client = httpx2.Client(headers=headers, timeout=timeout)

    def scores(self, question: str, passages: Sequence[str]) -> list[float]:
        """As `Reranker.scores`. Raises what `retrieval.openai_errors` lists."""
        if not passages:
            return []
        question, *documents = (
            text.encode("utf-8", "replace").decode() for text in (question, *passages)
        )
        body: dict[str, Any] = {"query": question, "texts": documents, "truncate": True}
        if self._model is not None:
            body = {
                "model": self._model,
                "query": question,
                "documents": documents,
                "top_n": len(documents),
            }
        endpoint = self._endpoint
        try:
            reply = self._client.post(endpoint.base_url, json=body)
        except httpx2.TimeoutException as exc:
            raise timed_out(endpoint) from exc
        except httpx2.HTTPError as exc:
            reason = without_key(str(exc), endpoint)
            raise Unreachable(
                f"nothing answers for {endpoint.label} ({reason}): check the URL and the network"
            ) from exc
        if not reply.is_success:
            raise status_error(reply.status_code, _words(reply), endpoint)
        return _read(reply, len(documents), endpoint)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def _read(reply: httpx2.Response, count: int, endpoint: Endpoint) -> list[float]:
    try:
        found: Any = reply.json()
        rows = found["results"] if isinstance(found, dict) else found
        scores = {
            int(row["index"]): float(row.get("relevance_score", row.get("score"))) for row in rows
        }
        ordered = [scores[index] for index in range(count)]
        if not all(map(math.isfinite, ordered)):
            raise ValueError("a score is no number")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as exc:
        raise Unreachable(
            f"{endpoint.label} does not reply as a rerank endpoint does: check the URL, it often "
            "ends in /rerank"
        ) from exc
    return _probabilities(ordered)


def _probabilities(scores: Sequence[float]) -> list[float]:
    if all(0.0 <= score <= 1.0 for score in scores):
        return list(scores)
    return [1.0 / (1.0 + math.exp(-max(-50.0, min(50.0, score)))) for score in scores]


def _words(reply: httpx2.Response) -> str:
    """What a server says of its failure, but for a gateway's HTML page."""
    try:
        body: Any = reply.json()
    except (ValueError, RecursionError):
        return "" if reply.text.lstrip().startswith("<") else reply.text
    while isinstance(body, dict):
        said = next((body[k] for k in ("message", "detail", "error") if body.get(k)), None)
        if said is None:
            break
        body = said
    return str(body)
