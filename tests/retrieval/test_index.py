from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ingest.documents import Document, Page, Prepared, Section
from ingest.errors import BadRequest
from retrieval.edge_store import EdgeStore
from retrieval.fusion import probability
from retrieval.index import Index
from retrieval.openvino_embedder import OpenVinoEmbedder
from retrieval.points import PART, Base, read_base, write_base
from retrieval.searching import MAX_K
from retrieval.terms import stems
from tests.fakes import HashEmbedder
from tests.retrieval.knowledge import (
    CHINESE,
    LEAVE,
    LONG,
    ROUTER,
    CrashingStore,
    contents,
    entry,
    open_index,
    prepared,
    uris,
)

pytestmark = pytest.mark.integration


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    """A base of three documents."""
    with open_index(tmp_path / "kb") as index:
        index.replace(
            [
                prepared("leave.md", LEAVE, title="Handbook", media_type="text/markdown"),
                prepared("dir/router.txt", ROUTER, metadata={"year": 2024, "lang": "en"}),
                prepared("年假.txt", CHINESE, metadata={"year": 2025}),
            ]
        )
        yield index


# --- searching ---


@pytest.mark.parametrize(
    ("query", "uri"),
    [
        ("How many days of annual leave?", "leave.md"),
        ("ERR_CONN-1042", "dir/router.txt"),
        ("err 1042", "dir/router.txt"),
        ("restarting routers", "dir/router.txt"),
        ("年假有几天？", "年假.txt"),
        ("路由器怎么重启", "年假.txt"),
    ],
)
def test_the_passage_in_question_comes_first(index: Index, query: str, uri: str) -> None:
    hit = index.search(query)[0]
    assert hit.uri == uri
    document = index.document(uri)
    assert document is not None
    assert hit.text == hit.chunk.text == document.text[hit.chunk.start : hit.chunk.end]
    assert hit.chunk.document_id == document.id


@pytest.mark.parametrize("query", ["leave days", "router 路由器", "the", "😀", "of topic7 1042"])
def test_scores_fall_within_0_and_1(tmp_path: Path, query: str) -> None:
    with open_index(tmp_path) as index:
        index.replace([prepared("long.md", LONG), prepared("leave.md", LEAVE)])
        hits = index.search(query, 20)
    scores = [hit.score for hit in hits]
    assert len(scores) >= 2
    assert scores == sorted(scores, reverse=True)
    assert all(0.0 <= score <= 1.0 for score in scores)


def test_hits_say_what_each_leg_thought(index: Index) -> None:
    explanation = index.explain("annual leave")
    best = explanation.hits[0]
    assert best.legs["lexical"].rank == best.legs["dense"].rank == 1
    assert sorted(hit.legs["dense"].rank for hit in explanation.hits) == [1, 2, 3]
    assert [hit.uri for hit in explanation.hits if "lexical" in hit.legs] == ["leave.md"]
    cosine, bm25 = best.legs["dense"].score, best.legs["lexical"].score
    total = sum(explanation.terms.values())
    strength = explanation.weight * cosine + (1 - explanation.weight) * bm25 / total
    assert best.score >= probability(strength)  # its own vector is among the feedback
    assert 0.5 < explanation.evidence < 1.0
    assert index.explain("annual leave", 1).evidence == explanation.evidence
    assert index.explain("annual leave", 1).cut == {"beyond k": 2}
    assert stems(explanation.terms) == ["annual", "leav"]
    assert set(explanation.timings) == {"embed", "search", "fuse", "read"}
    assert all(seconds >= 0 for seconds in explanation.timings.values())


def test_an_explanation_says_why(tmp_path: Path) -> None:
    with open_index(tmp_path) as index:
        index.replace([prepared(uri, LEAVE) for uri in ("leave.md", "copy.md")])
        index.replace([prepared("long.md", LONG)])
        found = index.explain("annual leave", 2)
    copy = next(item for item in found.dropped if item.why == "copy")
    assert {copy.chunk.uri, copy.of} == {"copy.md", "leave.md"}
    assert found.hits[0].copies == (copy.chunk.uri,)
    assert sum(found.cut.values()) == len(found.candidates) - 2
    for hit in found.hits:
        why = found.reasons(hit)
        assert why.strength == pytest.approx(why.dense + why.lexical + why.feedback)
        assert hit.score == pytest.approx(probability(why.strength))
    assert found.reasons(found.hits[0]).rank in (1, 2)


def test_the_dense_leg_counts_less_where_the_embedder_is_blind(tmp_path: Path) -> None:
    with open_index(tmp_path, HashEmbedder(known_share=0.0)) as index:
        index.replace([prepared("leave.md", LEAVE)])
        assert index.explain("annual leave").weight == 0.0


def test_evidence_of_an_empty_base_is_0(tmp_path: Path) -> None:
    with open_index(tmp_path) as index:
        explanation = index.explain("anything")
        assert (explanation.hits, explanation.evidence) == ((), 0.0)
        assert index.count() == (0, 0)
        assert list(index.documents()) == []
        assert index.document("a.md") is None
        index.remove(["a.md"])
        index.touch([entry("a.md")])
        index.rename([("a.md", entry("b.md"))])
        index.recover()
        index.optimize()
        assert index.count() == (0, 0)


@pytest.mark.parametrize("query", ["", " \n\t ", "\u3000"])
def test_an_empty_query_is_refused(index: Index, query: str) -> None:
    with pytest.raises(BadRequest, match="the question is empty"):
        index.search(query)


@pytest.mark.parametrize("k", [-1, 0, MAX_K + 1])
def test_a_bad_k_is_refused(index: Index, k: int) -> None:
    with pytest.raises(BadRequest, match=f"k is {k}: ask for 1 to 1000"):
        index.search("leave", k)


@pytest.mark.parametrize("k", [1, 2, 5, 40, MAX_K])
def test_k_hits_come_where_there_are_so_many(tmp_path: Path, k: int) -> None:
    with open_index(tmp_path) as index:
        index.replace([prepared("long.md", LONG, tokens=8)])
        chunks = index.count()[1]
        hits = index.search("paragraph of the report", k)
    assert len(hits) == min(k, chunks)
    assert len({hit.chunk.position for hit in hits}) == len(hits)


@pytest.mark.parametrize(
    "query",
    ["what is the", "😀🎉", "?!", "\x00", "leave " * 170_000, "年假" * 500_000, "a\udcff leave"],
    ids=["stop words", "emoji", "marks", "NUL", "1 MB", "1 M Chinese", "surrogate"],
)
def test_odd_queries_are_answered(index: Index, query: str) -> None:
    hits = index.search(query, 2)
    assert len(hits) == 2
    assert all(0.0 <= hit.score <= 1.0 for hit in hits)


def test_without_terms_the_dense_leg_stands_alone(index: Index) -> None:
    explanation = index.explain("what is the")
    assert explanation.terms == {}
    best = explanation.hits[0]
    assert set(best.legs) == {"dense"}
    assert best.score >= probability(max(0.0, best.legs["dense"].score))


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"uri": "leave.md"}, {"leave.md"}),
        ({"uri": ["leave.md", "年假.txt", "nowhere"]}, {"leave.md", "年假.txt"}),
        ({"media_type": "text/plain"}, {"dir/router.txt", "年假.txt"}),
        ({"title": "Handbook"}, {"leave.md"}),
        ({"metadata.year": 2025}, {"年假.txt"}),
        ({"metadata.year": 2024, "metadata.lang": "en"}, {"dir/router.txt"}),
        ({"metadata.year": 2025, "metadata.lang": "en"}, set()),
        ({"metadata.none": "x"}, set()),
        ({}, {"leave.md", "dir/router.txt", "年假.txt"}),
    ],
)
def test_filters_hold_for_both_legs(
    index: Index, where: dict[str, Any], expected: set[str]
) -> None:
    hits = index.search("annual leave router 年假", where=where)
    assert {hit.uri for hit in hits} == expected


def test_an_unknown_filter_is_refused(index: Index) -> None:
    with pytest.raises(BadRequest, match=r"'sha256': use date, .* or metadata\.NAME"):
        index.search("leave", where={"sha256": "x"})


def test_term_weights_follow_the_documents(index: Index) -> None:
    before = index.term_weights(["leav", "router", "unseen"])
    assert before["leav"] == before["router"]
    index.replace([prepared("more.md", "Leave, and leave again.")])
    after = index.term_weights(["leav", "router"])
    assert after["leav"] < after["router"]
    assert index.term_weights([]) == {}


# --- documents ---


def test_a_document_comes_back_as_it_was(tmp_path: Path) -> None:
    text = "# One\n\nText. 文字。😀\n\n## Two\n\nMore."
    document = replace(
        Document.from_text(text, uri="dir/名.md", title="标题", media_type="text/markdown"),
        pages=(Page(3, 0, 7), Page(4, 7, len(text))),
        sections=(Section("One", 1, 0, len(text)), Section("Two", 2, 21, len(text))),
        metadata={"text": "x", "int": 1, "float": 1.5, "bool": True},
        quality={"replaced_share": 0.25},
    )
    with open_index(tmp_path) as index:
        index.replace([Prepared(document, [], entry("dir/名.md"))])
        assert index.document("dir/名.md") == document
        (record,) = index.documents()
    assert (record.uri, record.sha256, record.title) == (document.uri, document.sha256, "标题")
    assert (record.root, record.source, record.chunks) == ("/root", "/root/dir/名.md", 0)
    assert (record.size, record.mtime_ns, record.ctime_ns) == (7, 8, 9)


@pytest.mark.parametrize("length", [0, 1, PART - 1, PART, PART + 1, 2 * PART + 7])
def test_texts_of_any_length_come_back(tmp_path: Path, length: int) -> None:
    text = ("0123456789字" * (length // 11 + 1))[:length]
    document = Document.from_text(text, uri="a.txt")
    with open_index(tmp_path) as index:
        index.replace([Prepared(document, [])])
        assert index.document("a.txt") == document


# --- changing ---


def test_replacing_leaves_nothing_of_the_old_version(tmp_path: Path) -> None:
    with closing(EdgeStore(tmp_path, dimension=32, lock_timeout=0)) as store:
        index = Index(store, HashEmbedder())
        index.replace([prepared("a.md", LONG, tokens=8), prepared("b.md", LEAVE)])
        index.replace([prepared("a.md", ROUTER)])
        chunks = [p for p in contents(store).values() if p["kind"] == "chunk"]
        assert all("topic" not in hit.text for hit in index.search("topic7 report", 50))
        assert {p["uri"] for p in chunks} == {"a.md", "b.md"}
        assert len(chunks) == len(prepared("a.md", ROUTER).chunks) + len(
            prepared("b.md", LEAVE).chunks
        )
        assert not [p for p in contents(store).values() if p["kind"] == "journal"]


def test_of_one_uri_twice_in_a_batch_the_last_counts(tmp_path: Path) -> None:
    with open_index(tmp_path) as index:
        index.replace([prepared("a.md", LEAVE), prepared("a.md", ROUTER)])
        assert index.count() == (1, len(prepared("a.md", ROUTER).chunks))
        document = index.document("a.md")
    assert document is not None
    assert document.text == ROUTER


def test_replacing_nothing_writes_nothing(index: Index) -> None:
    before = index.count()
    index.replace([])
    assert index.count() == before


def test_renaming_copies_vectors_and_embeds_nothing(tmp_path: Path) -> None:
    embedder = HashEmbedder()
    with open_index(tmp_path, embedder) as index:
        index.replace([prepared("a.md", LONG, title="Report"), prepared("b.md", LEAVE)])
        before = index.search("topic7")
        embedded = embedder.embedded
        index.rename([("a.md", entry("new/c.md")), ("missing.md", entry("d.md"))])
        assert embedder.embedded == embedded
        assert uris(index) == ["b.md", "new/c.md"]
        assert index.document("a.md") is None
        after = index.search("topic7")
        assert [(h.text, h.score, h.legs) for h in after] == [
            (h.text, h.score, h.legs) for h in before
        ]
        document = index.document("new/c.md")
        assert document is not None
        assert after[0].chunk.document_id == document.id
        assert document.text == LONG
        (record,) = [r for r in index.documents() if r.uri == "new/c.md"]
        assert (record.source, record.chunks) == ("/root/new/c.md", before_chunks(LONG))


def before_chunks(text: str) -> int:
    return len(prepared("x", text).chunks)


def test_renaming_to_its_own_uri_loses_nothing(index: Index) -> None:
    before = index.count()
    index.rename([("leave.md", entry("leave.md"))])
    assert index.count() == before
    assert index.search("annual leave")[0].uri == "leave.md"


def test_many_are_renamed_with_few_writes_even_into_each_others_place(tmp_path: Path) -> None:
    texts = {f"{number}.md": f"Text number {number}." for number in range(40)}
    with closing(EdgeStore(tmp_path, dimension=32, lock_timeout=0)) as store:
        counting = CrashingStore(store, at=-1)
        index = Index(counting, HashEmbedder())
        index.replace([prepared(uri, text) for uri, text in texts.items()])
        before = counting.writes
        index.rename([(f"{number}.md", entry(f"{number + 1}.md")) for number in range(40)])
        assert counting.writes - before < 10
        for number in range(40):
            document = index.document(f"{number + 1}.md")
            assert document is not None
            assert document.text == f"Text number {number}."
        assert index.document("0.md") is None
        assert index.count() == (40, 40)


def test_touching_records_the_file_and_nothing_else(index: Index) -> None:
    hits = index.search("annual leave")
    index.touch([entry("leave.md"), entry("missing.md")])
    (record,) = [r for r in index.documents() if r.uri == "leave.md"]
    assert (record.source, record.mtime_ns, record.title) == ("/root/leave.md", 8, "Handbook")
    assert index.search("annual leave") == hits
    assert len(uris(index)) == 3


def test_removing_drops_document_and_chunks(index: Index) -> None:
    index.remove(["leave.md", "missing.md"])
    assert uris(index) == ["dir/router.txt", "年假.txt"]
    assert index.document("leave.md") is None
    assert all(hit.uri != "leave.md" for hit in index.search("annual leave"))
    index.remove(["leave.md"])
    index.remove([])
    assert index.count() == (2, 2)


def test_a_base_remembers_what_it_was_built_with(tmp_path: Path) -> None:
    with closing(EdgeStore(tmp_path, dimension=8, lock_timeout=0)) as store:
        assert read_base(store) is None
        write_base(store, Base("hash:8", 8))
    with closing(EdgeStore(tmp_path, lock_timeout=0)) as store:
        assert read_base(store) == Base("hash:8", 8)


def test_it_works_with_the_real_embedder(tmp_path: Path, embedder: OpenVinoEmbedder) -> None:
    with open_index(tmp_path, embedder) as index:
        index.replace([prepared("leave.md", LEAVE), prepared("router.md", ROUTER)])
        hits = index.search("How much vacation do employees get?")
    assert hits[0].uri == "leave.md"
    assert "lexical" not in hits[0].legs


def test_a_question_in_full_width_letters_means_the_same(
    tmp_path: Path, embedder: OpenVinoEmbedder
) -> None:
    with open_index(tmp_path, embedder) as index:
        index.replace([prepared("leave.md", LEAVE), prepared("router.md", ROUTER)])
        plain = index.explain("AC-1200 router")
        wide = index.explain("ＡＣ－１２００ ｒｏｕｔｅｒ")
    assert (wide.hits, wide.known_share, wide.evidence) == (
        plain.hits,
        plain.known_share,
        plain.evidence,
    )


# --- renaming ---


def test_vectors_survive_a_rename(tmp_path: Path) -> None:
    with closing(EdgeStore(tmp_path, dimension=32, lock_timeout=0)) as store:
        index = Index(store, HashEmbedder())
        index.replace([prepared("a.md", LEAVE)])
        (before,) = store.scan({"kind": "chunk"}, vectors=True)
        index.rename([("a.md", entry("b.md"))])
        (after,) = store.scan({"kind": "chunk"}, vectors=True)
    assert before.vector is not None
    assert after.vector is not None
    np.testing.assert_array_equal(before.vector, after.vector)
    assert after.payload["terms"] == before.payload["terms"]


def test_a_title_that_is_the_file_name_follows_a_rename(tmp_path: Path) -> None:
    with open_index(tmp_path) as index:
        index.replace([prepared("plan-2024.txt", LEAVE, title="plan-2024")])
        index.rename([("plan-2024.txt", entry("plan-2025.txt"))])
        (hit,) = index.search("plan-2025", 1)
        assert (hit.uri, hit.chunk.title) == ("plan-2025.txt", "plan-2025")
        assert "lexical" in hit.legs
        document = index.document("plan-2025.txt")
        assert document is not None
        assert document.title == "plan-2025"
        assert [record.title for record in index.documents()] == ["plan-2025"]
