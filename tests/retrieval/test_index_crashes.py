"""What is left of an index whose process died in the midst of a write."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from retrieval.edge_store import EdgeStore
from retrieval.index import Index
from tests.fakes import HashEmbedder
from tests.retrieval.knowledge import (
    CHINESE,
    LEAVE,
    LONG,
    ROUTER,
    Crash,
    CrashingStore,
    contents,
    entry,
    prepared,
    uris,
)

pytestmark = pytest.mark.integration


def change(index: Index) -> None:
    """Every kind of write, on top of `start`."""
    index.rename([("a.md", entry("sub/a.md")), ("b.md", entry("z.md"))])
    index.touch([entry("c.md")])
    index.replace([prepared("c.md", ROUTER), prepared("n.md", CHINESE)])
    index.remove(["d.md"])


def start(index: Index) -> None:
    index.replace([prepared("a.md", LEAVE), prepared("b.md", LONG), prepared("c.md", LEAVE * 2)])
    index.replace([prepared("d.md", "To be removed.")])


def change_again(index: Index) -> None:
    """What an ingest does after a crash: what the ledger says is not done yet."""
    known = set(uris(index))
    for old, new in (("a.md", "sub/a.md"), ("b.md", "z.md")):
        if new in known:
            index.remove([old])
        else:
            index.rename([(old, entry(new))])
    index.touch([entry("c.md")])
    index.replace([prepared("c.md", ROUTER), prepared("n.md", CHINESE)])
    index.remove(["d.md"])


def test_dying_at_any_write_loses_and_doubles_nothing(tmp_path: Path) -> None:
    versions = {LEAVE, LONG, LEAVE * 2, ROUTER, CHINESE, "To be removed."}
    with closing(EdgeStore(tmp_path, dimension=32, lock_timeout=0)) as store:
        start(Index(store, HashEmbedder()))
        counting = CrashingStore(store, at=-1)
        change(Index(counting, HashEmbedder()))
        expected = contents(store)
        assert counting.writes > 15
        for number in range(counting.writes):
            store.delete(list(contents(store)))
            start(Index(store, HashEmbedder()))
            with pytest.raises(Crash):
                change(Index(CrashingStore(store, at=number), HashEmbedder()))
            index = Index(store, HashEmbedder())
            assert_whole(index, versions)
            index.recover()
            assert_whole(index, versions)
            change_again(index)
            assert contents(store) == expected, f"after dying at write {number}"


def assert_whole(index: Index, versions: set[str]) -> None:
    """Every document is one of the versions that were ever given, and hits are of it."""
    texts = {}
    for uri in uris(index):
        document = index.document(uri)
        assert document is not None
        assert document.text in versions
        texts[uri] = document.text
    for hit in index.search("leave router topic7 年假", 100):
        assert hit.text == texts[hit.uri][hit.chunk.start : hit.chunk.end]
