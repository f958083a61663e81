"""A folder into a real index, again and again: the base is always that of a fresh start."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.chunking import split
from ingest.documents import Chunk, Document
from ingest.planning import plan
from ingest.sync import Progress, SyncReport, apply
from retrieval.edge_store import EdgeStore
from retrieval.index import Index
from retrieval.reuse import STEP
from tests.fakes import HashEmbedder
from tests.ingest.boxes import pack, unpacking
from tests.ingest.ledger import counts, write
from tests.retrieval.knowledge import Crash, CrashingStore, contents

pytestmark = pytest.mark.integration

QUERIES = ("alpha", "beta gamma", "第三段", "word7 of the text")


class Base:
    """An index, the store below it, and the count of what ingesting wrote and embedded."""

    def __init__(self, store: Any) -> None:
        self.store = store
        self.writes = CrashingStore(store, at=-1)
        self.embedder = HashEmbedder()
        self.index = Index(self.writes, self.embedder, clock=lambda: 0)

    def ingest(
        self,
        path: Path,
        *,
        prune: bool = True,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> SyncReport:
        self.index.recover()
        ledger = {record.uri: record for record in self.index.documents()}
        changes = plan(path, ledger, prune=prune)
        return apply(
            changes,
            self.index,
            prepare=lambda files: unpacking(files, self._split),
            on_progress=on_progress,
        )

    def known(self) -> dict[str, Any]:
        """Everything that a reader can see, scores aside, in a comparable order."""
        return {
            "ledger": {record.uri: asdict(record) for record in self.index.documents()},
            "points": contents(self.store),
            "hits": {
                query: {
                    (hit.uri, hit.chunk.start, hit.chunk.end, hit.text): hit.legs["dense"].score
                    for hit in self.index.search(query, 100)
                    if "dense" in hit.legs
                }
                for query in QUERIES
            },
        }

    def _split(self, document: Document) -> list[Chunk]:
        return split(document, token_starts=self.embedder.token_starts, max_tokens=26 + 12)


@pytest.fixture
def base(tmp_path: Path) -> Iterator[Base]:
    with closing(EdgeStore(tmp_path / "kb", dimension=32, lock_timeout=0)) as store:
        yield Base(store)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[EdgeStore, EdgeStore]]:
    """Two stores, emptied by those who use them: opening one costs more than a test."""
    folder = tmp_path_factory.mktemp("stores")
    with (
        closing(EdgeStore(folder / "1", dimension=32, lock_timeout=0)) as one,
        closing(EdgeStore(folder / "2", dimension=32, lock_timeout=0)) as two,
    ):
        yield one, two


def emptied(store: EdgeStore) -> Base:
    store.delete(list(contents(store)))
    return Base(store)


def text(seed: int) -> str:
    """A text with a title of its own (a title taken from the file's name would not be renamed)."""
    some = random.Random(seed)
    words = ("alpha", "beta", "gamma", "第三段", "word7", "text", "of", "the")
    body = " ".join(some.choice(words) for _ in range(seed % 5 * 12 + 3))
    return f"# Title {seed}\n\n{body}.\n"


def assert_as_fresh(base: Base, fresh: Base, docs: Path) -> None:
    fresh.ingest(docs)
    found, expected = base.known(), fresh.known()
    assert found["ledger"] == expected["ledger"]
    assert found["points"] == expected["points"]
    for query in QUERIES:
        assert found["hits"][query] == pytest.approx(expected["hits"][query], abs=1e-5)


def test_an_unchanged_folder_writes_nothing(base: Base, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    write(docs, a=text(1), b=text(2), sub__c=text(3))
    assert counts(base.ingest(docs)) == {"added": 3}
    writes, embedded = base.writes.writes, base.embedder.embedded
    assert counts(base.ingest(docs)) == {"unchanged": 3}
    assert (base.writes.writes, base.embedder.embedded) == (writes, embedded)


def test_an_ingest_can_be_stopped_within_a_batch(base: Base, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    write(docs, **{f"n{n}": f"Part {n} of it." for n in range(100)})
    before = base.known()

    def stop(progress: Progress) -> None:
        if base.embedder.embedded:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        base.ingest(docs, on_progress=stop)
    assert base.embedder.embedded == STEP
    assert base.known() == before
    assert base.ingest(docs).added == 100


def test_a_rename_and_a_touch_embed_nothing(base: Base, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    write(docs, a=text(1), b=text(2))
    base.ingest(docs)
    embedded = base.embedder.embedded
    (docs / "a.md").rename(docs / "z.md")
    os.utime(docs / "b.md", ns=(5, 5))
    assert counts(base.ingest(docs)) == {"renamed": 1, "unchanged": 1}
    assert base.embedder.embedded == embedded


def test_a_folder_after_its_sub_folders_is_as_a_fresh_base(
    stores: tuple[EdgeStore, EdgeStore], tmp_path: Path
) -> None:
    base, fresh = map(emptied, stores)
    docs = tmp_path / "docs"
    write(docs, sub__a=text(1), sub__sub__a=text(2), b__x=text(3), sub__x=text(4))
    base.ingest(docs / "sub")
    base.ingest(docs / "b")
    write(docs, a=text(5))
    base.ingest(docs)
    assert_as_fresh(base, fresh, docs)


def test_a_moved_root_is_as_a_fresh_base(
    stores: tuple[EdgeStore, EdgeStore], tmp_path: Path
) -> None:
    base, fresh = map(emptied, stores)
    write(tmp_path / "docs", a=text(1), b=text(2), c=text(3))
    base.ingest(tmp_path / "docs")
    moved = (tmp_path / "docs").rename(tmp_path / "moved")
    (moved / "a.md").rename(moved / "z.md")
    write(moved, b=text(7))
    base.ingest(moved)
    assert_as_fresh(base, fresh, moved)


NAMES = st.sampled_from(["a", "b", "c", "sub/a", "sub/b", "sub/deep/a"])
ACTS = st.one_of(
    st.tuples(st.just("write"), NAMES, st.integers(0, 9)),
    st.tuples(st.just("box"), NAMES, st.lists(st.integers(0, 9), max_size=3), st.booleans()),
    st.tuples(st.just("delete"), NAMES),
    st.tuples(st.just("rename"), NAMES, NAMES),
    st.tuples(st.just("swap"), NAMES, NAMES),
    st.tuples(st.just("ingest"), st.sampled_from(["", "", "sub", "sub/deep"])),
    st.tuples(st.just("crash"), st.integers(0, 12)),
)


def carry_out(act: tuple[Any, ...], docs: Path, base: Base) -> None:
    kind, *names = act
    second_name = names[1] if kind in ("rename", "swap") else names[0]
    first, second = (docs / f"{name}.md" for name in (names[0], second_name))
    if kind == "write":
        first.parent.mkdir(parents=True, exist_ok=True)
        first.write_text(text(names[1]), "utf-8")
    elif kind == "box":
        box = first.with_name(f"{first.stem}.box.json")
        pack(box, {f"{seed % 4}.md": text(seed) for seed in names[1]}, own="Mail." * names[2])
    elif kind == "delete":
        first.unlink(missing_ok=True)
    elif kind == "rename" and first.exists():
        second.parent.mkdir(parents=True, exist_ok=True)
        first.rename(second)
    elif kind == "swap" and first.exists() and second.exists() and first != second:
        first.rename(docs / "t")
        second.rename(first)
        (docs / "t").rename(second)
    elif kind == "ingest" and (docs / names[0]).exists():
        base.ingest(docs / names[0])
    elif kind == "crash":
        dying = Base(base.store)
        dying.index = Index(CrashingStore(base.store, at=names[0]), base.embedder, clock=lambda: 0)
        try:
            dying.ingest(docs)
        except Crash:
            # another process from here on
            base.index = Index(base.writes, base.embedder, clock=lambda: 0)


@pytest.mark.end_to_end
@settings(max_examples=12)
@given(acts=st.lists(ACTS, min_size=3, max_size=14))
def test_after_any_history_the_base_is_as_a_fresh_one(
    acts: list[tuple[Any, ...]],
    stores: tuple[EdgeStore, EdgeStore],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    docs = tmp_path_factory.mktemp("history") / "docs"
    docs.mkdir()
    base = emptied(stores[0])
    for act in (*acts, ("ingest", "")):
        carry_out(act, docs, base)
        if act == ("ingest", ""):
            assert_as_fresh(base, emptied(stores[1]), docs)
    writes = base.writes.writes
    base.ingest(docs)
    assert base.writes.writes == writes
    shutil.rmtree(docs.parent)
