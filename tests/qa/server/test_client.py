"""The client has the methods of a knowledge base, and gives what that gives."""

from __future__ import annotations

import asyncio
import inspect
import io
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from zipfile import ZipFile

import pytest

from ingest.documents import Document, Page
from ingest.errors import BadRequest, NotAuthorised, StorageError, Unreachable
from ingest.sync import Progress, SyncReport
from qa import client, client_calls, client_sending
from qa.client import AsyncRemoteKnowledgeBase, RemoteKnowledgeBase
from qa.client_calls import Call
from qa.knowledge_base import KnowledgeBase
from qa.server.access import LOCAL
from qa.server.keys import Role
from qa.server.limits import Limits
from qa.server.problems import FORMS, STATUSES, TooManyRequests
from qa.turn import Message
from retrieval.explaining import Dropped
from tests.ingest.loaders.builders import pdf
from tests.qa.command_line import Done, Kbqa, is_one_clear_line
from tests.qa.conftest import write_documents
from tests.qa.server.serving import Served, serving, settings_for

pytestmark = pytest.mark.integration

QUESTION = "How many days of annual leave do I have?"


@pytest.fixture(scope="module")
def served(data_dir: Path, cache_dir: Path) -> Iterator[Served]:
    """A server that takes no large files."""
    settings = settings_for(data_dir, cache_dir, serve_rate=100_000, serve_upload_mb=2)
    with serving(settings) as running:
        running.service.bases.create("other")
        yield running


@pytest.fixture
def remote(served: Served) -> Iterator[RemoteKnowledgeBase]:
    with RemoteKnowledgeBase(served.url, "library") as opened:
        yield opened


@pytest.fixture
def local(served: Served) -> KnowledgeBase:
    return served.service.bases.open("library")


def spot(item: Dropped) -> tuple[object, ...]:
    chunk = item.chunk
    return chunk.uri, chunk.start, chunk.end, chunk.page, chunk.heading, item.why, item.of


def test_other_frameworks_take_it(remote: RemoteKnowledgeBase, local: KnowledgeBase) -> None:
    from qa.integrations import langchain, llama_index

    question = "What does alarm E-17 mean?"
    here, there = (langchain.KbqaRetriever(kb=kb, k=2).invoke(question) for kb in (local, remote))
    assert [(d.page_content, d.metadata["uri"]) for d in here] == [
        (d.page_content, d.metadata["uri"]) for d in there
    ]
    assert here[0].metadata.keys() == there[0].metadata.keys()
    said = llama_index.KbqaQueryEngine(remote).query(question)
    assert "the door is open" in str(said)
    assert "the door is open" in langchain.ask_tool(remote).invoke(question)


def test_it_finds_the_same(remote: RemoteKnowledgeBase, local: KnowledgeBase) -> None:
    ours, theirs = local.explain("annual leave", 2), remote.explain("annual leave", 2)
    assert [hit.text for hit in theirs.hits] == [hit.text for hit in ours.hits]
    assert theirs.hits[0].legs.keys() == ours.hits[0].legs.keys()
    assert theirs.terms.keys() == ours.terms.keys()
    assert theirs.evidence == pytest.approx(ours.evidence, abs=1e-3)
    for mine, told in zip(ours.hits, theirs.hits, strict=True):
        mine_why, told_why = asdict(ours.reasons(mine)), asdict(theirs.reasons(told))
        assert told_why.pop("heading") == mine_why.pop("heading")
        assert told_why == pytest.approx(mine_why, abs=1e-4)
    assert theirs.cut == ours.cut
    assert [spot(item) for item in theirs.dropped] == [spot(item) for item in ours.dropped]
    assert theirs.dropped
    filtered = remote.search("leave", k=5, filters="type:pdf")
    assert {hit.uri for hit in filtered} <= {"furnace.pdf"}


def test_it_answers_the_same_whole_and_streamed(
    remote: RemoteKnowledgeBase, local: KnowledgeBase
) -> None:
    tokens: list[str] = []
    found: list[int] = []
    ours = local.ask(QUESTION)
    theirs = remote.ask(QUESTION)
    streamed = remote.ask(
        QUESTION, tokens.append, history=[Message("user", "Hello")], on_hits=lambda hits:
        found.append(len(hits)),
    )  # fmt: skip
    assert theirs.text == ours.text
    assert theirs.citations == ours.citations
    assert [replace(said, support=None) for said in theirs.statements] == [
        replace(said, support=None) for said in ours.statements
    ]
    assert streamed.statements == theirs.statements != ()
    assert "".join(tokens) == streamed.text
    assert found == [len(streamed.hits)]


def test_it_exports_the_same(
    served: Served, remote: RemoteKnowledgeBase, local: KnowledgeBase, tmp_path: Path
) -> None:
    ours, theirs = local.export(tmp_path / "ours"), remote.export(tmp_path / "theirs")
    assert (theirs.points, theirs.chunks) == (ours.points, ours.chunks)
    assert theirs.size == (tmp_path / "theirs").stat().st_size
    with ZipFile(tmp_path / "ours") as one, ZipFile(tmp_path / "theirs") as other:
        assert other.testzip() is None
        assert [(i.filename, i.CRC) for i in other.infolist()[:-1]] == [
            (i.filename, i.CRC) for i in one.infolist()[:-1]
        ]

    async def export() -> int:
        async with AsyncRemoteKnowledgeBase(served.url, "library") as kb:
            with pytest.raises(StorageError, match=r"cannot write in .*nowhere: No such file"):
                await kb.export(tmp_path / "nowhere" / "x")
            return (await kb.export(tmp_path / "awaited")).chunks

    assert asyncio.run(export()) == ours.chunks
    with pytest.raises(BadRequest, match="exists already"):
        remote.export(tmp_path / "theirs")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["awaited", "ours", "theirs"]
    incoming = served.service.uploads.root("library").parent / ".incoming"
    assert list(incoming.iterdir()) == []


def test_a_file_that_has_changed_is_told(
    remote: RemoteKnowledgeBase, local: KnowledgeBase, tmp_path: Path
) -> None:
    file = tmp_path / "told.md"
    file.write_text("The gate closes at nine.", "utf-8")
    local.ingest(file)
    assert remote.file_state("told.md") == "same"
    file.write_text("The gate closes at ten.", "utf-8")
    assert remote.file_state("told.md") == local.file_state("told.md") == "changed"
    file.unlink()
    assert remote.file_state("told.md") == "gone"
    local.remove("told.md")


def test_what_became_of_a_file_is_asked_without_its_text() -> None:
    flow = client_calls.file_state("a.md")
    assert isinstance(asked := next(flow), Call)
    assert not asked.path.endswith("/text")
    with pytest.raises(StopIteration) as told:
        flow.send({"uri": "a.md", "file": "gone"})
    assert told.value.value == "gone"
    flow = client_calls.file_state("a.md")
    next(flow)
    older = flow.send({"uri": "a.md"})
    assert isinstance(older, Call)
    assert older.path.endswith("/text")


def test_a_conversation_is_kept_and_goes_on(remote: RemoteKnowledgeBase) -> None:
    id_ = remote.begin_conversation()
    tokens: list[str] = []
    first = remote.ask_further(id_, QUESTION, tokens.append)
    assert "".join(tokens) == first.text
    second = remote.ask_further(id_, "And when does it expire?")
    assert "31 March" in second.text
    assert remote.conversations()[0].id == id_
    said = remote.conversation(id_)
    assert [exchange.question for exchange in said] == [QUESTION, "And when does it expire?"]
    assert said[0].answer.citations == first.citations
    remote.forget_conversation(id_)
    for call in (remote.conversation, remote.forget_conversation):
        with pytest.raises(BadRequest, match="no conversation"):
            call(id_)
    with pytest.raises(BadRequest, match="Not Found"):
        remote.ask_further("../documents", QUESTION)


def test_what_helped_is_a_question_for_eval(remote: RemoteKnowledgeBase) -> None:
    answer = remote.ask(QUESTION)
    remote.give_feedback(QUESTION, answer, helpful=True)
    remote.give_feedback("Was it useless?", answer, helpful=False)
    asked = [row for row in remote.feedback_questions() if row["question"] == QUESTION]
    assert asked[0]["document"] == "handbook.md"
    assert asked[0]["span"] == answer.citations[0].quote
    assert "Was it useless?" not in {row["question"] for row in remote.feedback_questions()}


def test_it_lists_and_reads_the_same(remote: RemoteKnowledgeBase, local: KnowledgeBase) -> None:
    assert [row.uri for row in remote.documents()] == [row.uri for row in local.documents()]
    ours, theirs = local.document("furnace.pdf"), remote.document("furnace.pdf")
    assert (theirs.text, theirs.pages, theirs.sections) == (ours.text, ours.pages, ours.sections)
    assert (theirs.sha256, dict(theirs.metadata)) == (ours.sha256, dict(ours.metadata))
    assert theirs.marks == ours.marks
    assert remote.document("notes.txt").first_line == 1
    assert remote.file_state("notes.txt") == local.file_state("notes.txt") == "same"
    assert remote.status().chunks == local.status().chunks


def test_it_sends_a_folder_and_removes(served: Served, tmp_path: Path) -> None:
    folder = write_documents(tmp_path / "docs")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7 no")
    done: list[int] = []
    with RemoteKnowledgeBase(served.url, "other") as remote:
        report = remote.ingest(folder, on_progress=lambda progress: done.append(progress.done))
        assert (report.added, report.failed) == (4, 1)
        assert done == [1, 2, 3, 4, 5]
        assert remote.ingest(folder / "notes.txt").unchanged == 1
        remote.remove("notes.txt", "handbook.md")
        assert {row.uri for row in remote.documents()} == {
            "broken.pdf", "furnace.pdf", "产品/手册.md",
        }  # fmt: skip
        with pytest.raises(BadRequest, match=r"no document 'notes\.txt'"):
            remote.remove("notes.txt")
        with pytest.raises(BadRequest, match="no such file"):
            remote.ingest(folder / "nothing")


def sent_folder(
    served: Served, folder: Path, kind: type[RemoteKnowledgeBase | AsyncRemoteKnowledgeBase],
    on_progress: Callable[[Progress], None],
) -> SyncReport:  # fmt: skip
    async def send_and_wait() -> SyncReport:
        async with AsyncRemoteKnowledgeBase(served.url, "other") as remote:
            return await remote.ingest(folder, on_progress=on_progress)

    if kind is AsyncRemoteKnowledgeBase:
        return asyncio.run(send_and_wait())
    with RemoteKnowledgeBase(served.url, "other") as remote:
        return remote.ingest(folder, on_progress=on_progress)


@pytest.mark.parametrize("kind", [RemoteKnowledgeBase, AsyncRemoteKnowledgeBase])
def test_a_bad_file_stops_nothing(
    served: Served, tmp_path: Path, kind: type[RemoteKnowledgeBase]
) -> None:
    name = kind.__name__.lower()
    folder = tmp_path / "docs"
    folder.mkdir()
    for file, text in (
        ("a-empty.md", ""),
        ("b-gone.md", "This file is deleted before it is sent."),
        ("c-large.txt", "x" * 3 * 2**20),
        ("what: now?.md", "The lift is serviced in May."),
        (f"{name}.md", f"The {name} is serviced in June."),
    ):
        (folder / file).write_text(text, "utf-8")
    (folder / "broken.md").symlink_to("nowhere.md")
    done: list[int] = []

    def note(progress: Progress) -> None:
        done.append(progress.done)
        (folder / "b-gone.md").unlink(missing_ok=True)

    report = sent_folder(served, folder, kind, note)
    assert {one.uri: one.reason.partition(":")[0] for one in report.failures} == {
        "broken.md": "broken link",
        "a-empty.md": "the file is empty",
        "b-gone.md": "cannot be read",
        "c-large.txt": "the body has more than 2,097,152 bytes",
        "what: now?.md": "'what",
    }
    assert (report.added, report.failed) == (1, 5)
    assert done == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("kind", [RemoteKnowledgeBase, AsyncRemoteKnowledgeBase])
def test_it_comes_back_when_the_server_says(
    served: Served, tmp_path: Path, kind: type[RemoteKnowledgeBase], monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = Limits(240, 10)
    with suppress(TooManyRequests):
        while True:
            with limits.admitted(LOCAL):
                pass
    monkeypatch.setattr(served.service.limits, "admitted", limits.admitted)
    (tmp_path / "gate.md").write_text("The gate closes at nine.", "utf-8")
    report = sent_folder(served, tmp_path, kind, lambda progress: None)
    assert (report.added + report.unchanged, report.failed) == (1, 0)


def test_the_same_with_await(served: Served) -> None:
    async def run() -> None:
        async with AsyncRemoteKnowledgeBase(served.url, "library") as remote:
            hits, answer = await asyncio.gather(remote.search("leave", 1), remote.ask(QUESTION))
            assert hits[0].uri == "handbook.md"
            assert "25 days" in answer.text
            tokens: list[str] = []
            await remote.ask(QUESTION, tokens.append)
            assert tokens
            with pytest.raises(BadRequest, match="no document 'nothing'"):
                await remote.document("nothing")

    asyncio.run(run())


def test_errors_are_ours(served: Served, remote: RemoteKnowledgeBase) -> None:
    with pytest.raises(BadRequest, match="filter"):
        remote.search("leave", filters="(")
    with pytest.raises(BadRequest, match="images"):
        remote.ask(QUESTION, images=[b"\x89PNG"])
    for url, name, kind, words in (
        (served.url, "nothing", BadRequest, "no knowledge base 'nothing'"),
        ("http://127.0.0.1:9", "library", Unreachable, "kbqa serve"),
        ("nonsense", "library", BadRequest, "no address"),
        ("ftp://127.0.0.1", "library", BadRequest, "no address"),
    ):
        with RemoteKnowledgeBase(url, name) as wrong, pytest.raises(kind, match=words):
            wrong.status()


def test_what_a_caller_raises_is_not_the_servers_fault(remote: RemoteKnowledgeBase) -> None:
    def fail(token: str) -> None:
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        remote.ask(QUESTION, fail)


def test_files_that_failed_are_told_and_tried_again(
    kbqa: Kbqa, tmp_path: Path, cache_dir: Path
) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "broken.pdf").write_bytes(b"%PDF-1.4 broken")
    with serving(settings_for(tmp_path / "data", cache_dir)) as own:
        own.service.bases.create("work")

        def run(*arguments: str | Path) -> Done:
            return kbqa("--url", own.url, *arguments, "--kb", "work")

        assert run("ingest", docs).code == 8
        assert run("doctor").out.startswith("failed: broken.pdf: ")
        done = run("retry", "--json", "-q")
        assert (done.code, done.json["failed"]) == (8, 1)
        assert [failure["uri"] for failure in done.json["failures"]] == ["broken.pdf"]
        is_one_clear_line(run("retry", "nothing.md"), 2, "'nothing.md' is not in the knowledge")
        (uploaded,) = (tmp_path / "data").rglob("broken.pdf")
        uploaded.write_bytes(pdf((["Gate", "The gate closes at nine."],), title="Gate"))
        assert run("retry", "broken.pdf", "--json").json["changed"] == 1
        assert run("retry").out.startswith("nothing; ")


def test_poor_pages_are_told_as_where_the_base_lies(
    remote: RemoteKnowledgeBase, local: KnowledgeBase
) -> None:
    page = Page(2, 0, 9, quality={"garbled_share": 0.2})
    document = replace(
        Document.from_text("Some text that was read with faults.", uri="poor.txt"),
        pages=(page,),
        quality={"poor_pages": 1},
    )
    local.ingest_documents([document])
    try:
        assert [found.page for found in remote.diagnose()] == [2]
        assert remote.diagnose() == local.diagnose()
    finally:
        local.remove("poor.txt")


def test_questions_are_measured_by_what_the_server_finds_and_answers(
    served: Served, kbqa: Kbqa, tmp_path: Path
) -> None:
    asked = {"question": QUESTION, "answer": "25 days", "document": "handbook.md"}
    (tmp_path / "questions.jsonl").write_text(json.dumps(asked), "utf-8")

    def run(*arguments: str | Path) -> Done:
        return kbqa("--url", served.url, "eval", *arguments, "--kb", "library")

    questions = tmp_path / "questions.jsonl"
    found = run(questions, "--answers", "--json").json
    assert found["figures"]["mrr"]["all"]["mean"] == 1
    assert "25 days" in found["questions"][0]["said"]["text"]
    generated = run("--generate", "2").events
    assert len(generated) == 2
    is_one_clear_line(run(questions, "--model", "openai:m"), 2, "--model")
    compared = [tmp_path / "a.toml", tmp_path / "b.toml"]
    for file in compared:
        file.write_text("top_k = 4\n", "utf-8")
    is_one_clear_line(run(questions, "--compare", *compared), 2, "--compare works only where")


def test_a_key_is_needed_even_after_the_last_one(tmp_path: Path, cache_dir: Path) -> None:
    with serving(settings_for(tmp_path / "data", cache_dir)) as own:
        own.service.bases.create("work")
        key, text = own.service.keys.create(Role.READER)
        with (
            RemoteKnowledgeBase(own.url, "work") as remote,
            RemoteKnowledgeBase(own.url, "work", key=text) as known,
        ):
            with pytest.raises(NotAuthorised, match=r"send a key.*KBQA_SERVER_KEY"):
                remote.status()
            assert known.status().documents == 0
            with pytest.raises(NotAuthorised, match="editor"):
                known.remove("handbook.md")
            own.service.keys.revoke(key.id)
            for refused in (remote, known):
                with pytest.raises(NotAuthorised):
                    refused.status()


def test_its_methods_are_called_as_those_of_a_base() -> None:
    for name, flow in (*vars(client_calls).items(), *vars(client_sending).items()):
        method = getattr(KnowledgeBase, name, None)
        if method is None or not inspect.isgeneratorfunction(flow):
            continue
        known = list(inspect.signature(method).parameters)[1:]
        assert set(inspect.signature(flow).parameters) <= set(known), name
        assert name in vars(client._Methods)


def test_every_problem_has_an_error() -> None:
    slugs = {form.slug for form in (*FORMS.values(), *STATUSES.values())}
    assert client.ERRORS.keys() <= slugs


def test_the_commands_use_it(
    served: Served, kbqa: Kbqa, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KBQA_STATE_DIR", str(tmp_path / "state"))

    def run(*arguments: str | Path) -> Done:
        return kbqa("--url", served.url, *arguments, "--kb", "library")

    assert "25 days" in run("ask", QUESTION).out
    assert "25 days" in run("open", "1").out
    assert run("open", "1", "--where").out.startswith("handbook.md:")
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{QUESTION}\n/open 1\n/model openai:m\n"))
    chat = run("chat", "--json")
    events = [said["event"] for said in chat.events if said["event"] != "token"]
    assert events == ["answer", "passages", "error"]
    assert len(run("chat", "--list", "--json").json["conversations"]) == 1
    explained = run("search", "annual leave", "-k", "1", "--explain").out
    assert "strength" in explained
    assert "cut: " in explained
    found = run("search", "leave", "--filter", "type:pdf OR type:md", "--json").json
    assert found["hits"]
    assert "furnace.pdf" in run("documents").out
    assert "E-17" in run("show", "furnace.pdf", "--page", "2").out
    assert run("status", "--json").json["documents"] == 4
    (tmp_path / "new.md").write_text("The gate closes at nine.", "utf-8")
    assert run("ingest", tmp_path / "new.md", "--json", "-q").json["added"] == 1
    assert run("remove", "new.md", "--json").json == {"removed": 1}
    assert "well: every file was read; its passages" in run("doctor").out
    assert run("export", tmp_path / "a.kbqa", "--json").json["chunks"] >= 4
    is_one_clear_line(run("export", tmp_path / "a.kbqa"), 2, "exists already")
    is_one_clear_line(run("ask", QUESTION, "--model", "openai:m"), 2, "--model")
    is_one_clear_line(run("ask", QUESTION, "--show-prompt"), 2, "--show-prompt")
    is_one_clear_line(run("reembed", "--discard"), 2, "reembed")
    is_one_clear_line(run("ingest", tmp_path, "--prune"), 2, "--prune")
    for option in ("--watch", "--dry-run"):
        is_one_clear_line(run("ingest", tmp_path, option), 2, option)
    is_one_clear_line(run("ingest", "--reader", "a:B"), 2, "--reader")
    is_one_clear_line(run("import", tmp_path / "a.kbqa"), 2, "import works only where")
    elsewhere = kbqa("--url", "http://127.0.0.1:9", "status")
    is_one_clear_line(elsewhere, 5, "kbqa serve")
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    is_one_clear_line(kbqa("--url", "http://127.0.0.1:9", "chat"), 5, "kbqa serve")
