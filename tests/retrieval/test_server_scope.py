"""Many bases in one collection: none sees or touches another's points."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from qdrant_client import QdrantClient, models

from ingest.documents import Document
from ingest.errors import StorageError
from qa.knowledge_base import KnowledgeBase
from qa.settings import load_settings
from retrieval.conditions import Not, Or
from retrieval.index import Index
from retrieval.server_catalogue import CATALOGUE
from retrieval.server_client import connect
from retrieval.server_scope import Scope
from retrieval.server_store import ServerStore
from retrieval.store import Store
from tests.contracts.store_contract import DIM, axis, chunk, ids, row, uid
from tests.fakes import HashEmbedder
from tests.retrieval.qdrant_over_http import QdrantOverHttp

pytestmark = pytest.mark.integration

SHARED = f"kbqa_{DIM}"


@pytest.fixture
def server() -> Iterator[QdrantOverHttp]:
    with QdrantOverHttp() as server:
        yield server


def store_at(server: QdrantOverHttp, name: str, dimension: int = DIM) -> ServerStore:
    client = connect(server.url, api_key=None, grpc=False, timeout=10)
    return ServerStore(client, name, dimension=dimension)


@pytest.fixture
def two(server: QdrantOverHttp) -> Iterator[tuple[ServerStore, ServerStore]]:
    """Two bases with points of the same ids, and other texts."""
    mine, other = store_at(server, "mine"), store_at(server, "other")
    mine.write([chunk(n, "tower mine", axis(1, n), uri="a") for n in range(5)])
    other.write([chunk(n, "tower other", axis(1, n), uri="b") for n in range(8)])
    other.write([row(20, uri="b")])
    yield mine, other
    mine.close()
    other.close()


def texts(store: Store) -> list[str]:
    return [point.payload.get("text", "") for point in store.scan({})]


def test_they_lie_in_one_collection(two: tuple[ServerStore, ServerStore], server: Any) -> None:
    found = server._engine.get_collections().collections
    assert {item.name for item in found} == {SHARED, CATALOGUE}
    assert server._engine.count(SHARED).count == 14
    assert server.indexes[SHARED]["kb"] == {
        "type": "keyword",
        "is_tenant": True,
        "enable_hnsw": True,
    }


def test_reading(two: tuple[ServerStore, ServerStore]) -> None:
    mine, other = two
    assert set(texts(mine)) == {"tower mine"}
    assert mine.read([uid(1)])[uid(1)].payload["text"] == "tower mine"
    assert other.read([uid(1)])[uid(1)].payload["text"] == "tower other"
    assert mine.read([uid(6), uid(20)]) == {}
    assert "kb" not in mine.read([uid(1)])[uid(1)].payload
    assert (mine.count({}), other.count({})) == (5, 9)
    assert mine.count({"uri": "b"}) == mine.count({"kind": "document"}) == 0
    assert mine.count(Not(Or(()))) == 5
    assert mine.term_counts(["tower", "mine", "other"]) == [5, 5, 0]
    dense, lexical = mine.search(axis(1), "tower other", limit=99)
    assert sorted(ids(dense)) == sorted(ids(lexical)) == sorted(map(uid, range(5)))
    for leg in mine.search(axis(1), "tower", limit=99, where=Not(Or(()))):
        assert len(leg) == 5


@pytest.mark.parametrize(
    ("change", "left"),
    [
        (lambda store: store.delete([uid(n) for n in range(30)]), 0),
        (lambda store: store.delete_where({}), 0),
        (lambda store: store.delete_where({"uri": "b"}), 5),
        (lambda store: store.delete_where(Not(Or(())), unless={"number": 1}), 1),
        (lambda store: store.write([chunk(6, "tower mine", axis(1))]), 6),
    ],
)
def test_writing(
    two: tuple[ServerStore, ServerStore], change: Callable[[Store], None], left: int
) -> None:
    mine, other = two
    before = sorted(texts(other))
    change(mine)
    assert mine.count({}) == left
    assert sorted(texts(other)) == before


def carries(body: Any, name: str) -> bool:
    """Whether a request's body is bound to the base `name`."""
    if "searches" in body:
        return all(carries(one, name) for one in body["searches"])
    if "points" in body:
        return all(point["payload"]["kb"] == name for point in body["points"])
    must = body["filter"]["must"]
    return {"key": "kb", "match": {"value": name}} in [
        {key: value for key, value in part.items() if value is not None} for part in must
    ]


def test_every_request_carries_the_scope(server: QdrantOverHttp) -> None:
    """Calls each method of the protocol; one that is new and not called here fails the test."""
    store = store_at(server, "mine")
    calls: dict[str, Callable[[], Any]] = {
        "write": lambda: store.write([chunk(1, "tower", axis(1)), row(2)]),
        "read": lambda: store.read([uid(1)], vectors=True),
        "scan": lambda: list(store.scan({"kind": "chunk"})),
        "delete": lambda: store.delete([uid(1)]),
        "delete_where": lambda: store.delete_where({}, unless={"uri": "a"}),
        "search": lambda: store.search(axis(1), "tower", limit=3),
        "count": lambda: store.count({}),
        "term_counts": lambda: store.term_counts(["tower", "lamp"]),
        "optimize": store.optimize,
    }
    methods = {name for name, _ in inspect.getmembers(Store, inspect.isfunction)}
    assert {name for name in methods if not name.startswith("_")} == {*calls, "close", "leave"}
    for name, call in calls.items():
        server.requests.clear()
        server.bodies.clear()
        call()
        assert bool(server.requests) == (name != "optimize")
        for (_, path), body in zip(server.requests, server.bodies, strict=True):
            assert path.startswith(f"/collections/{SHARED}/points"), (name, path)
            assert carries(json.loads(json.dumps(body)), "mine"), (name, body)
    store.leave()


def test_ids_go_there_and_back() -> None:
    scopes = [Scope("a"), Scope("b"), Scope("a@0123"), Scope(None)]
    for scope in scopes:
        assert scope.id(scope.id(uid(1))) == uid(1)
        assert 0 <= scope.id(uid(1)) < 2**63
    assert len({scope.id(uid(1)) for scope in scopes}) == 4
    assert Scope(None).filter() == models.Filter(must=[])


def test_a_base_of_its_own_collection_is_still_opened(tmp_path: Path) -> None:
    client = QdrantClient(path=str(tmp_path / "server"))
    vectors = {"dense": models.VectorParams(size=DIM, distance=models.Distance.DOT)}
    client.create_collection("kbqa-old", vectors)
    client.upsert("kbqa-old", [models.PointStruct(id=7, vector={}, payload={"kind": "x"})])
    assert ServerStore.exists(client, "old")
    store = ServerStore(client, "old")
    assert store.read([7])[7].payload == {"kind": "x"}
    new = store.beside("tag", DIM)
    new.write([chunk(1, "tower", axis(1))])
    store.switch("tag")
    assert (new.previous, new.tags) == ("", ["", "tag"])
    new.drop("")
    assert not client.collection_exists("kbqa-old")
    assert (new.previous, new.tags, new.count({})) == (None, ["tag"], 1)
    store.close()
    new.close()


def test_a_collection_that_is_gone_is_told(server: QdrantOverHttp) -> None:
    store_at(server, "mine").close()
    server._engine.delete_collection(SHARED)
    client = connect(server.url, api_key=None, grpc=False, timeout=10)
    with pytest.raises(StorageError, match=r"kbqa_8 .* is gone, and with it .* mine"):
        ServerStore(client, "mine")


def test_two_bases_answer_for_themselves(server: QdrantOverHttp) -> None:
    embedder = HashEmbedder(16)
    settings = load_settings()
    bases = [
        KnowledgeBase.open(f"{server.url}/{name}", embedder=embedder, settings=settings)
        for name in ("one", "two")
    ]
    for number, kb in enumerate(bases):
        kb.ingest_documents([Document.from_text(f"The code is {number}.", uri="code.txt")])
    for number, kb in enumerate(bases):
        assert [hit.text for hit in kb.search("code")] == [f"The code is {number}."]
        assert kb.status().documents == 1
    bases[0]._index.remove(["code.txt"])
    assert bases[0].search("code") == []
    assert len(bases[1].search("code")) == 1
    for kb in bases:
        kb.close()


def test_several_writers_at_once(server: QdrantOverHttp) -> None:
    """Four processes' worth of indexes, the same documents in other versions: none is torn."""
    embedder = HashEmbedder(8)
    stores = [store_at(server, "mine") for _ in range(4)]
    settings = load_settings()

    def ingest(writer: int) -> None:
        kb = KnowledgeBase.open(f"{server.url}/many", embedder=embedder, settings=settings)
        for turn in range(3):
            kb.ingest_documents(
                [
                    Document.from_text(f"Lamp {n} of {writer} at {turn}. " * 60, uri=f"{n}.txt")
                    for n in (*range(4), 10 + writer)
                ]
            )
        kb.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(ingest, range(4)))
    kb = KnowledgeBase.open(f"{server.url}/many", embedder=embedder, settings=settings)
    index: Index = kb._index
    rows = {
        point.payload["uri"]: point.payload for point in index._store.scan({"kind": "document"})
    }
    assert set(rows) == {f"{n}.txt" for n in (0, 1, 2, 3, 10, 11, 12, 13)}
    for uri, payload in rows.items():
        there = [point.payload for point in index._store.scan({"kind": "chunk", "uri": uri})]
        current = [item for item in there if item["document_id"] == payload["document_id"]]
        assert len(current) == payload["chunks"] == len(there), uri
        assert kb.document(uri).text
    assert index._store.count({"kind": "journal"}) == 0
    kb.close()
    for store in stores:
        store.close()
