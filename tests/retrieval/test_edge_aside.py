from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ingest.errors import StorageError
from retrieval import edge_aside, edge_store
from retrieval.edge_aside import discard, exchange, indexed_copy
from retrieval.edge_shard import NEW, load, points_in
from retrieval.edge_store import OPTIMIZE_FROM, EdgeStore
from retrieval.versions import shard_folder
from tests.contracts.store_contract import chunk

pytestmark = pytest.mark.integration

TOTAL, DIMENSION = OPTIMIZE_FROM + 500, 96  # the engine indexes from 1000 KB of vectors on
VECTORS = np.random.default_rng(0).normal(size=(TOTAL, DIMENSION)).astype(np.float32)


def fill(store: EdgeStore) -> None:
    store.write([chunk(n, f"tower w{n}", vector) for n, vector in enumerate(VECTORS)])


def found(store: EdgeStore, number: int) -> list[int]:
    """The passage of a vector and of a word: further neighbours of noise depend on the graph."""
    dense, lexical = store.search(VECTORS[number], f"w{number}", limit=10)
    return [dense[0].id, *(one.id for one in lexical)]


def sums(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EdgeStore]:
    """One that is searched, with vectors that are not indexed beside some that are."""
    opened = EdgeStore(tmp_path / "base", dimension=DIMENSION, lock_timeout=0)
    fill(opened)
    opened.optimize()
    fill(opened)
    found(opened, 0)
    yield opened
    opened.close()


def test_a_copy_is_indexed_and_the_shard_is_as_it_was(store: EdgeStore, tmp_path: Path) -> None:
    shard = shard_folder(tmp_path / "base", store.tag)
    with store._engine() as engine:
        engine.flush()
        assert points_in(engine) == TOTAL
    before = sums(shard)
    made = indexed_copy(shard, TOTAL)
    assert made is not None
    assert {name for name, sum_ in sums(shard).items() if before[name] != sum_} == set()
    copy, points = made
    assert points == TOTAL
    indexed = load(copy)
    assert indexed.info().indexed_vectors_count == TOTAL
    indexed.close()
    discard(copy)
    assert sums(shard) == before


def test_what_is_searched_answers_while_it_is_indexed(
    store: EdgeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [found(store, number) for number in range(20)]
    answered, over = [0], threading.Event()
    during: list[int] = []

    def ask() -> None:
        while not over.is_set():
            answered[0] += found(store, 3) == before[3]

    def watched(shard: Path, vectors: int) -> tuple[Path, int] | None:
        first = answered[0]
        try:
            return indexed_copy(shard, vectors)
        finally:
            during.append(answered[0] - first)

    monkeypatch.setattr(edge_store, "indexed_copy", watched)
    thread = threading.Thread(target=ask)
    thread.start()
    store.optimize()
    over.set()
    thread.join()
    assert during[0] > 3
    assert store._written == 0
    with store._engine() as engine:
        assert engine.info().indexed_vectors_count == TOTAL
    assert [found(store, number) for number in range(20)] == before
    assert not list((tmp_path / "base").glob(f"{NEW}*"))
    store.write([chunk(TOTAL, "tower", VECTORS[0])])
    store.close()
    with_more = EdgeStore(tmp_path / "base", lock_timeout=0)
    assert with_more.count({"kind": "chunk"}) == TOTAL + 1
    with_more.close()


@pytest.mark.parametrize("fails", ["copy", "exchange", "process", "room"])
def test_where_no_copy_can_be_made_it_is_indexed_in_place(
    store: EdgeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("not on this file system")

    if fails == "copy":
        monkeypatch.setattr("os.copy_file_range", refuse)
    elif fails == "room":
        monkeypatch.setattr(edge_aside, "ROOM", 10**9)
    elif fails == "exchange":
        monkeypatch.setattr(edge_store, "exchange", refuse)
    else:
        monkeypatch.setattr("sys.executable", shutil.which("false"))
    before = [found(store, number) for number in range(20)]
    store.optimize()
    assert store._written == 0
    with store._engine() as engine:
        assert engine.info().indexed_vectors_count == TOTAL
    assert [found(store, number) for number in range(20)] == before
    assert not list((tmp_path / "base").glob(f"{NEW}*"))


def test_a_copy_that_does_not_open_gives_its_place_back(
    store: EdgeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(shard: Path, vectors: int) -> tuple[Path, int]:
        copy = tmp_path / "copy"
        copy.mkdir()
        return copy, TOTAL

    monkeypatch.setattr(edge_store, "indexed_copy", damaged)
    before = [found(store, number) for number in range(20)]
    with pytest.raises(StorageError):
        store.optimize()
    assert [found(store, number) for number in range(20)] == before


def test_what_a_killed_process_left_is_swept_up(tmp_path: Path) -> None:
    EdgeStore(tmp_path / "base", dimension=DIMENSION, lock_timeout=0).close()
    left = tmp_path / "base" / f"{NEW}x" / "segments"
    left.mkdir(parents=True)
    others = tmp_path / "base" / f"{NEW}notes" / "mine.md"
    others.parent.mkdir()
    others.touch()
    EdgeStore(tmp_path / "base", lock_timeout=0).close()
    assert not left.parent.exists()
    assert others.exists()


def test_two_folders_change_places(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    exchange(tmp_path / "one", tmp_path / "other")
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["other"]
    with pytest.raises(OSError, match="No such file"):
        exchange(tmp_path / "one", tmp_path / "gone")
