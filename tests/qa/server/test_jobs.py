"""Jobs with a base that does what the test says."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest

from ingest.documents import Failure, FileEntry, Record
from ingest.errors import BadRequest, Closed, StorageError
from ingest.sync import Progress, SyncReport
from qa.knowledge_base import KnowledgeBase
from qa.server.database import Database
from qa.server.jobs import FINISHED, NICE, Job, Jobs, Spec
from qa.server.problems import Conflict, NotFound

SPEC = Spec("docs", "/docs", include=("*.md",))
Ingest = Callable[[Callable[[Progress], None]], SyncReport]


class ScriptedBase:
    """Ingests as it is told to; `calls` are the options that it got."""

    def __init__(self, *script: Ingest) -> None:
        self._script = list(script)
        self.calls: list[dict[str, Any]] = []

    def ingest(self, path: str, **options: Any) -> SyncReport:
        self.calls.append({"path": path, **options})
        return self._script.pop(0)(options["on_progress"])


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(Database(tmp_path)) as opened:
        yield opened


def jobs_of(database: Database, base: ScriptedBase) -> Jobs:
    return Jobs(database, lambda name: cast("KnowledgeBase", base))


def at_end(jobs: Jobs, job: Job) -> Job:
    """The job when it has ended."""
    changed = threading.Event()
    leave = jobs.listen(job.id, changed.set)
    while (found := jobs.get(job.kb, job.id)).state not in FINISHED:
        assert changed.wait(20)
        changed.clear()
    leave()
    return found


def add_one(note: Callable[[Progress], None]) -> SyncReport:
    note(Progress(1, done=1))
    return SyncReport(added=1)


def test_a_job_runs_and_reports(database: Database) -> None:
    base = ScriptedBase(add_one)
    jobs = jobs_of(database, base)
    job = jobs.start("kb", SPEC)
    ended = at_end(jobs, job)
    assert (ended.state, ended.report and ended.report["added"]) == ("done", 1)
    assert ended.started
    assert ended.finished
    assert base.calls[0]["path"] == "/docs"
    assert base.calls[0]["include"] == ("*.md",)
    assert jobs.list("kb", 10) == [ended]
    for kb, id_ in (("other", job.id), ("kb", "nothing")):
        with pytest.raises(NotFound):
            jobs.get(kb, id_)
    with pytest.raises(Conflict):
        jobs.cancel("kb", job.id)


def test_a_job_for_a_file_tells_of_no_other(database: Database) -> None:
    def walk(note: Callable[[Progress], None]) -> SyncReport:
        failures = [
            Failure("a.zip!/x.bin", "is damaged", "/docs/a.zip", container="a.zip"),
            Failure("b.md", "permission denied", "/docs/b.md"),
            Failure("sub", "cannot be listed", "/docs/sub"),
        ]
        skips = [Failure("x.xyz", "files of type .xyz are not supported", "/docs/x.xyz", True)]
        return SyncReport(
            added=1, failed=3, failures=tuple(failures), skipped=1, skips=tuple(skips),
            failed_before=1, not_tried=tuple(failures[1:2]),
        )  # fmt: skip

    def told(*only: str) -> tuple[list[str], list[int]]:
        report = at_end(jobs, jobs.start("kb", Spec("docs", "/docs", only=only))).report
        assert report
        uris = [one["uri"] for one in (*report["failures"], *report["skips"])]
        return uris, [report[name] for name in ("added", "failed", "skipped", "failed_before")]

    jobs = jobs_of(database, ScriptedBase(walk, walk, walk))
    assert told("/docs/a.zip") == (["a.zip!/x.bin"], [1, 1, 0, 0])
    assert told("/docs/sub/c.md", "/docs/x.xyz") == (["sub", "x.xyz"], [1, 1, 1, 0])
    assert told() == (["a.zip!/x.bin", "b.md", "sub", "b.md", "x.xyz"], [1, 3, 1, 1])


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority of their own")
def test_it_stands_back_behind_questions(database: Database) -> None:
    seen: list[int] = []

    def look(note: Callable[[Progress], None]) -> SyncReport:
        seen.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        started = threading.Thread(
            target=lambda: seen.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        )
        started.start()
        started.join()
        return add_one(note)

    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    jobs = jobs_of(database, ScriptedBase(look))
    at_end(jobs, jobs.start("kb", SPEC))
    assert seen == [max(own, NICE)] * 2
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == own


def test_one_runs_at_a_time_and_each_can_be_cancelled(database: Database) -> None:
    running, go_on = threading.Event(), threading.Event()

    def wait(note: Callable[[Progress], None]) -> SyncReport:
        running.set()
        assert go_on.wait(20)
        return add_one(note)

    jobs = jobs_of(database, ScriptedBase(wait, add_one))
    first, second, third = (jobs.start("kb", SPEC) for _ in range(3))
    assert running.wait(20)
    assert [jobs.get("kb", job.id).state for job in (first, second, third)] == [
        "running", "queued", "queued",
    ]  # fmt: skip
    assert jobs.cancel("kb", second.id).state == "cancelled"
    assert jobs.cancel("kb", first.id).state == "running"
    go_on.set()
    assert at_end(jobs, first).state == "cancelled"
    assert at_end(jobs, third).state == "done"


def test_a_failed_job_says_why_and_others_go_on(database: Database) -> None:
    def fail(note: Callable[[Progress], None]) -> SyncReport:
        raise BadRequest("no such file or folder: /var/lib/docs")

    def break_(note: Callable[[Progress], None]) -> SyncReport:
        raise RuntimeError("a secret")

    jobs = jobs_of(database, ScriptedBase(fail, break_, add_one))
    failed, broken, well = [at_end(jobs, jobs.start("kb", SPEC)) for _ in range(3)]
    assert (failed.state, failed.error) == ("failed", "no such file or folder: .../docs")
    assert broken.state == "failed"
    assert "secret" not in broken.error
    assert well.state == "done"


def test_what_was_under_way_goes_on_in_the_next_process(database: Database) -> None:
    stopped = threading.Event()

    def until_told(note: Callable[[Progress], None]) -> SyncReport:
        stopped.set()
        while True:
            note(Progress(9))

    before = jobs_of(database, ScriptedBase(until_told))
    first, second = before.start("kb", SPEC), before.start("kb", SPEC)
    assert stopped.wait(20)
    before.end(20)
    assert {before.get("kb", job.id).state for job in (first, second)} == {"queued"}
    database.write("UPDATE jobs SET state = 'running' WHERE id = ?", first.id)  # as after kill -9
    after = jobs_of(database, ScriptedBase(add_one, add_one))
    after.resume()
    assert [at_end(after, job).state for job in (first, second)] == ["done", "done"]


def test_a_job_in_which_servers_are_killed_is_given_up(database: Database) -> None:
    jobs = jobs_of(database, ScriptedBase(add_one))
    job = jobs.start("kb", SPEC)
    at_end(jobs, job)
    for last in (False, False, True):
        database.write("UPDATE jobs SET state = 'running' WHERE id = ?", job.id)  # by kill -9
        jobs = jobs_of(database, ScriptedBase(add_one))
        jobs.resume()
        ended = at_end(jobs, job)
        assert ended.state == ("failed" if last else "done")
    assert "killed 3 times" in ended.error
    assert at_end(jobs, jobs.start("kb", SPEC)).state == "done"


def test_a_job_that_outlasts_the_wait_for_it_goes_on_in_the_next_process(
    database: Database,
) -> None:
    running, closed = threading.Event(), threading.Event()

    def until_closed(note: Callable[[Progress], None]) -> SyncReport:
        running.set()
        assert closed.wait(20)
        raise Closed("the knowledge base in /kb is closed")

    jobs = jobs_of(database, ScriptedBase(until_closed))
    job = jobs.start("kb", SPEC)
    assert running.wait(20)
    jobs.end(0)
    closed.set()
    jobs.end(20)
    assert jobs.get("kb", job.id).state == "queued"


def test_a_job_whose_end_could_not_be_noted_is_done_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qa.server.jobs.AGAIN", 0.01)
    full = [True]

    class FullDisk(Database):
        def write(self, sql: str, *values: object) -> int:
            if full and "done" in values:
                full.pop()
                raise StorageError("the disk is full")
            return super().write(sql, *values)

    database.__class__ = FullDisk
    jobs = jobs_of(database, ScriptedBase(add_one, add_one))
    assert at_end(jobs, jobs.start("kb", SPEC)).state == "done"


class UploadBase(ScriptedBase):
    """Has read each file that it was to, once."""

    def __init__(self, *script: Ingest) -> None:
        super().__init__(*script)
        self.read: list[list[str]] = []
        self._rows: dict[str, Record] = {}

    def documents(self) -> list[Record]:
        return list(self._rows.values())

    def ingest(self, path: str, **options: Any) -> SyncReport:
        files = [f"/docs/{name}.md" for name in "abcdef"]
        entries = [FileEntry(file[6:], file, "/docs", 1, 0, 0) for file in files]
        self.read.append([entry.uri for entry in entries if not options["leave"](entry)])
        report = super().ingest(path, **options)
        for uri in self.read[-1]:
            self._rows[uri] = Record(uri, "1", chunks=2, source=f"/docs/{uri}")
        return report


def upload(name: str) -> Spec:
    file = f"/docs/{name}.md"
    return Spec(f"upload of {name}", "/docs", only=(file,), retry=True)


def waiting_behind(
    database: Database, *script: Ingest
) -> tuple[Jobs, UploadBase, Callable[[], None]]:
    """Jobs that wait behind one which ends when it is told to."""
    running, go_on = threading.Event(), threading.Event()

    def wait(note: Callable[[Progress], None]) -> SyncReport:
        running.set()
        assert go_on.wait(20)
        return add_one(note)

    base = UploadBase(wait, *script)
    jobs = jobs_of(database, base)
    jobs.start("kb", upload("a"))
    assert running.wait(20)
    return jobs, base, go_on.set


def test_uploads_that_wait_are_read_together_and_each_has_its_report(database: Database) -> None:
    def read(note: Callable[[Progress], None]) -> SyncReport:
        failures = (Failure("c.md", "is damaged", "/docs/c.md"),)
        return SyncReport(added=2, unchanged=1, chunks=4, failed=1, failures=failures, seconds=6.0)

    jobs, base, go_on = waiting_behind(database, read, add_one, read)
    waiting = [jobs.start("kb", upload(name)) for name in "abc"]
    folder = jobs.start("kb", SPEC)
    last = jobs.start("kb", upload("d"))
    go_on()
    ended = [at_end(jobs, job) for job in (*waiting, folder, last)]
    assert [job.state for job in ended] == ["done"] * 5
    every = [f"{name}.md" for name in "abcdef"]
    assert base.read == [["a.md"], ["a.md", "b.md", "c.md"], every, ["d.md"]]
    told = [job.report or {} for job in ended[:3]]
    names = ("added", "changed", "unchanged", "chunks", "failed", "seconds")
    assert [[report[name] for name in names] for report in told] == [
        [0, 0, 1, 0, 0, 2.0], [1, 0, 0, 2, 0, 2.0], [1, 0, 0, 2, 1, 2.0],
    ]  # fmt: skip
    assert told[2]["failures"] == [{"uri": "c.md", "reason": "is damaged"}]


def test_uploads_that_fail_together_are_read_one_by_one(database: Database) -> None:
    def break_(note: Callable[[Progress], None]) -> SyncReport:
        raise RuntimeError("of one of them")

    jobs, base, go_on = waiting_behind(database, break_, add_one, break_)
    waiting = [jobs.start("kb", upload(name)) for name in "bc"]
    go_on()
    assert [at_end(jobs, job).state for job in waiting] == ["done", "failed"]
    assert base.read == [["a.md"], ["b.md", "c.md"], ["b.md"], ["c.md"]]


def test_of_uploads_that_are_read_together_one_can_be_cancelled(database: Database) -> None:
    running, go_on_reading = threading.Event(), threading.Event()

    def read(note: Callable[[Progress], None]) -> SyncReport:
        running.set()
        assert go_on_reading.wait(20)
        return add_one(note)

    jobs, base, go_on = waiting_behind(database, read, add_one)
    first, second = (jobs.start("kb", upload(name)) for name in "bc")
    go_on()
    assert running.wait(20)
    jobs.cancel("kb", first.id)
    go_on_reading.set()
    assert [at_end(jobs, job).state for job in (first, second)] == ["cancelled", "done"]
    assert base.read == [["a.md"], ["b.md", "c.md"], ["c.md"]]


def test_an_upload_in_which_a_server_was_killed_is_read_alone(database: Database) -> None:
    jobs, base, go_on = waiting_behind(database, add_one, add_one, add_one)
    waiting = [jobs.start("kb", upload(name)) for name in "bcd"]
    database.write("UPDATE jobs SET cut_off = 1 WHERE id = ?", waiting[1].id)
    go_on()
    assert [at_end(jobs, job).state for job in waiting] == ["done"] * 3
    assert base.read == [["a.md"], ["b.md"], ["c.md"], ["d.md"]]
