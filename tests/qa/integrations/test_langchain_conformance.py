"""LangChain's own suites for retrievers and tools, where `langchain-tests` is installed."""

from __future__ import annotations

from typing import Any

import pytest

from qa.integrations.langchain import KbqaRetriever, ask_tool, search_tool
from qa.knowledge_base import KnowledgeBase

pytestmark = pytest.mark.integration

retrievers = pytest.importorskip("langchain_tests.integration_tests.retrievers")
tools = pytest.importorskip("langchain_tests.unit_tests.tools")
tools_used = pytest.importorskip("langchain_tests.integration_tests.tools")


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run by anyio's plugin, which needs no setting, in asyncio."""
    return "asyncio"


class _OnTheSmallBase:
    kb: KnowledgeBase

    @pytest.fixture(autouse=True)
    def _base(self, kb: KnowledgeBase) -> None:
        self.kb = kb


@pytest.mark.anyio
class TestRetriever(_OnTheSmallBase, retrievers.RetrieversIntegrationTests):  # type: ignore[misc,name-defined]
    @property
    def retriever_constructor(self) -> type[KbqaRetriever]:
        return KbqaRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"kb": self.kb, "k": 2}

    @property
    def retriever_query_example(self) -> str:
        return "How many days of annual leave do employees have?"


class _Tool(_OnTheSmallBase):
    make: Any

    @property
    def tool_constructor(self) -> Any:
        return type(self).make(self.kb)

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return {"query": "How many days of annual leave do employees have?"}


class TestSearchTool(_Tool, tools.ToolsUnitTests):  # type: ignore[misc,name-defined]
    make = staticmethod(search_tool)


class TestAskTool(_Tool, tools.ToolsUnitTests):  # type: ignore[misc,name-defined]
    make = staticmethod(ask_tool)


@pytest.mark.anyio
class TestSearchToolUsed(_Tool, tools_used.ToolsIntegrationTests):  # type: ignore[misc,name-defined]
    make = staticmethod(search_tool)


@pytest.mark.anyio
class TestAskToolUsed(_Tool, tools_used.ToolsIntegrationTests):  # type: ignore[misc,name-defined]
    make = staticmethod(ask_tool)
