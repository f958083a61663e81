from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.base.response.schema import Response
from llama_index.core.callbacks import CallbackManager, CBEventType, LlamaDebugHandler
from llama_index.core.schema import Document, NodeRelationship, QueryBundle, RelatedNodeInfo

from ingest.errors import BadRequest
from qa.integrations.llama_index import KbqaQueryEngine, KbqaRetriever
from qa.knowledge_base import KnowledgeBase
from tests.qa.command_line import environment

pytestmark = pytest.mark.integration

LEAVE = "How many days of annual leave do employees have?"
ALARM = "What does alarm E-17 mean?"


def test_nodes_say_where_they_stand(kb: KnowledgeBase) -> None:
    found = KbqaRetriever(kb, k=1).retrieve(ALARM)[0]
    hit = kb.search(ALARM, 1)[0]
    assert (found.text, found.score) == (hit.text, hit.score)
    metadata = found.metadata
    assert metadata["file_path"] == metadata["uri"] == "furnace.pdf"
    assert (metadata["page"], metadata["page_label"]) == (hit.chunk.page, str(hit.chunk.page))
    text = kb.document("furnace.pdf").text
    assert text[metadata["start"] : metadata["end"]] == found.text
    source = found.node.relationships[NodeRelationship.SOURCE]
    assert isinstance(source, RelatedNodeInfo)
    assert source.node_id == hit.chunk.document_id
    json.dumps(metadata)


def test_a_model_is_shown_the_place_and_not_the_score(kb: KnowledgeBase) -> None:
    from llama_index.core.schema import MetadataMode

    shown = KbqaRetriever(kb, k=1).retrieve(LEAVE)[0].node.get_content(MetadataMode.LLM)
    assert "file_path: handbook.md" in shown
    assert "heading: Staff handbook" in shown
    assert "25 days" in shown
    assert "score" not in shown


def test_nodes_keep_what_their_source_says(kb: KnowledgeBase) -> None:
    from llama_index.core.schema import MetadataMode

    said = {"file_path": "birds.txt", "author": "Ann"}
    kb.ingest_documents([Document(text="Ostriches lay eggs.", metadata=said)])
    node = KbqaRetriever(kb, k=1).retrieve("ostrich eggs")[0].node
    assert node.metadata == node.metadata | said
    assert "Ann" not in node.get_content(MetadataMode.LLM)


def test_k_filters_and_threshold(kb: KnowledgeBase) -> None:
    assert len(KbqaRetriever(kb, k=3).retrieve(LEAVE)) == 3
    found = KbqaRetriever(kb, filters={"uri": "notes.txt"}).retrieve(LEAVE)
    assert {node.metadata["uri"] for node in found} == {"notes.txt"}
    scores = [node.get_score() for node in KbqaRetriever(kb, k=9, min_score=0.3).retrieve(LEAVE)]
    assert scores == sorted(scores, reverse=True)
    assert min(scores) >= 0.3


def test_async_gives_the_same(kb: KnowledgeBase) -> None:
    retriever, engine = KbqaRetriever(kb, k=2), KbqaQueryEngine(kb)
    bundle = QueryBundle(LEAVE)
    assert asyncio.run(retriever.aretrieve(bundle)) == retriever.retrieve(LEAVE)
    assert str(asyncio.run(engine.aquery(bundle))) == str(engine.query(LEAVE))


def test_callbacks_hear_of_it(kb: KnowledgeBase) -> None:
    handler = LlamaDebugHandler(print_trace_on_end=False)
    KbqaRetriever(kb, k=2, callback_manager=CallbackManager([handler])).retrieve(LEAVE)
    ((start, end),) = handler.get_event_pairs(CBEventType.RETRIEVE)
    assert start.payload == {"query_str": LEAVE}
    assert end.payload is not None
    assert len(end.payload["nodes"]) == 2
    handler = LlamaDebugHandler(print_trace_on_end=False)
    response = KbqaQueryEngine(kb, callback_manager=CallbackManager([handler])).query(LEAVE)
    ((start, end),) = handler.get_event_pairs(CBEventType.QUERY)
    assert (start.payload, end.payload) == ({"query_str": LEAVE}, {"response": response})


def test_the_query_engine_answers_through_the_base(kb: KnowledgeBase) -> None:
    response = KbqaQueryEngine(kb).query(LEAVE)
    assert isinstance(response, Response)
    answer = kb.ask(LEAVE)
    assert str(response) == answer.text
    assert [node.text for node in response.source_nodes] == [hit.text for hit in answer.hits]
    metadata: dict[str, Any] = response.metadata or {}
    assert (metadata["abstained"], metadata["model"]) == (False, "extractive")
    citation = metadata["citations"][0]
    assert citation["verified"]
    assert (citation["uri"], citation["quote"]) == ("handbook.md", answer.citations[0].quote)
    assert "Source (Doc id: handbook.md@" in response.get_formatted_sources()


def test_the_query_engine_refuses(kb: KnowledgeBase) -> None:
    response = KbqaQueryEngine(kb).query("How long should an ostrich egg be boiled?")
    assert (response.metadata or {})["abstained"] is True
    found = KbqaQueryEngine(kb, filters={"uri": "notes.txt"}).query(LEAVE)
    assert {node.metadata["uri"] for node in found.source_nodes} == {"notes.txt"}


def test_errors_are_ours(kb: KnowledgeBase) -> None:
    with pytest.raises(BadRequest, match="question is empty"):
        KbqaRetriever(kb).retrieve(" ")
    with pytest.raises(BadRequest, match="k is 0"):
        KbqaRetriever(kb, k=0).retrieve(LEAVE)
    with pytest.raises(BadRequest, match="question is empty"):
        KbqaQueryEngine(kb).query("")


def test_as_a_tool_of_an_agent(kb: KnowledgeBase) -> None:
    from llama_index.core.tools import QueryEngineTool

    tool = QueryEngineTool.from_defaults(KbqaQueryEngine(kb), name="handbook", description="d")
    assert "25 days" in tool.call(LEAVE).content


OFFLINE = """
import socket, sys
from pathlib import Path

def refuse(*arguments, **options):
    raise AssertionError(f"the network was asked for: {arguments}")

socket.socket.connect = socket.socket.connect_ex = socket.create_connection = refuse
socket.getaddrinfo = refuse
from qa import KnowledgeBase
from qa.integrations.llama_index import KbqaQueryEngine, KbqaRetriever
with KnowledgeBase.open(Path(sys.argv[1]), create=False) as kb:
    print(KbqaQueryEngine(kb).query("How many days of annual leave are there?"))
    print(len(KbqaRetriever(kb, k=2).retrieve("annual leave")))
print(sorted({"tiktoken", "nltk", "torch", "qdrant_client"} & set(sys.modules)))
"""


def test_nothing_is_downloaded_nor_written(base_folder: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE, str(base_folder)],
        capture_output=True,
        encoding="utf-8",
        check=False,
        env=environment(HOME=str(home), NLTK_DATA=str(home), TIKTOKEN_CACHE_DIR=str(home)),
    )
    assert done.returncode == 0, done.stderr
    assert "25 days" in done.stdout
    assert done.stdout.splitlines()[-2:] == ["2", "[]"]
    written = {path.name for path in home.iterdir()} - {"intel"}  # OpenVINO's, not LlamaIndex's
    assert written == set()
