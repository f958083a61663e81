from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ingest.documents import FileEntry, Record
from retrieval import kept_rows
from retrieval.edge_store import EdgeStore
from retrieval.index import Index
from retrieval.store import Point, Store, Where
from tests.fakes import HashEmbedder
from tests.retrieval.knowledge import Crash, prepared

pytestmark = pytest.mark.integration


class Watched:
    """A `Store` that counts how often the ledger is read; `amid` is called in the midst of it."""

    exclusive = True

    def __init__(self, store: Store) -> None:
        self._store = store
        self.reads = 0
        self.amid: Callable[[], None] = lambda: None

    def scan(
        self, where: Where, *, fields: Sequence[str] | None = None, vectors: bool = False
    ) -> Iterator[Point]:
        points = list(self._store.scan(where, fields=fields, vectors=vectors))
        if fields == ["record"]:
            self.reads += 1
            amid, self.amid = self.amid, lambda: None
            amid()
        return iter(points)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Watched]:
    with closing(EdgeStore(tmp_path / "kb", dimension=32, lock_timeout=0)) as store:
        yield Watched(store)


@pytest.fixture
def index(store: Watched) -> Index:
    index = Index(store, HashEmbedder())
    index.replace([prepared("b.md", "The seal is worn."), prepared("a.md", "The pump runs.")])
    return index


def uris(index: Index) -> list[str]:
    return [record.uri for record in index.documents()]


def entry(uri: str, mtime: int = 1) -> FileEntry:
    return FileEntry(uri, f"/docs/{uri}", "/docs", 9, mtime, 1)


def test_they_are_read_once_in_order_of_uri(store: Watched, index: Index) -> None:
    before = store.reads
    assert [uris(index) for _ in range(3)] == [["a.md", "b.md"]] * 3
    assert store.reads == before + 1


@pytest.mark.parametrize(
    ("change", "after"),
    [
        (lambda index: index.replace([prepared("c.md", "The hose leaks.")]), "a.md b.md c.md"),
        (lambda index: index.remove(["a.md"]), "b.md"),
        (lambda index: index.rename([("a.md", entry("z.md"))]), "b.md z.md"),
        (lambda index: index.note([Record("f.md", "0" * 64, state="failed")]), "a.md b.md f.md"),
    ],
)
def test_every_change_is_seen(index: Index, change: Callable[[Index], None], after: str) -> None:
    uris(index)
    change(index)
    assert uris(index) == after.split()


def test_times_of_files_are_seen(index: Index) -> None:
    list(index.documents())
    index.touch([entry("a.md", mtime=77)])
    assert {record.uri: record.mtime_ns for record in index.documents()}["a.md"] == 77


def test_what_was_read_before_a_change_is_not_kept(store: Watched, index: Index) -> None:
    store.amid = lambda: index.remove(["a.md"])
    assert uris(index) == ["a.md", "b.md"]  # as it was when the reading began
    assert uris(index) == ["b.md"]


def test_a_write_that_fails_may_have_changed_them(
    store: Watched, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    uris(index)

    def half(ids: Sequence[int]) -> None:
        store._store.delete(ids)
        raise Crash

    monkeypatch.setattr(store, "delete", half, raising=False)
    with pytest.raises(Crash):
        index.remove(["a.md"])
    assert uris(index) == ["b.md"]


def test_where_others_write_nothing_is_kept(store: Watched, tmp_path: Path) -> None:
    store.exclusive = False
    one, other = Index(store, HashEmbedder()), Index(store, HashEmbedder())
    one.replace([prepared("a.md", "The pump runs.")])
    assert uris(other) == ["a.md"]
    one.remove(["a.md"])
    assert uris(other) == []


def test_too_many_are_not_kept(
    store: Watched, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_rows, "MOST", 1)
    before = store.reads
    assert uris(index) == uris(index) == ["a.md", "b.md"]
    assert store.reads == before + 2
