from __future__ import annotations

import hashlib
import os
import random
import socket
import subprocess
import sys
import traceback
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc  # type: ignore[import-untyped, unused-ignore]
import numpy as np
import pytest
from qdrant_client import QdrantClient

from ingest.errors import (
    BadRequest,
    KbqaError,
    NotAuthorised,
    RateLimited,
    StorageError,
    TimedOut,
    Unreachable,
)
from retrieval.edge_store import EdgeStore
from retrieval.server_client import connect
from retrieval.server_store import ServerStore
from retrieval.store import DATE_FIELDS, INTEGER_FIELDS, KEYWORD_FIELDS, TERMS
from retrieval.terms import analyse_query
from tests.contracts.store_contract import DIM, ConditionContract, axis, chunk, ids
from tests.retrieval.qdrant_over_http import QdrantOverHttp
from tests.scripted_server import Behaviour, ScriptedServer, hang, status, text

pytestmark = pytest.mark.integration

KEY = "contract-key-0123456789"
REAL = os.environ.get("KBQA_TEST_QDRANT_URL", "")
REAL_KEY = os.environ.get("KBQA_QDRANT_API_KEY")


class TestLocalEngine(ConditionContract):
    """qdrant-client's engine in Python, in a folder."""

    concurrent = False
    encodes = False

    def open_store(self, folder: Path, *, dimension: int | None = None) -> ServerStore:
        return ServerStore(QdrantClient(path=str(folder)), "test", dimension=dimension)


class TestOverHttp(ConditionContract):
    """The same engine behind the REST API, so that every request is one."""

    @pytest.fixture(autouse=True)
    def server(self) -> Iterator[QdrantOverHttp]:
        with QdrantOverHttp(api_key=KEY) as server:
            self.url = server.url
            yield server

    def open_store(self, folder: Path, *, dimension: int | None = None) -> ServerStore:
        client = connect(self.url, api_key=KEY, grpc=False, timeout=10)
        return ServerStore(client, "test", dimension=dimension)


if REAL:  # two more runs of the suite; skipping each test by itself would fill the report

    class TestRealServer(ConditionContract):
        """A server; key in KBQA_QDRANT_API_KEY. Its collections begin with kbqa-test-."""

        grpc = False

        @pytest.fixture(autouse=True)
        def _clean(self) -> Iterator[None]:
            self.names: set[str] = set()
            yield
            client = connect(REAL, api_key=REAL_KEY, grpc=False, timeout=30)
            for name in self.names:
                client.delete_collection(f"kbqa-{name}")
            client.close()

        def open_store(self, folder: Path, *, dimension: int | None = None) -> ServerStore:
            name = f"test-{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}-{os.getpid()}"
            self.names.add(name)
            client = connect(REAL, api_key=REAL_KEY, grpc=self.grpc, timeout=30)
            return ServerStore(client, name, dimension=dimension)

    class TestRealServerByGrpc(TestRealServer):
        grpc = True


@pytest.mark.skipif(not REAL, reason="set KBQA_TEST_QDRANT_URL to run the suite on a real server")
def test_a_real_server_answers() -> None:
    client = connect(REAL, api_key=REAL_KEY, grpc=False, timeout=30)
    assert not ServerStore.exists(client, "test-absent")
    client.close()


# --- the same results as the embedded engine ---

WORDS = [
    *("tower", "river", "bread", "Paris", "engine", "quality", "report", "running", "runs"),
    *("埃菲尔铁塔", "位于", "巴黎", "质量", "报告", "合同", "违约金", "服务器", "延迟", "网络中断"),
    *("parseUrl", "ERR_CONN-1042", "differential", "2024", "v2.1", "报销"),
]


def texts(number: int) -> list[str]:
    rng = random.Random(7)
    return [" ".join(rng.choices(WORDS, k=rng.randint(1, 30))) for _ in range(number)]


def test_a_base_is_removed_and_its_neighbour_is_not() -> None:
    client = QdrantClient(":memory:")
    points = [chunk(n, text, np.ones(DIM, np.float32)) for n, text in enumerate(texts(5))]
    stores = [ServerStore(client, name, dimension=DIM) for name in ("one", "two")]
    for store in stores:
        store.write(points)
    other = stores[0].beside("v2", DIM)
    other.write(points)
    ServerStore.delete_base(client, "one")
    ServerStore.delete_base(client, "one")  # nothing is there to be removed
    assert not ServerStore.exists(client, "one")
    assert stores[1].count({}) == len(points)
    assert stores[0].count({}) == other.count({}) == 0
    assert ServerStore(client, "one", dimension=DIM).count({}) == 0


def test_both_engines_find_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    vectors = rng.normal(size=(105, DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    passages, questions = texts(100), texts(105)[100:]
    points = [chunk(n, passage, vectors[n]) for n, passage in enumerate(passages)]
    edge = EdgeStore(tmp_path / "edge", dimension=DIM, lock_timeout=0)
    server = ServerStore(QdrantClient(":memory:"), "parity", dimension=DIM)
    for store in (edge, server):
        store.write(points[:70])
        store.write(points[60:])
    for number, question in enumerate(questions):
        terms = analyse_query(question)
        where = {"number": list(range(0, 100, 3))} if number % 3 == 0 else None
        query = (vectors[100 + number], " ".join(terms))
        mine = edge.search(*query, limit=200, where=where)
        theirs = server.search(*query, limit=200, where=where)
        for ours, other in zip(mine, theirs, strict=True):
            assert ids(ours) == ids(other)
            assert [i.score for i in ours] == pytest.approx([i.score for i in other], abs=1e-4)
        assert len(mine[0]) >= 33
        assert edge.term_counts(terms) == server.term_counts(terms)
    edge.close()
    server.close()


# --- what travels ---


def open_at(server: QdrantOverHttp, dimension: int | None = DIM) -> ServerStore:
    client = connect(server.url, api_key=server.api_key, grpc=False, timeout=10)
    return ServerStore(client, "test", dimension=dimension)


def test_a_search_is_one_round_trip() -> None:
    with QdrantOverHttp() as server:
        store = open_at(server)
        store.write([chunk(1, "tower", axis(1))])
        server.requests.clear()
        store.search(axis(1), "tower", limit=5, where={"page": 1})
        store.close()
    assert server.requests == [("POST", "/collections/kbqa_8/points/query/batch")]


def test_missing_indexes_are_made_at_the_next_opening() -> None:
    with QdrantOverHttp() as server:
        open_at(server).close()
        every = {TERMS, "kb", *KEYWORD_FIELDS, *DATE_FIELDS, *INTEGER_FIELDS}
        indexes = server.indexes[f"kbqa_{DIM}"]
        assert set(indexes) == every
        del indexes["uri"], indexes[TERMS]
        open_at(server, None).close()
        assert set(indexes) == every
        server.requests.clear()
        open_at(server, None).close()
        assert {method for method, path in server.requests if "catalogue" not in path} == {"GET"}
        assert [method for method, path in server.requests if "catalogue" in path] == [
            "GET",
            "POST",
        ]


def test_a_server_too_old_is_refused_and_left_clean() -> None:
    with QdrantOverHttp(ranks=False) as server:
        with pytest.raises(BadRequest, match=r"Qdrant 1\.12\.0 .* needs Qdrant 1\.20"):
            open_at(server)
        assert server.requests[-1] == ("DELETE", f"/collections/kbqa_{DIM}")


def test_a_foreign_collection_is_left_alone() -> None:
    client = QdrantClient(":memory:")
    client.create_collection("kbqa-test", {})
    with pytest.raises(BadRequest, match="was not made by kbqa"):
        ServerStore(client, "test", dimension=DIM)


def test_two_who_create_at_once() -> None:
    with QdrantOverHttp() as server, ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(lambda _: open_at(server), range(4)))
        stores[0].write([chunk(1, "tower", axis(1))])
        assert [store.count({}) for store in stores] == [1, 1, 1, 1]
        for store in stores:
            store.close()


def test_exists(tmp_path: Path) -> None:
    client = QdrantClient(":memory:")
    assert not ServerStore.exists(client, "test")
    store = ServerStore(client, "test", dimension=DIM)
    assert ServerStore.exists(client, "test")
    assert not ServerStore.exists(client, "other")
    store.close()


@pytest.mark.parametrize("name", ["", "a/b", "a b", "库", "x" * 300, "a\n"])
def test_names(name: str) -> None:
    with pytest.raises(BadRequest, match="is no name"):
        ServerStore.exists(QdrantClient(":memory:"), name)


def test_the_key_travels_without_a_warning() -> None:
    with ScriptedServer(then=text('{"result":{"exists":false}}')) as server:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            client = connect(server.base_url, api_key=KEY, grpc=False, timeout=5)
        assert not ServerStore.exists(client, "test")
        client.close()
    assert server.requests[0].headers["api-key"] == KEY
    assert server.requests[0].path == "/v1/collections/kbqa_catalogue/exists"


# --- errors ---

ERRORS: list[tuple[Behaviour, type[KbqaError], str]] = [
    (status(401), NotAuthorised, "KBQA_QDRANT_API_KEY"),
    (status(403), NotAuthorised, "KBQA_QDRANT_API_KEY"),
    (status(404), BadRequest, "is no Qdrant server"),
    (status(429, retry_after="3"), RateLimited, "wait 3 s"),
    (text("<html>hello</html>", media_type="text/html"), BadRequest, "is no Qdrant server"),
    (text("<html>", code=404, media_type="text/html"), BadRequest, "is no Qdrant server"),
    (text("{not json"), BadRequest, "is no Qdrant server"),
    (text('{"status":{"error":"WAL is\\nfull"}}', code=500), StorageError, "500: WAL is full"),
    (text("oops", code=500), StorageError, "status 500"),
    (text("<html>", code=502), Unreachable, "status 502"),
    (hang, TimedOut, "did not answer in time"),
]


def failing(url: str, *, by_grpc: bool = False, timeout: float = 0.5) -> KbqaError:
    """How asking `url` whether it has a base ends."""
    client = connect(url, api_key=KEY, grpc=by_grpc, timeout=timeout)
    with pytest.raises(KbqaError) as caught:
        ServerStore.exists(client, "test")
    client.close()
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is not None
    assert KEY not in "".join(traceback.format_exception(caught.value))
    return caught.value


@pytest.mark.parametrize(("behaviour", "kind", "message"), ERRORS)
def test_errors_by_http(behaviour: Behaviour, kind: type[KbqaError], message: str) -> None:
    with ScriptedServer(then=behaviour) as server:
        error = failing(server.base_url)
    assert type(error) is kind
    assert message in str(error)
    assert server.base_url in str(error)


def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.mark.parametrize("by_grpc", [False, True])
def test_nobody_listens(by_grpc: bool) -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    error = failing(url, by_grpc=by_grpc)
    assert type(error) is Unreachable
    assert url in str(error)
    assert "docker compose up -d qdrant" in str(error)


def test_no_such_host() -> None:
    assert type(failing("http://kbqa.invalid", timeout=5)) in (Unreachable, TimedOut)


def test_https_to_a_server_without() -> None:
    with ScriptedServer() as server:
        error = failing(server.base_url.replace("http", "https", 1))
    assert type(error) is Unreachable
    assert "no secure connection" in str(error)


GRPC_ERRORS = [
    (grpc.StatusCode.UNAUTHENTICATED, NotAuthorised),
    (grpc.StatusCode.PERMISSION_DENIED, NotAuthorised),
    (grpc.StatusCode.UNIMPLEMENTED, BadRequest),
    (grpc.StatusCode.INTERNAL, StorageError),
    (grpc.StatusCode.DEADLINE_EXCEEDED, TimedOut),
]


@pytest.mark.parametrize(("code", "kind"), GRPC_ERRORS)
def test_errors_by_grpc(code: grpc.StatusCode, kind: type[KbqaError]) -> None:
    class Refuse(grpc.GenericRpcHandler):  # type: ignore[misc, unused-ignore]
        def service(self, call: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
            return grpc.unary_unary_rpc_method_handler(
                lambda request, context: context.abort(code, "scripted\nreason")
            )

    server = grpc.server(ThreadPoolExecutor(1), handlers=[Refuse()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        error = failing(f"http://127.0.0.1:{port - 1}", by_grpc=True, timeout=5)
    finally:
        server.stop(0).wait()
    assert type(error) is kind


@pytest.mark.parametrize(
    "url", ["", "qdrant:6333", "http://", "http://host:99999", "http://[::1", "ftp://host"]
)
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(BadRequest, match="is no URL of a Qdrant server"):
        connect(url, api_key=None, grpc=False, timeout=1)


@pytest.mark.parametrize("key", ["ключ", "a\nb"])
def test_what_is_no_key(key: str) -> None:
    with pytest.raises(NotAuthorised) as caught:
        connect("http://127.0.0.1:1", api_key=key, grpc=False, timeout=1)
    assert key not in str(caught.value)


def test_importing_the_default_store_does_not_import_the_client() -> None:
    program = """if True:
        import sys, retrieval.index, retrieval.edge_store
        sys.exit("qdrant_client" in sys.modules)"""
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run([sys.executable, "-c", program], check=True, env=environ)
