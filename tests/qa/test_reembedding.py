from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from ingest.documents import Document
from ingest.errors import BadRequest, StorageError
from qa.knowledge_base import KnowledgeBase
from qa.settings import load_settings
from retrieval.embedding import Vectors
from retrieval.reembedding import Building, Fingerprint
from tests.fakes import HashEmbedder
from tests.qa.command_line import Kbqa, is_one_clear_line
from tests.retrieval.qdrant_over_http import QdrantOverHttp

pytestmark = pytest.mark.integration

WORDS = [
    "router",
    "lamp",
    "annual",
    "leave",
    "travel",
    "hotel",
    "pump",
    "seal",
    "furnace",
    "alarm",
    "door",
    "glove",
]


class Killed(Exception):
    """In place of SIGKILL."""


class Mortal(HashEmbedder):
    """Is killed when it has embedded `limit` batches; `opened` as `revision` says."""

    def __init__(self, dim: int, limit: int = 10**9, revision: str = "") -> None:
        super().__init__(dim)
        self.limit, self.revision = limit, revision

    def embed(self, texts: Sequence[str]) -> Vectors:
        self.limit -= 1
        if self.limit < 0:
            raise Killed
        return super().embed(texts)


def documents(first: int, last: int, word: str = "") -> list[Document]:
    return [
        Document.from_text(
            f"The {WORDS[n % len(WORDS)]} number n{n} {word}.", uri=f"{n}.txt", title=f"d{n}"
        )
        for n in range(first, last)
    ]


@pytest.fixture(params=["folder", "server"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "folder":
        yield str(tmp_path / "kb")
        return
    with QdrantOverHttp() as server:
        yield f"{server.url}/kb"


Open = Callable[..., KnowledgeBase]


@pytest.fixture
def open_(place: str) -> Open:
    def opened(embedder: HashEmbedder | None) -> KnowledgeBase:
        return KnowledgeBase.open(place, embedder=embedder, settings=load_settings(lock_timeout=1))

    return opened


def test_another_embedder_and_back(open_: Open) -> None:
    small, large = HashEmbedder(16), HashEmbedder(24)
    with open_(small) as kb:
        kb.ingest_documents(documents(0, 200))
        before = kb.search("lamp n1", 5)
        steps: list[Building] = []
        kb.reembed(large, on_progress=steps.append)
        assert steps[-1] == Building(200, 200, 200)
        assert [(s.total, s.done) for s in steps] == [(200, 128), (200, 200)]
        assert (kb.status().embedder, kb.status().dimension) == ("hash:24", 24)
        assert kb.search("lamp n1", 5)[0].uri == before[0].uri == "1.txt"
        assert kb.document("7.txt") == documents(7, 8)[0]
        kb.ingest_documents(documents(200, 201))
        assert kb.search("n200")[0].uri == "200.txt"
        assert kb.ask("Which lamp has number n1?").citations
    with pytest.raises(BadRequest, match="built with the embedder 'hash:24'"):
        open_(small)
    with open_(large) as kb:
        assert kb.status().documents == 201
        with pytest.raises(BadRequest, match="has the embedder 'hash:24' already"):
            kb.reembed(large)


def test_back_to_an_embedder_that_is_an_object(open_: Open) -> None:
    with open_(HashEmbedder(16)) as kb:
        kb.ingest_documents(documents(0, 3))
        before = kb.search("lamp n1", 3)
        kb.reembed(HashEmbedder(24))
        kb.rollback()
        assert kb.search("lamp n1", 3) == before


def test_a_build_that_was_killed_goes_on(open_: Open) -> None:
    with open_(HashEmbedder(16)) as kb:
        kb.ingest_documents(documents(0, 200))
        with pytest.raises(Killed):
            kb.reembed(Mortal(24, limit=1))
        assert kb.status().embedder == "hash:16"
        assert kb.search("lamp n1")[0].uri == "1.txt"
    with open_(HashEmbedder(16)) as kb:
        kb.ingest_documents([*documents(5, 6, "changed"), *documents(200, 210)])
        kb._index.remove(["7.txt"])
        again = Mortal(24)
        kb.reembed(again)
        assert 81 <= again.embedded <= 83  # 5 and 7 may be among the 72 left
        assert kb.status().documents == 209
        assert kb.status().chunks == 209
        assert "changed" in kb.search("n5 changed")[0].text
        assert "7.txt" not in {hit.uri for hit in kb.search("alarm n7", 10)}


def test_no_way_back_to_a_model_that_does_not_open(place: str) -> None:
    settings = load_settings(lock_timeout=1)
    with KnowledgeBase.open(place, embedder=HashEmbedder(16), settings=settings) as kb:
        kb.ingest_documents(documents(0, 3))
        kb.reembed(HashEmbedder(24))
    with KnowledgeBase.open(place, embedder=HashEmbedder(24), settings=settings) as kb:
        before = kb.search("lamp n1", 3)
        with pytest.raises(BadRequest, match="unknown embedder 'hash:16'"):
            kb.rollback()
        assert kb.status().embedder == "hash:24"
        assert kb.search("lamp n1", 3) == before
        kb.ingest_documents(documents(3, 4))
    with KnowledgeBase.open(place, embedder=HashEmbedder(24), settings=settings) as kb:
        assert kb.status().documents == 4


def test_rollback_and_discard(tmp_path: Path, kbqa: Kbqa, cache_dir: Path) -> None:
    folder = tmp_path / "kb"
    with KnowledgeBase.open(folder, embedder="minilm") as kb:
        kb.ingest_documents(documents(0, 3))
        kb.reembed(HashEmbedder(24))
        shards = sorted(path.name for path in folder.glob("shard*"))
        assert shards == ["shard", f"shard-{Fingerprint.of(HashEmbedder(24)).tag}"]
    done = kbqa("reembed", "--kb", folder, "--rollback", "--json")
    assert done.json == {"done": "rolled back", "embedder": "minilm", "chunks": 3}
    done = kbqa("search", "lamp", "--kb", folder, "--json")
    assert done.json["hits"][0]["uri"] == "1.txt"
    done = kbqa("reembed", "--kb", folder, "--discard")
    assert done.out == "discarded: 3 chunks, embedder minilm\n"
    assert [path.name for path in folder.glob("shard*")] == ["shard"]
    done = kbqa("reembed", "--kb", folder, "--rollback")
    is_one_clear_line(done, 2, "has no earlier version")
    is_one_clear_line(kbqa("reembed", "--kb", folder), 2, "one of --embedder NAME")
    is_one_clear_line(
        kbqa("reembed", "--kb", folder, "--embedder", "minilm"), 2, "has the embedder 'minilm'"
    )


def test_it_answers_while_the_new_version_is_built(tmp_path: Path) -> None:
    with KnowledgeBase.open(tmp_path / "kb", embedder=HashEmbedder(16)) as kb:
        kb.ingest_documents(documents(0, 300))
        done = threading.Event()
        found: list[set[str]] = []

        def ask() -> None:
            while not done.is_set():
                found.append({hit.uri for hit in kb.search("n17 glove", 3)[:1]})

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            kb.reembed(HashEmbedder(24))
            kb.search("n17")
        finally:
            done.set()
            asking.join()
    assert found
    assert all(uris == {"17.txt"} for uris in found)


def test_a_model_that_changed_behind_its_name_is_told(open_: Open) -> None:
    with open_(Mortal(16, revision="a")) as kb:
        kb.ingest_documents(documents(0, 2))
    with pytest.raises(
        BadRequest, match=r"is not the one that .* was built with.*kbqa reembed --embedder "
    ):
        open_(Mortal(16, revision="b"))
    with open_(Mortal(16, revision="a")) as kb:
        kb.reembed(Mortal(16, revision="b"))
    open_(Mortal(16, revision="b")).close()


def test_a_damaged_pointer_is_told(tmp_path: Path) -> None:
    KnowledgeBase.open(tmp_path / "kb", embedder=HashEmbedder(16)).close()
    for text in ("", "{", '{"current": 1}', json.dumps([])):
        (tmp_path / "kb" / "current.json").write_text(text)
        with pytest.raises(StorageError, match=r"current\.json is damaged.*\['shard'\]"):
            KnowledgeBase.open(tmp_path / "kb", embedder=HashEmbedder(16))


def test_what_failed_stays_in_the_ledger(open_: Open, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "lamp.txt").write_text("The lamp is out of order.")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4 and no more")
    with open_(HashEmbedder(16)) as kb:
        assert kb.ingest(folder).failed == 1
        before = kb.documents()
        kb.reembed(HashEmbedder(24))
        assert kb.documents() == before
        assert [row.state for row in before] == ["failed", "ok"]
        assert kb.ingest(folder).changed == 0
