"""The commands that plan an ingest, list what is there, and mend it."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
import zipfile
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest

from qa.knowledge_base import KnowledgeBase
from qa.overview import kind_of
from qa.watching import Settling, _is_hidden, changed_in
from retrieval.embedding import Embedder
from tests.fakes import HashEmbedder
from tests.qa.command_line import Done, Kbqa, command, environment, is_one_clear_line, run
from tests.retrieval.knowledge import prepared

pytestmark = pytest.mark.integration


@pytest.fixture
def own(docs: Path, tmp_path: Path, embedder: Embedder) -> Path:
    """A base of the four files in `docs`."""
    with KnowledgeBase.open(tmp_path / "own", embedder=embedder) as kb:
        assert kb.ingest(docs).added == 4
    return tmp_path / "own"


@pytest.fixture
def broken(docs: Path, own: Path, embedder: Embedder) -> Path:
    """The same after a file was added that fails."""
    (docs / "broken.pdf").write_bytes(b"%PDF-1.4 broken")
    with KnowledgeBase.open(own, embedder=embedder) as kb:
        assert kb.ingest(docs).failed == 1
    return own


def test_a_dry_run_shows_the_plan_and_changes_nothing(
    kbqa: Kbqa, docs: Path, broken: Path, tmp_path: Path
) -> None:
    kbqa("ingest", docs, "--kb", broken)
    (docs / "new.md").write_text("New.")
    (docs / "notes.txt").rename(docs / "protocol.txt")
    (docs / "handbook.md").write_text("Edited.")
    (docs / "furnace.pdf").unlink()
    done = kbqa("ingest", docs, "--kb", broken, "--dry-run")
    assert done.code == 0
    *lines, last = done.out.splitlines()
    assert lines[:4] == [
        "added: new.md", "changed: handbook.md", "removed: furnace.pdf",
        "renamed: notes.txt -> protocol.txt",
    ]  # fmt: skip
    assert lines[4].startswith("failed before: broken.pdf: ")
    assert last == ("1 added, 1 changed, 1 renamed, 1 removed, 1 failed before, 1 unchanged")
    (plan,) = kbqa("ingest", docs, "--kb", broken, "--dry-run", "--json").json["plans"]
    assert (plan["added"], plan["changed"], plan["removed"]) == (
        ["new.md"], ["handbook.md"], ["furnace.pdf"],
    )  # fmt: skip
    assert plan["renamed"] == [{"from": "notes.txt", "to": "protocol.txt"}]
    assert [item["uri"] for item in plan["failed_before"]] == ["broken.pdf"]
    assert kbqa("documents", "--kb", broken, "--path", "new*").out == ""
    assert kbqa("ingest", docs, "--kb", tmp_path / "none", "--dry-run").out.endswith(
        "5 added, 0 unchanged\n"
    )
    assert not (tmp_path / "none").exists()


def test_include_and_exclude(kbqa: Kbqa, docs: Path, tmp_path: Path) -> None:
    flags = ("--include", "*.md", "--exclude", "产品/", "--json")
    assert kbqa("ingest", docs, "--kb", tmp_path / "kb", *flags).json["added"] == 1
    is_one_clear_line(kbqa("ingest", docs, "--reader", "a:B"), 2, "not both")


def test_documents_are_listed_and_filtered(kbqa: Kbqa, broken: Path) -> None:
    rows = kbqa("documents", "--kb", broken, "--json").json["documents"]
    assert [row["uri"] for row in rows] == [
        "broken.pdf", "furnace.pdf", "handbook.md", "notes.txt", "产品/手册.md",
    ]  # fmt: skip
    assert {"sha256", "size", "mtime_ns", "parser", "chunks", "state", "error", "quality",
            "container", "ingested_ns", "copies"} <= set(rows[0])  # fmt: skip
    assert rows[2]["parser"].startswith("markdown/")
    for flags, uris in (
        (["--state", "failed"], ["broken.pdf"]),
        (["--type", "pdf", "--state", "ok"], ["furnace.pdf"]),
        (["--type", "text/markdown"], ["handbook.md", "产品/手册.md"]),
        (["--path", "产品/*"], ["产品/手册.md"]),
    ):
        listed = kbqa("documents", "--kb", broken, *flags).out.splitlines()
        assert [line.split()[3] for line in listed] == uris
    is_one_clear_line(kbqa("documents", "--kb", broken, "--state", "bad"), 2, "failed, skipped")


def test_status_sums_up(kbqa: Kbqa, broken: Path) -> None:
    found = kbqa("status", "--kb", broken, "--json").json
    assert found["states"] == {"ok": 4, "failed": 1}
    assert found["types"] == {"md": 2, "pdf": 1, "txt": 1}
    assert (found["documents"], found["failed"], found["poor"]) == (4, 1, 0)
    assert found["last_ingest"].startswith("20")


def test_show_prints_what_was_extracted(kbqa: Kbqa, broken: Path) -> None:
    assert "加注润滑油" in kbqa("show", "产品/手册.md", "--kb", broken).out
    page = kbqa("show", "furnace.pdf", "--page", "2", "--kb", broken)
    assert "Alarm E-17" in page.out
    assert "900 degrees" not in page.out
    shown = kbqa("show", "furnace.pdf", "--kb", broken, "--json").json
    assert [item["number"] for item in shown["pages"]] == [1, 2]
    assert shown["text"][shown["pages"][1]["start"] :].startswith("# Alarms")
    is_one_clear_line(kbqa("show", "furnace.pdf", "--page", "9", "--kb", broken), 2, "pages 1 to 2")
    is_one_clear_line(kbqa("show", "broken.pdf", "--kb", broken), 2, "could not be read")
    is_one_clear_line(kbqa("show", "nope.pdf", "--kb", broken), 2, "no document 'nope.pdf'")


def test_doctor_retry_and_remove(kbqa: Kbqa, docs: Path, broken: Path) -> None:
    done = kbqa("doctor", "--kb", broken)
    assert (done.code, done.out.count("\n")) == (0, 1)
    assert done.out.startswith("failed: broken.pdf: ")
    (finding,) = kbqa("doctor", "--kb", broken, "--json").json["findings"]
    assert (finding["kind"], finding["uri"]) == ("failed", "broken.pdf")
    assert finding["reason"]
    assert finding["cure"]
    assert kbqa("retry", "--kb", broken).code == 8
    (docs / "broken.pdf").write_bytes((docs / "furnace.pdf").read_bytes())
    done = kbqa("retry", "broken.pdf", "--kb", broken)
    assert (done.code, done.out.split(";")[0]) == (0, "1 changed")
    is_one_clear_line(kbqa("retry", "broken.pdf", "--kb", broken), 2, "has not failed")
    assert kbqa("doctor", "--kb", broken).out.endswith("its passages are there\n")
    assert kbqa("remove", "broken.pdf", "notes.txt", "--kb", broken).out == "2 removed\n"
    assert kbqa("status", "--kb", broken, "--json").json["documents"] == 3
    is_one_clear_line(kbqa("remove", "notes.txt", "--kb", broken), 2, "no document 'notes.txt'")


def test_doctor_finds_missing_and_surplus_passages(tmp_path: Path) -> None:
    with KnowledgeBase.open(tmp_path / "kb", embedder=HashEmbedder()) as kb:
        kb.ingest_documents([prepared("a.md", "Text of a.").document])
        kb.ingest_documents([prepared("b.md", "Text of b.").document])
        store = kb._opened.store
        (one, other) = store.scan({"kind": "chunk"}, vectors=True)
        store.delete([one.id])
        (finding,) = kb.diagnose()
        assert (finding.kind, finding.reason) == ("base", "0 of 1 passages are there")
        assert finding.uri == one.payload["uri"]
        kb.remove(finding.uri)
        payload = {**other.payload, "document_id": "b.md@0000"}
        store.write([type(other)(77, payload, other.vector)])
        (finding,) = kb.diagnose()
        assert finding.reason.startswith("1 passages of a version that no longer counts")


def test_a_reader_by_name(kbqa: Kbqa, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kbqa_cli_reader.py").write_text(
        "class Reader:\n"
        "    def load_data(self, names):\n"
        "        from tests.ingest.test_foreign import Foreign\n"
        "        return [Foreign(f'Page {n} speaks.', {'source': n}) for n in names]\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    base = ("--kb", tmp_path / "kb", "--json", "--reader", "kbqa_cli_reader:Reader")
    both = ("--reader-arg", 'names=["x","y"]')
    assert kbqa("ingest", *base, *both).json["added"] == 2
    assert kbqa("ingest", *base, *both).json["unchanged"] == 2
    done = kbqa("ingest", *base, "--reader-arg", 'names=["x"]')
    assert (done.json["unchanged"], done.json["removed"]) == (1, 0)
    done = kbqa("ingest", *base, "--reader-arg", 'names=["x"]', "--prune")
    assert done.json["removed"] == 1
    rows = kbqa("documents", "--kb", tmp_path / "kb", "--json").json["documents"]
    assert [row["uri"] for row in rows] == ["Reader/x"]
    is_one_clear_line(kbqa("ingest", "--reader", "nowhere_x:R", *base[:2]), 3, "pip install")


def test_copies_are_named(kbqa: Kbqa, docs: Path, own: Path) -> None:
    (docs / "handbook-2.md").write_bytes((docs / "handbook.md").read_bytes() + b"\nMore.\n")
    kbqa("ingest", docs, "--kb", own)
    hits = kbqa("search", "annual leave days", "--kb", own, "--json").json["hits"]
    assert [copy for hit in hits for copy in hit["copies"]]
    assert "the same in handbook" in kbqa("search", "annual leave", "--kb", own).out
    assert kbqa("status", "--kb", own, "--json").json["near_duplicates"] == 1
    rows = kbqa("documents", "--kb", own, "--path", "handbook.md", "--json").json
    assert rows["documents"][0]["copies"] == ["handbook-2.md"]


def test_a_file_settles_when_it_is_left_alone(tmp_path: Path) -> None:
    now = [0.0]
    settling = Settling(1.0, lambda: now[0])
    path = tmp_path / "a.md"
    path.write_text("half")
    settling.note([str(path)])
    now[0] = 0.9
    assert not settling.settle()
    path.write_text("half and more")
    now[0] = 1.1
    assert not settling.settle()
    now[0] = 2.0
    assert not settling.settle()
    now[0] = 2.2
    assert settling.settle()
    assert not settling.settle()


@pytest.mark.end_to_end
def test_watching_follows_and_lets_others_ask(docs: Path, own: Path) -> None:
    def until(word: str) -> Done:
        for _ in range(100):
            done = run("documents", "--kb", own, "--json")
            if done.code == 0 and word in done.out:
                return done
            time.sleep(0.2)
        raise AssertionError(f"{word} did not come: {done}")

    with subprocess.Popen(
        command("ingest", docs, "--kb", own, "--watch", "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(KBQA_WATCH_QUIET="0.3"),
    ) as process:
        assert process.stderr is not None
        while b"watching" not in process.stderr.readline():
            pass
        (docs / "new.md").write_text("# New\n\nA new file.")
        until("new.md")
        (docs / "new.md").rename(docs / "renamed.md")
        until("renamed.md")
        (docs / "notes.txt").unlink()
        rows = json.loads(until("renamed.md").out)["documents"]
        for _ in range(50):
            if "notes.txt" not in [row["uri"] for row in rows]:
                break
            time.sleep(0.2)
            rows = json.loads(until("renamed.md").out)["documents"]
        assert sorted(row["uri"] for row in rows) == [
            "furnace.pdf", "handbook.md", "renamed.md", "产品/手册.md",
        ]  # fmt: skip
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        *events, last = map(json.loads, process.stdout)
        assert process.wait(30) == 130
    assert last["exit_code"] == 130
    assert {event["event"] for event in events} == {"ingested"}
    assert events[0]["unchanged"] == 4
    assert [sum(event[name] for event in events) for name in ("added", "renamed", "removed")] == [
        1, 1, 1,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "hidden"),
    [
        ("/home/.notes/docs/a.md", False),
        ("/home/.notes/docs/.git/config", True),
        ("/home/.notes/docs/sub/.a.md", True),
        ("/elsewhere/.a.md", False),
        ("/home/.notes/docs/sub/.kbqaignore", False),
        ("/home/.notes/docs/.sub/.kbqaignore", True),
    ],
)
def test_what_lies_above_a_watched_folder_hides_nothing(path: str, hidden: bool) -> None:
    assert _is_hidden(path, {"/home/.notes/docs"}) == hidden


def test_an_archive_has_no_text_to_show(kbqa: Kbqa, tmp_path: Path) -> None:
    (tmp_path / "odd").mkdir()
    with zipfile.ZipFile(tmp_path / "odd" / "a.zip", "w") as archive:
        archive.writestr("in/pump.md", "The pump runs.")
    base = ("--kb", tmp_path / "base")
    assert kbqa("ingest", tmp_path / "odd", *base).code == 0
    is_one_clear_line(kbqa("show", "a.zip", *base), 2, "what it holds is 'a.zip!/...'")
    assert kbqa("show", "a.zip!/in/pump.md", *base).out == "The pump runs.\n"


@pytest.mark.parametrize("option", ["--dry-run", "--watch"])
def test_a_reader_can_be_neither_planned_nor_watched(kbqa: Kbqa, option: str) -> None:
    reader = ("--reader", "llama_index.core:SimpleDirectoryReader")
    is_one_clear_line(kbqa("ingest", *reader, option), 2, f"{option} needs folders or files")


def test_an_empty_path_is_not_the_folder_one_stands_in(kbqa: Kbqa) -> None:
    is_one_clear_line(kbqa("ingest", ""), 2, "a path is empty")


def test_a_broken_link_is_named_with_what_to_do(kbqa: Kbqa, tmp_path: Path) -> None:
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "link.md").symlink_to("link.md")
    done = kbqa("ingest", tmp_path / "odd", "--kb", tmp_path / "base")
    assert "link.md: broken link; mend the link or remove it" in done.err


def test_a_name_with_line_breaks_is_one_line(kbqa: Kbqa, tmp_path: Path) -> None:
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "a\nok  md  1  b.md").write_text("The pump runs.")
    (tmp_path / "odd" / "c\nd.md").write_bytes(b"")
    base = ("--kb", tmp_path / "base")
    added, broken = "a␊ok  md  1  b.md", "c␊d.md: is empty"
    assert f"added: {added}" in kbqa("ingest", tmp_path / "odd", *base, "--dry-run").out
    assert f"failed: {broken}" in kbqa("ingest", tmp_path / "odd", *base).err
    assert broken in kbqa("ingest", tmp_path / "odd", *base, "--dry-run").out
    first, second = kbqa("documents", *base).out.splitlines()
    assert first.endswith(added)
    assert second.endswith("c␊d.md  is empty")
    assert broken in kbqa("doctor", *base).out
    assert added in kbqa("search", "pump", *base).out


def changed_until(name: str, news: Iterator[set[str]]) -> set[str]:
    seen: set[str] = set()
    for changed in islice(news, 50):
        seen |= changed
        if any(path.endswith(name) for path in seen):
            return seen
    raise AssertionError(f"{name} was not seen, only {seen}")


@pytest.mark.parametrize("away", [shutil.rmtree, lambda path: path.rename(path.with_name("old"))])
def test_a_watched_folder_that_is_replaced_is_followed_on(
    tmp_path: Path, away: Callable[[Path], object]
) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    news = changed_in([folder])
    next(news)
    away(folder)
    next(news)
    folder.mkdir()
    assert str(folder) in changed_until("docs", news)
    next(news)
    (folder / "a.md").write_text("After that.")
    assert str(folder / "a.md") in changed_until("a.md", news)


def test_a_base_in_the_folder_that_it_is_of_is_not_read(tmp_path: Path, embedder: Embedder) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "a.md").write_text("The pump runs.")
    news = changed_in([docs])
    next(news)
    for _ in range(2):
        with KnowledgeBase.open(docs / "kb", embedder=embedder) as kb:
            kb.ingest(docs)
            assert [row.uri for row in kb.documents()] == ["a.md"]
    (docs / "b.md").write_text("The furnace burns.")
    inside = str(docs / "kb") + "/"
    assert not [path for path in changed_until("b.md", news) if path.startswith(inside)]


def test_a_link_that_is_turned_to_another_folder_is_followed(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    link = tmp_path / "docs"
    link.symlink_to(tmp_path / "one")
    news = changed_in([link])
    next(news)
    link.unlink()
    link.symlink_to(tmp_path / "two")
    changed_until("two", news)
    (tmp_path / "two" / "a.md").write_text("After that.")
    changed_until("a.md", news)


def test_kinds_have_short_names() -> None:
    from ingest.documents import Record

    assert kind_of(Record("a", "", media_type="text/markdown")) == "md"
    assert kind_of(Record("a", "", media_type="application/x-odd")) == "application/x-odd"
    assert kind_of(Record("a", "")) == "unknown"
