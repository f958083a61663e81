"""An `Index` on a real embedded store, and what it holds, told in a comparable way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from ingest.chunking import split
from ingest.documents import Document, FileEntry, Prepared
from retrieval.edge_store import EdgeStore
from retrieval.embedding import Embedder
from retrieval.index import Index
from retrieval.points import unpacked
from retrieval.store import Point, Store, Where
from tests.fakes import HashEmbedder

LEAVE = "Annual leave is fifteen days. Requests go to the manager two weeks ahead."
ROUTER = "The router restarts when both buttons are held. Error ERR_CONN-1042 means no carrier."
CHINESE = "年假为十五天，需提前两周申请。路由器重启需按住两个按钮。"
LONG = "\n\n".join(f"Paragraph {n} of the long report speaks of topic{n}." for n in range(40))


@contextmanager
def open_index(folder: Path, embedder: Embedder | None = None) -> Iterator[Index]:
    """The index in `folder`, made if it is not there."""
    embedder = embedder or HashEmbedder()
    store = EdgeStore(folder, dimension=embedder.dimension, lock_timeout=0)
    with closing(store):
        yield Index(store, embedder)


def prepared(uri: str, text: str, **options: Any) -> Prepared:
    """A document cut into chunks of at most `tokens` (30) tokens."""
    tokens = options.pop("tokens", 30)
    document = Document.from_text(text, uri=uri, **options)
    starts = HashEmbedder().token_starts
    return Prepared(document, split(document, token_starts=starts, max_tokens=tokens + 26))


def contents(store: Store) -> dict[int, Mapping[str, Any]]:
    """Every point but the base's own, by id; of the time at which it was written nothing."""
    kinds = ["document", "file", "content", "chunk", "journal"]
    points = {point.id: unpacked(point.payload) for point in store.scan({"kind": kinds})}
    for payload in points.values():
        for name in ("ingested_ns", "record"):
            payload.pop(name, None)
    return dict(points)


class Crash(Exception):
    """The moment at which the process would have died."""


class CrashingStore:
    """A `Store` that dies before its write number `at`, and after that does nothing any more."""

    def __init__(self, store: Store, at: int) -> None:
        self._store = store
        self._left = at
        self.writes = 0

    def _count(self) -> None:
        if self._left == 0:
            raise Crash
        self._left -= 1
        self.writes += 1

    def write(self, points: Sequence[Point]) -> None:
        self._count()
        self._store.write(points)

    def delete(self, ids: Sequence[int]) -> None:
        self._count()
        self._store.delete(ids)

    def delete_where(self, where: Where, *, unless: Where | None = None) -> None:
        self._count()
        self._store.delete_where(where, unless=unless)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def entry(uri: str) -> FileEntry:
    """A file of that name, as a walk finds it."""
    return FileEntry(uri, f"/root/{uri}", "/root", 7, 8, 9)


def uris(index: Index) -> list[str]:
    """The names in the ledger."""
    return sorted(record.uri for record in index.documents())
