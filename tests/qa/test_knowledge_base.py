"""The public API of issue 2, on real bases."""

from __future__ import annotations

import os
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path

import pytest

from ingest.documents import Document
from ingest.errors import BadRequest
from ingest.sync import Progress, SyncReport
from qa.answering import MAX_QUESTION
from qa.knowledge_base import KnowledgeBase
from qa.turn import Answer, Citation
from retrieval.embedding import Embedder
from retrieval.hits import Hit
from retrieval.terms import stems
from tests.qa.conftest import HANDBOOK, OpenLibrary, write_documents

pytestmark = pytest.mark.integration

QUESTION = "How many days of annual leave do I have?"


def counts(report: SyncReport) -> dict[str, int]:
    names = ("added", "changed", "renamed", "removed", "unchanged", "failed")
    return {name: getattr(report, name) for name in names if getattr(report, name)}


# --- ingest ---


def test_ingest_changes_only_what_changed(docs: Path, tmp_path: Path, embedder: Embedder) -> None:
    with KnowledgeBase.open(tmp_path / "kb", embedder=embedder) as kb:
        first = kb.ingest(docs)
        assert counts(first) == {"added": 4}
        assert first.chunks >= 4
        again = kb.ingest(docs)
        assert (counts(again), again.chunks) == ({"unchanged": 4}, 0)

        (docs / "notes.txt").write_text("The warehouse moved to Antwerp.", "utf-8")
        (docs / "handbook.md").rename(docs / "staff.md")
        (docs / "furnace.pdf").unlink()
        (docs / "new.md").write_text("# New\n\nThe canteen opens at 11:30.", "utf-8")
        (docs / "empty.txt").write_bytes(b"")
        report = kb.ingest(docs)
        assert counts(report) == {
            "added": 1, "changed": 1, "renamed": 1, "removed": 1, "unchanged": 1, "failed": 1,
        }  # fmt: skip
        assert [(failure.uri, failure.reason) for failure in report.failures] == [
            ("empty.txt", "is empty")
        ]
        assert [(record.uri, record.state) for record in kb.documents()] == [
            ("empty.txt", "failed"), ("new.md", "ok"), ("notes.txt", "ok"), ("staff.md", "ok"),
            ("产品/手册.md", "ok"),
        ]  # fmt: skip
        assert kb.ask(QUESTION).citations[0].uri == "staff.md"
        assert "Antwerp" in kb.ask("Where did the warehouse move?").text
        assert "Rotterdam" not in kb.document("notes.txt").text


def test_plan_tells_and_changes_nothing(docs: Path, kb: KnowledgeBase) -> None:
    plan = kb.plan(docs)
    assert len(plan.added) == 4  # another root
    assert kb.status().documents == 4


def test_ingest_tells_its_progress(docs: Path, kb: KnowledgeBase) -> None:
    seen: list[tuple[int, int]] = []

    def note(progress: Progress) -> None:
        seen.append((progress.done, progress.total))

    kb.ingest(docs, on_progress=note)
    assert seen[-1] == (4, 4)


def test_ingest_of_a_wrong_path_is_told(kb: KnowledgeBase, tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match=r"no such file or folder: .*nowhere"):
        kb.ingest(tmp_path / "nowhere")
    assert kb.status().documents == 4


def test_texts_from_elsewhere(kb: KnowledgeBase) -> None:
    document = Document.from_text(
        "The canteen opens at 11:30.", uri="web/canteen", title="Canteen", metadata={"lang": "en"}
    )
    assert counts(kb.ingest_documents([document])) == {"added": 1}
    assert counts(kb.ingest_documents(iter([document]))) == {"unchanged": 1}
    assert kb.document("web/canteen") == document
    changed = Document.from_text("The canteen opens at noon.", uri="web/canteen", title="Canteen")
    report = kb.ingest_documents([changed])
    assert (counts(report), report.chunks) == ({"changed": 1}, 1)
    assert kb.ask("When does the canteen open?").citations[0].quote == changed.text
    assert kb.search("canteen", filters={"metadata.lang": "en"}) == []


def test_garbage_from_elsewhere_is_refused(kb: KnowledgeBase) -> None:
    report = kb.ingest_documents(
        [
            Document.from_text("\ufffd\x01K\x03" * 200, uri="a.docx"),
            Document.from_text("A.", uri="a"),
        ]
    )
    assert (report.added, report.failed) == (1, 1)
    assert "garbled" in report.failures[0].reason
    assert {"a.docx", "a"} & {row.uri for row in kb.documents()} == {"a"}


def test_the_last_text_of_a_uri_wins(kb: KnowledgeBase) -> None:
    kb.ingest_documents(Document.from_text(f"Version {n}.", uri="x") for n in range(3))
    assert kb.document("x").text == "Version 2."
    assert {hit.text for hit in kb.search("version", filters={"uri": "x"})} == {"Version 2."}


def test_a_text_that_utf8_cannot_hold_is_taken(kb: KnowledgeBase) -> None:
    kb.ingest_documents([Document.from_text("The canteen \ud800 opens at 11:30.", uri="canteen")])
    answered = kb.ask("When does the canteen open?")
    assert answered.citations[0].verified


def test_a_text_without_a_uri_is_refused(kb: KnowledgeBase) -> None:
    with pytest.raises(BadRequest, match="empty uri"):
        kb.ingest_documents([Document.from_text("text", uri="")])


def test_texts_from_elsewhere_survive_an_ingest(kb: KnowledgeBase, docs: Path) -> None:
    kb.ingest_documents([Document.from_text("The canteen opens at 11:30.", uri="canteen")])
    kb.ingest(docs)
    assert kb.document("canteen").text == "The canteen opens at 11:30."


def test_a_source_that_fails_leaves_the_base_usable(kb: KnowledgeBase) -> None:
    def documents() -> Iterator[Document]:
        yield Document.from_text("One.", uri="1")
        raise OSError("the source is gone")

    with pytest.raises(OSError, match="gone"):
        kb.ingest_documents(documents())
    kb.ingest_documents([Document.from_text("Two.", uri="2")])
    assert kb.document("2").text == "Two."
    assert kb.ask(QUESTION).citations[0].verified


def test_remove(kb: KnowledgeBase) -> None:
    kb.remove("handbook.md")
    assert kb.status().documents == 3
    assert "handbook.md" not in {hit.uri for hit in kb.search("annual leave")}
    with pytest.raises(BadRequest, match=r"no document 'handbook\.md'"):
        kb.document("handbook.md")
    with pytest.raises(BadRequest, match=r"no document 'handbook\.md'"):
        kb.remove("handbook.md")


# --- search ---


def test_what_is_removed_of_an_archive_comes_back(kb: KnowledgeBase, tmp_path: Path) -> None:
    (tmp_path / "packed").mkdir()
    with zipfile.ZipFile(tmp_path / "packed" / "a.zip", "w") as archive:
        archive.writestr("gate.txt", "The gate is green.")
        archive.writestr("door.txt", "The door is blue.")
    assert kb.ingest(tmp_path / "packed").added == 2
    kb.remove("a.zip!/gate.txt")
    again = kb.ingest(tmp_path / "packed")
    assert (again.added, again.changed, again.unchanged) == (1, 0, 1)
    assert kb.document("a.zip!/gate.txt") is not None
    assert kb.ingest(tmp_path / "packed").unchanged == 2


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_that_is_no_utf8_is_a_document_like_any(kb: KnowledgeBase, tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"lat\xe9")
    folder.mkdir()
    file = folder / os.fsdecode(b"r\xe9sum\xe9.txt")
    file.write_text("The gate is green.")
    assert kb.ingest(folder).added == 1
    (row,) = [row for row in kb.documents() if row.source == str(file)]
    assert row.uri == "r\\xe9sum\\xe9.txt"
    assert kb.ingest(folder).unchanged == 1
    file.rename(folder / "resume.txt")
    assert kb.ingest(folder).renamed == 1


def test_hits_are_spans_of_their_documents(kb: KnowledgeBase) -> None:
    hits = kb.search("annual leave", k=3)
    assert len(hits) == 3
    assert all(isinstance(hit, Hit) for hit in hits)
    assert hits[0].uri == "handbook.md"
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    for hit in hits:
        assert 0 <= hit.score <= 1
        assert set(hit.legs) <= {"dense", "lexical"}
        assert kb.document(hit.uri).text[hit.chunk.start : hit.chunk.end] == hit.chunk.text


@pytest.mark.parametrize(
    ("filters", "uris"),
    [
        ({"uri": "notes.txt"}, {"notes.txt"}),
        ({"uri": ["notes.txt", "产品/手册.md"]}, {"notes.txt", "产品/手册.md"}),
        ({"page": 1}, {"furnace.pdf"}),
        ({"media_type": "text/markdown"}, {"handbook.md", "产品/手册.md"}),
        ({"uri": "notes.txt", "page": 2}, set()),
    ],
)
def test_filters(kb: KnowledgeBase, filters: dict[str, object], uris: set[str]) -> None:
    hits = kb.search("What does alarm E-17 mean for the 水泵?", filters=filters)
    assert {hit.uri for hit in hits} == uris
    answered = kb.ask("What does alarm E-17 mean for the 水泵?", filters=filters)
    assert {hit.uri for hit in answered.hits} == uris


def test_a_wrong_search_is_told(kb: KnowledgeBase) -> None:
    for query in ("", " \n"):
        with pytest.raises(BadRequest, match="empty"):
            kb.search(query)
    for k in (0, -1, 1001):
        with pytest.raises(BadRequest, match=f"k is {k}"):
            kb.search("leave", k=k)
    with pytest.raises(BadRequest, match="unknown filter field 'author'"):
        kb.search("leave", filters={"author": "Ann"})


def test_explain_adds_reasons_to_the_same_hits(kb: KnowledgeBase) -> None:
    found = kb.explain("annual leave", 3)
    assert list(found.hits) == kb.search("annual leave", 3)
    assert 0 < found.weight < 1
    assert stems(found.terms) == ["annual", "leav"]
    assert set(found.timings) == {"embed", "search", "fuse", "read"}


def test_an_empty_base_finds_and_answers_nothing(tmp_path: Path, embedder: Embedder) -> None:
    with KnowledgeBase.open(tmp_path / "kb", embedder=embedder) as kb:
        assert kb.search("leave") == []
        assert kb.documents() == []
        assert kb.ask(QUESTION).abstained
        assert (kb.status().documents, kb.status().chunks) == (0, 0)


# --- ask ---


def test_the_fields_of_an_answer(kb: KnowledgeBase) -> None:
    answered = kb.ask(QUESTION)
    assert isinstance(answered, Answer)
    assert {field.name for field in fields(answered)} == {
        "text", "citations", "hits", "abstained", "model", "usage", "timings", "cost", "notes",
        "statements", "evidence", "doubtful", "query",
    }  # fmt: skip
    assert {field.name for field in fields(Citation)} >= {
        "number", "uri", "page", "start", "end", "quote", "verified",
    }  # fmt: skip
    assert answered.query == QUESTION
    assert answered.model == "extractive"
    assert answered.usage == {}
    assert {"embed", "search", "total"} <= set(answered.timings)
    assert "25 days" in answered.text
    assert HANDBOOK.count(answered.citations[0].quote) == 1


@pytest.mark.parametrize("question", ["", "  ", "\n\t", "\u3000"])
def test_an_empty_question_is_told(kb: KnowledgeBase, question: str) -> None:
    with pytest.raises(BadRequest, match="the question is empty"):
        kb.ask(question)


def test_a_long_question_is_told_with_the_limit(kb: KnowledgeBase) -> None:
    with pytest.raises(BadRequest, match="102,400 characters; the limit is 20,000"):
        kb.ask("q" * 102_400)
    assert kb.ask("annual leave " * (MAX_QUESTION // 13)).hits


@pytest.mark.parametrize(
    "question", ["?", "。。。", "🙂", "the of and", "\x00", "\ud800 leave", "'\"\\{}"]
)
def test_odd_questions_get_an_answer_or_a_refusal(kb: KnowledgeBase, question: str) -> None:
    answered = kb.ask(question)
    assert answered.abstained or answered.citations
    assert kb.search(question) is not None


# --- open, close, threads ---


def test_closing_twice_does_no_harm(kb: KnowledgeBase) -> None:
    kb.close()
    kb.close()


def test_a_lent_embedder_is_not_closed(kb: KnowledgeBase, embedder: Embedder) -> None:
    kb.close()
    assert embedder.embed_query("still open").shape == (384,)


def test_with_closes_on_an_error(open_library: OpenLibrary) -> None:
    with pytest.raises(ZeroDivisionError), open_library():
        raise ZeroDivisionError
    assert open_library().status().documents == 4


def test_documents_lists_the_ledger(kb: KnowledgeBase) -> None:
    records = kb.documents()
    assert [record.uri for record in records] == [
        "furnace.pdf", "handbook.md", "notes.txt", "产品/手册.md",
    ]  # fmt: skip
    assert sum(record.chunks for record in records) == kb.status().chunks
    assert records[1].title == "Staff handbook"
    assert records[1].sha256 == kb.document("handbook.md").sha256
    assert kb.document("furnace.pdf").pages[1].number == 2


def test_eight_threads_ask_while_one_ingests(kb: KnowledgeBase, tmp_path: Path) -> None:
    folder = write_documents(tmp_path / "more")
    kb.ingest(folder)  # from here on the same uris change under the readers
    done = threading.Event()

    def ingest() -> None:
        for round_ in range(6):
            text = f"{HANDBOOK}\n## Edition\n\nThis is edition {round_} of the handbook.\n"
            (folder / "handbook.md").write_text(text, "utf-8")
            (folder / f"extra-{round_}.txt").write_text(f"Extra text {round_} on leave.", "utf-8")
            kb.ingest(folder)
        done.set()

    def read(number: int) -> list[Citation]:
        citations: list[Citation] = []
        ask: list[Callable[[], object]] = [
            lambda: citations.extend(kb.ask(QUESTION).citations),
            lambda: citations.extend(kb.ask("水泵运行多久需要加注润滑油？").citations),
            lambda: kb.search("edition of the handbook", k=5),
            lambda: (kb.documents(), kb.status(), kb.document("notes.txt")),
        ]
        rounds = 0
        while not done.is_set() or rounds < 2:
            ask[(rounds + number) % len(ask)]()
            rounds += 1
        return citations

    with ThreadPoolExecutor(9) as pool:
        writer = pool.submit(ingest)
        readers = [pool.submit(read, number) for number in range(8)]
        writer.result()
        citations = [citation for reader in readers for citation in reader.result()]
    assert citations
    unverified = [citation for citation in citations if not citation.verified]
    assert unverified == []
    uris = {record.uri for record in kb.documents()}
    assert {f"extra-{n}.txt" for n in range(6)} <= uris or {
        f"more/extra-{n}.txt" for n in range(6)
    } <= uris
    assert "edition 5" in kb.ask("Which edition of the handbook is this?").text
