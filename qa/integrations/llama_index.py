"""kbqa inside LlamaIndex: a retriever, and a query engine.

>>> from qa.integrations.llama_index import KbqaQueryEngine, KbqaRetriever
>>> nodes = KbqaRetriever(kb, k=5).retrieve("How many days of leave do I have?")
>>> response = KbqaQueryEngine(kb).query("How many days of leave do I have?")
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from ingest.errors import NotConfigured

try:
    from llama_index.core.base.base_query_engine import BaseQueryEngine
    from llama_index.core.base.base_retriever import BaseRetriever
    from llama_index.core.base.response.schema import Response
    from llama_index.core.callbacks import CallbackManager, CBEventType, EventPayload
    from llama_index.core.schema import (
        NodeRelationship,
        NodeWithScore,
        QueryBundle,
        RelatedNodeInfo,
        TextNode,
    )
except ImportError as exc:
    raise NotConfigured("LlamaIndex is not installed: `pip install llama-index-core`") from exc

from qa.client import RemoteKnowledgeBase
from qa.integrations.metadata import hit_metadata
from qa.knowledge_base import KnowledgeBase
from qa.rendering import citation_json
from qa.turn import Answer
from retrieval.filters import Filters
from retrieval.hits import Hit

_NOT_FOR_MODELS = ["start", "end", "score", "uri"]  # of the metadata; the file's path says more
_KNOWN = {*_NOT_FOR_MODELS, "title", "heading", "page", "file_path", "page_label"}


class KbqaRetriever(BaseRetriever):
    """The best passages of a knowledge base as nodes with scores 0..1, the best first.

    `k` passages at most, of `min_score` at least, within `filters`. A node's metadata holds
    `file_path` and `page_label`, as LlamaIndex's own readers write them, `uri`, `title`,
    `heading`, `page`, `start`, `end`, `score`, and what the source says of itself, which models are
    not shown. The knowledge base, here or behind a server, stays the caller's to close.
    """

    def __init__(
        self,
        kb: KnowledgeBase | RemoteKnowledgeBase,
        *,
        k: int = 5,
        min_score: float = 0.0,
        filters: Filters | None = None,
        callback_manager: CallbackManager | None = None,
    ) -> None:
        super().__init__(callback_manager=callback_manager)
        self._kb = kb
        self._k = k
        self._min_score = min_score
        self._filters = filters

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        hits = self._kb.search(query_bundle.query_str, self._k, self._filters)
        return nodes_of([hit for hit in hits if hit.score >= self._min_score])

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return await asyncio.to_thread(self._retrieve, query_bundle)


class KbqaQueryEngine(BaseQueryEngine):
    """Answers through `KnowledgeBase.ask`: its model, its plugins, its citations.

    The response's `source_nodes` are the passages the answer may rest on; its metadata holds
    `citations` (as in `kbqa ask --json`), `abstained`, `evidence`, `doubtful` and `model`.
    Callbacks hear of a query with its response.
    """

    def __init__(
        self,
        kb: KnowledgeBase | RemoteKnowledgeBase,
        *,
        filters: Filters | None = None,
        callback_manager: CallbackManager | None = None,
    ) -> None:
        super().__init__(callback_manager)
        self._kb = kb
        self._filters = filters

    def _query(self, query_bundle: QueryBundle) -> Response:
        question = query_bundle.query_str
        asked: dict[str, Any] = {EventPayload.QUERY_STR: question}
        with self.callback_manager.event(CBEventType.QUERY, payload=asked) as event:
            response = response_of(self._kb.ask(question, filters=self._filters))
            event.on_end(payload={EventPayload.RESPONSE: response})
        return response

    async def _aquery(self, query_bundle: QueryBundle) -> Response:
        return await asyncio.to_thread(self._query, query_bundle)

    def _get_prompt_modules(self) -> dict[str, Any]:
        return {}


def response_of(answer: Answer) -> Response:
    """An answer as a LlamaIndex response."""
    metadata = {
        "citations": [citation_json(citation) for citation in answer.citations],
        "abstained": answer.abstained,
        "evidence": answer.evidence,
        "doubtful": answer.doubtful,
        "model": answer.model,
    }
    return Response(answer.text, source_nodes=nodes_of(answer.hits), metadata=metadata)


def nodes_of(hits: Sequence[Hit]) -> list[NodeWithScore]:
    """Hits as nodes with scores."""
    return [NodeWithScore(node=_node(hit), score=hit.score) for hit in hits]


def _node(hit: Hit) -> TextNode:
    chunk = hit.chunk
    metadata = hit_metadata(hit) | {"file_path": chunk.uri}
    if chunk.page is not None:
        metadata["page_label"] = str(chunk.page)
    hidden = [*_NOT_FOR_MODELS, *(name for name in metadata if name not in _KNOWN)]
    return TextNode(
        id_=f"{chunk.document_id}:{chunk.start}-{chunk.end}",
        text=chunk.text,
        start_char_idx=chunk.start,
        end_char_idx=chunk.end,
        metadata=metadata,
        excluded_llm_metadata_keys=hidden,
        excluded_embed_metadata_keys=hidden,
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=chunk.document_id)},
    )
