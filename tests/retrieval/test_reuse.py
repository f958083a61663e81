"""Rows without documents, vectors that are used again, and what stands around a passage."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from ingest.documents import Document, FileEntry, Mark, Page, Prepared, Record, Section
from retrieval.edge_store import EdgeStore
from retrieval.index import Index
from retrieval.points import chunk_of, ledger, row_id
from retrieval.store import Point
from retrieval.widening import section_around
from tests.fakes import HashEmbedder
from tests.retrieval.knowledge import prepared

pytestmark = pytest.mark.integration

PARAGRAPHS = [f"Paragraph {n} of the long report speaks of topic{n} and more." for n in range(20)]
LONG = "\n\n".join(PARAGRAPHS)
FAILED = Record(
    "a.md", "f" * 64, media_type="text/markdown", root="/r", source="/r/a.md", size=3, mtime_ns=4,
    ctime_ns=5, state="failed", error="is damaged", parser="markdown/1",
)  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EdgeStore]:
    with closing(EdgeStore(tmp_path / "kb", dimension=32, lock_timeout=0)) as store:
        yield store


def texts(index: Index) -> list[str]:
    return sorted(hit.text for hit in index.search("report paragraph", 100))


def test_of_an_edited_document_only_new_passages_are_embedded(store: EdgeStore) -> None:
    embedder = HashEmbedder()
    index = Index(store, embedder)
    index.replace([prepared("a.md", LONG)])
    first = embedder.embedded
    edited = LONG.replace("topic19", "something else")
    index.replace([prepared("a.md", edited)])
    assert 1 <= embedder.embedded - first <= 2 < first
    fresh = {item.text: embedder.embed([item.embedded_text])[0]
             for item in prepared("a.md", edited).chunks}  # fmt: skip
    for point in store.scan({"kind": "chunk"}, vectors=True):
        assert point.vector == pytest.approx(fresh[chunk_of(point).text], abs=1e-6)


def test_equal_passages_are_embedded_once(store: EdgeStore) -> None:
    embedder = HashEmbedder()
    Index(store, embedder).replace([prepared("a.md", LONG), prepared("b.md", LONG)])
    assert embedder.embedded == len(prepared("a.md", LONG).chunks)


def test_a_rename_embeds_nothing_even_where_the_title_is_the_name(store: EdgeStore) -> None:
    embedder = HashEmbedder()
    index = Index(store, embedder)
    index.replace([prepared("plan-2024.txt", LONG, title="plan-2024")])
    before = embedder.embedded
    index.rename([("plan-2024.txt", FileEntry("plan-2025.txt", "/r/p", "/r", 1, 2, 3))])
    assert embedder.embedded == before
    assert index.search("plan 2025")[0].chunk.title == "plan-2025"


def test_what_failed_keeps_its_last_good_version(store: EdgeStore) -> None:
    index = Index(store, HashEmbedder(), clock=lambda: 9)
    index.replace([prepared("a.md", LONG)])
    before = texts(index)
    index.note([FAILED])
    (row,) = index.documents()
    assert row == replace(FAILED, chunks=len(before), ingested_ns=9, title=row.title)
    assert texts(index) == before
    document = index.document("a.md")
    assert document is not None
    assert (document.text, document.sha256) == (LONG, prepared("a.md", LONG).document.sha256)
    assert index.count() == (1, len(before))
    index.rename([("a.md", FileEntry("b.md", "/r/b.md", "/r", 3, 4, 5))])
    assert texts(index) == before
    assert [(row.uri, row.state) for row in index.documents()] == [("b.md", "failed")]


def test_what_never_was_read_is_a_row_only(store: EdgeStore) -> None:
    index = Index(store, HashEmbedder(), clock=lambda: 9)
    index.note([FAILED])
    assert list(index.documents()) == [replace(FAILED, ingested_ns=9, quality={})]
    assert index.count() == (0, 0)
    assert index.document("a.md") is None
    index.rename([("a.md", FileEntry("b.md", "/r/b.md", "/r", 3, 4, 5))])
    index.touch([FileEntry("b.md", "/r/b.md", "/r", 3, 4, 6)])
    assert [(row.uri, row.ctime_ns, row.error) for row in index.documents()] == [
        ("b.md", 6, "is damaged")
    ]
    index.replace([prepared("b.md", LONG)])
    assert [(row.state, row.error) for row in index.documents()] == [("ok", "")]
    index.remove(["b.md"])
    assert list(index.documents()) == []


def test_a_document_that_becomes_a_container_loses_its_text(store: EdgeStore) -> None:
    index = Index(store, HashEmbedder())
    index.replace([prepared("a.md", LONG)])
    index.note([replace(FAILED, state="container", error="")])
    assert index.count() == (0, 0)
    assert [row.state for row in index.documents()] == ["container"]
    assert list(store.scan({"kind": ["chunk", "content", "journal"]})) == []


def test_all_that_a_document_tells_is_kept(store: EdgeStore) -> None:
    index = Index(store, HashEmbedder())
    item = prepared("a.xlsx", LONG)
    document = replace(
        item.document,
        pages=(Page(1, 0, 9, "Sheet1", {"characters": 9}), Page(2, 10, 20)),
        sections=(Section("S", 1, 0, 50),),
        marks=(Mark("rows", 0, 9, "Sheet1!A1:B2"), Mark("hidden", 10, 12)),
        quality={"garbled_share": 0.1},
        first_line=4,
        parser="xlsx/1",
    )
    chunk = replace(
        item.chunks[0], line=7, cells="Sheet1!A1:B2", context="Header", omitted=((3, 5), (8, 9))
    )
    index.replace([Prepared(document, [chunk])])
    assert index.document("a.xlsx") == document
    (hit,) = index.search("report")
    assert hit.chunk == chunk
    (row,) = index.documents()
    assert (row.parser, row.quality) == ("xlsx/1", {"garbled_share": 0.1})


def test_a_row_of_format_1_is_read(store: EdgeStore) -> None:
    index = Index(store, HashEmbedder())
    index.replace([prepared("a.md", LONG)])
    (row,) = index.documents()
    id_ = row_id("a.md")
    payload = store.read([id_])[id_].payload
    flat = {
        "kind": "document", "uri": "a.md", "document_id": payload["document_id"],
        "sha256": row.sha256, "title": row.title, "media_type": row.media_type,
        "chunks": row.chunks, "parts": 1,
    }  # fmt: skip
    store.write([Point(id_, flat)])
    (old,) = ledger(store)
    assert (old.uri, old.sha256, old.state, old.parser) == ("a.md", row.sha256, "ok", "")
    assert index.document("a.md") == prepared("a.md", LONG).document
    index.touch([FileEntry("a.md", "/r/a.md", "/r", 1, 2, 3)])
    assert [found.source for found in index.documents()] == ["/r/a.md"]


def test_neighbours_and_parent(store: EdgeStore) -> None:
    index = Index(store, HashEmbedder())
    item = prepared("a.md", LONG)
    start = LONG.index("Paragraph 5")
    sections = (Section("All", 1, 0, len(LONG)), Section("Five", 2, start, start + 700))
    document: Document = replace(item.document, sections=sections)
    index.replace([Prepared(document, item.chunks)])
    chunks = list(item.chunks)
    middle = next(chunk for chunk in chunks if chunk.start >= start)
    place = middle.position
    assert index.neighbours(middle) == chunks[place - 1 : place + 2]
    assert index.neighbours(chunks[0], 2, 1) == chunks[:2]
    assert index.neighbours(chunks[-1], 1, 5) == chunks[-2:]
    parent = index.parent(middle)
    assert parent.text == LONG[parent.start : parent.end] == LONG[start : start + 700]
    assert parent.heading == ("All", "Five")
    secret = Mark("hidden", start + 20, start + 60)
    hiding = replace(document, marks=(secret,))
    assert section_around(hiding, middle).omitted == ((20, 60),)
    assert index.parent(replace(middle, document_id="a.md@old")).text == middle.text
