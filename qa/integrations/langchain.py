"""kbqa inside LangChain: a retriever, and tools for agents.

>>> from qa.integrations.langchain import KbqaRetriever, ask_tool, search_tool
>>> retriever = KbqaRetriever(kb=kb, k=5)
>>> agent = create_agent(model, tools=[search_tool(kb), ask_tool(kb)])
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from ingest.errors import KbqaError, NotConfigured

try:
    from langchain_core.callbacks import (
        AsyncCallbackManagerForRetrieverRun,
        CallbackManagerForRetrieverRun,
    )
    from langchain_core.documents import Document
    from langchain_core.retrievers import BaseRetriever
    from langchain_core.runnables import run_in_executor
    from langchain_core.tools import BaseTool, StructuredTool, ToolException
    from pydantic import Field
except ImportError as exc:
    raise NotConfigured("LangChain is not installed: `pip install kbqa[langchain]`") from exc

from qa.client import RemoteKnowledgeBase
from qa.integrations.metadata import hit_metadata, passages, sources
from qa.knowledge_base import KnowledgeBase
from retrieval.hits import Hit


class KbqaRetriever(BaseRetriever):
    """The best passages of a knowledge base as LangChain documents, the best first.

    `k` passages at most, of `min_score` (0..1) at least, within `filters`; `k` and `filters` may
    also be given to a call: `retriever.invoke("...", k=3)`, `filters={}` for none. A document's
    metadata holds `source` (the uri), `title`, `heading`, `page`, `start`, `end` and `score`, and
    what the source says of itself; its id is stable as long as the source does not change. The
    knowledge base, here or behind a server, stays the caller's to close.
    """

    kb: KnowledgeBase | RemoteKnowledgeBase
    k: int = Field(default=5, ge=1)
    min_score: float = Field(default=0.0, ge=0, le=1)
    filters: str | Mapping[str, Any] | None = None

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,
        k: int | None = None,
        filters: str | Mapping[str, Any] | None = None,
    ) -> list[Document]:
        within = self.filters if filters is None else filters
        hits = self.kb.search(query, self.k if k is None else k, within)
        return [document_of(hit) for hit in hits if hit.score >= self.min_score]

    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,
        k: int | None = None,
        filters: str | Mapping[str, Any] | None = None,
    ) -> list[Document]:
        manager = run_manager.get_sync()
        search = partial(self._get_relevant_documents, run_manager=manager, k=k, filters=filters)
        return await run_in_executor(None, search, query)


def document_of(hit: Hit) -> Document:
    """A hit as a LangChain document."""
    return Document(
        id=f"{hit.chunk.document_id}:{hit.chunk.start}-{hit.chunk.end}",
        page_content=hit.text,
        metadata=hit_metadata(hit) | {"source": hit.uri},
    )


def search_tool(
    kb: KnowledgeBase | RemoteKnowledgeBase,
    *,
    k: int = 5,
    name: str = "search_documents",
    description: str = "Find passages in the documents. Returns numbered passages with their place "
    "(file, page, heading).",
) -> BaseTool:
    """A tool that returns passages; its artifact is the list of LangChain documents."""

    def search(query: str) -> tuple[str, list[Document]]:
        with _ToolErrors():
            hits = kb.search(query, k)
        return passages(hits), [document_of(hit) for hit in hits]

    return _tool(search, name, description)


def ask_tool(
    kb: KnowledgeBase | RemoteKnowledgeBase,
    *,
    name: str = "ask_documents",
    description: str = "Answer a question from the documents. Returns the answer with numbered "
    "sources, or says that the documents do not answer it.",
) -> BaseTool:
    """A tool that answers; its artifact is the `qa.Answer`."""

    def ask(query: str) -> tuple[str, Any]:
        with _ToolErrors():
            answer = kb.ask(query)
        return _with_sources(answer.text, sources(answer.citations)), answer

    return _tool(ask, name, description)


def _tool(function: Any, name: str, description: str) -> BaseTool:
    return StructuredTool.from_function(
        function,
        name=name,
        description=description,
        response_format="content_and_artifact",
        handle_tool_error=True,
    )


def _with_sources(text: str, lines: Sequence[str]) -> str:
    return "\n".join([text, "", "Sources:", *lines]) if lines else text


class _ToolErrors:
    """Errors of kbqa as those that a tool tells its agent instead of ending the run."""

    def __enter__(self) -> None:
        """Nothing to do."""

    def __exit__(self, kind: object, exc: BaseException | None, traceback: object) -> None:
        if isinstance(exc, KbqaError):
            raise ToolException(str(exc)) from exc
