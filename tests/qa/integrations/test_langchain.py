from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.documents import Document
from langchain_core.messages import ToolMessage
from langchain_core.runnables import RunnableParallel, RunnablePassthrough
from pydantic import ValidationError

from ingest.errors import BadRequest
from qa.integrations.langchain import KbqaRetriever, ask_tool, search_tool
from qa.knowledge_base import KnowledgeBase
from qa.turn import Answer

pytestmark = pytest.mark.integration

LEAVE = "How many days of annual leave do employees have?"
ALARM = "What does alarm E-17 mean?"


class Recorder(BaseCallbackHandler):
    """Keeps what a retriever tells its callbacks."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []

    def on_retriever_start(self, serialized: Any, query: str, **kwargs: Any) -> None:
        self.events.append(("start", query))

    def on_retriever_end(self, documents: Any, **kwargs: Any) -> None:
        self.events.append(("end", len(documents)))

    def on_retriever_error(self, error: BaseException, **kwargs: Any) -> None:
        self.events.append(("error", type(error)))


def test_documents_say_where_they_stand(kb: KnowledgeBase) -> None:
    document = KbqaRetriever(kb=kb, k=1).invoke(ALARM)[0]
    hit = kb.search(ALARM, 1)[0]
    assert document.page_content == hit.text
    metadata = document.metadata
    assert metadata["source"] == metadata["uri"] == "furnace.pdf"
    assert (metadata["title"], metadata["page"]) == ("Furnace manual", hit.chunk.page)
    assert metadata["score"] == hit.score
    text = kb.document("furnace.pdf").text
    assert text[metadata["start"] : metadata["end"]] == document.page_content
    json.dumps(metadata)
    assert all(isinstance(value, str | int | float) for value in metadata.values())


def test_a_text_without_pages_has_none(kb: KnowledgeBase) -> None:
    document = KbqaRetriever(kb=kb, k=1).invoke(LEAVE)[0]
    assert "page" not in document.metadata
    assert document.metadata["heading"].startswith("Staff handbook")


def test_documents_keep_what_their_source_says(kb: KnowledgeBase) -> None:
    said = {"source": "https://a.example/x", "author": "Ann", "year": 2024, "tags": ["a", "b"]}
    kb.ingest_documents([Document(page_content="Ostriches lay eggs.", metadata=said)])
    found = KbqaRetriever(kb=kb, k=1, filters="metadata.author:Ann").invoke("ostrich eggs")[0]
    assert found.metadata == found.metadata | said | {"uri": said["source"], "tags": "a, b"}
    assert kb.search("ostrich eggs", 1)[0].metadata == said


def test_ids_are_stable_and_distinct(kb: KnowledgeBase) -> None:
    retriever = KbqaRetriever(kb=kb, k=5)
    ids = [document.id for document in retriever.invoke(LEAVE)]
    assert ids == [document.id for document in retriever.invoke(LEAVE)]
    assert len(set(ids)) == len(ids) > 2


def test_filters_and_threshold(kb: KnowledgeBase) -> None:
    notes = {"uri": "notes.txt"}
    assert {d.metadata["uri"] for d in KbqaRetriever(kb=kb, filters=notes).invoke(LEAVE)} == {
        "notes.txt"
    }
    found = KbqaRetriever(kb=kb).invoke(LEAVE, filters=notes)
    assert {document.metadata["uri"] for document in found} == {"notes.txt"}
    found = KbqaRetriever(kb=kb, filters="uri:notes.txt").invoke(LEAVE)
    assert {document.metadata["uri"] for document in found} == {"notes.txt"}
    found = KbqaRetriever(kb=kb, filters=notes).invoke(LEAVE, filters={})
    assert {document.metadata["uri"] for document in found} > {"notes.txt"}
    scores = [d.metadata["score"] for d in KbqaRetriever(kb=kb, k=9, min_score=0.3).invoke(LEAVE)]
    assert scores == sorted(scores, reverse=True)
    assert min(scores) >= 0.3
    assert KbqaRetriever(kb=kb, min_score=1).invoke("ostrich") == []


def test_async_and_batch_give_the_same(kb: KnowledgeBase) -> None:
    retriever = KbqaRetriever(kb=kb, k=2)
    expected = retriever.invoke(LEAVE)
    assert asyncio.run(retriever.ainvoke(LEAVE)) == expected
    assert asyncio.run(retriever.ainvoke(LEAVE, k=1)) == expected[:1]
    assert retriever.batch([LEAVE, ALARM])[0] == expected


def test_callbacks_hear_of_it(kb: KnowledgeBase) -> None:
    recorder = Recorder()
    KbqaRetriever(kb=kb, k=2).invoke(LEAVE, config={"callbacks": [recorder]})
    assert recorder.events == [("start", LEAVE), ("end", 2)]
    asyncio.run(KbqaRetriever(kb=kb, k=2).ainvoke(LEAVE, config={"callbacks": [recorder]}))
    assert recorder.events[2:] == recorder.events[:2]


def test_an_error_is_ours_and_is_told_to_callbacks(kb: KnowledgeBase) -> None:
    recorder = Recorder()
    with pytest.raises(BadRequest, match="question is empty"):
        KbqaRetriever(kb=kb).invoke("  ", config={"callbacks": [recorder]})
    assert recorder.events[-1] == ("error", BadRequest)
    with pytest.raises(BadRequest, match="k is 0"):
        KbqaRetriever(kb=kb).invoke(LEAVE, k=0)
    with pytest.raises(ValidationError):
        KbqaRetriever(kb=kb, k=0)


def test_in_a_chain(kb: KnowledgeBase) -> None:
    def joined(documents: list[Document]) -> str:
        return "\n".join(document.page_content for document in documents)

    context = KbqaRetriever(kb=kb, k=1) | joined
    found = RunnableParallel(context=context, question=RunnablePassthrough()).invoke(LEAVE)
    assert "25 days" in found["context"]
    assert found["question"] == LEAVE


def test_the_search_tool(kb: KnowledgeBase) -> None:
    tool = search_tool(kb, k=2)
    assert tool.name == "search_documents"
    assert set(tool.args) == {"query"}
    text = tool.invoke({"query": LEAVE})
    assert text.startswith("[1] handbook.md, Staff handbook")
    assert "25 days" in text
    message = tool.invoke({"name": tool.name, "args": {"query": LEAVE}, "id": "1",
                           "type": "tool_call"})  # fmt: skip
    assert isinstance(message, ToolMessage)
    assert message.artifact[0].metadata["uri"] == "handbook.md"
    assert len(message.artifact) == 2


def test_the_ask_tool(kb: KnowledgeBase) -> None:
    tool = ask_tool(kb, name="handbook")
    message = tool.invoke({"name": "handbook", "args": {"query": LEAVE}, "id": "1",
                           "type": "tool_call"})  # fmt: skip
    assert "25 days" in message.content
    assert "\n\nSources:\n[1] handbook.md, Staff handbook" in message.content
    assert isinstance(message.artifact, Answer)
    refused = asyncio.run(tool.ainvoke({"query": "How long should an ostrich egg be boiled?"}))
    assert refused == "The documents do not answer this question."


def test_an_agent_is_told_of_errors(kb: KnowledgeBase) -> None:
    for tool in (search_tool(kb), ask_tool(kb)):
        message = tool.invoke({"name": tool.name, "args": {"query": " "}, "id": "1",
                               "type": "tool_call"})  # fmt: skip
        assert (message.status, message.content) == ("error", "the question is empty")
