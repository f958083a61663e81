"""Ingest jobs: noted before they are acknowledged, one at a time for each base, crash or not.

An ingest may be killed at any moment and be run again, so a job that was running when the server
ended is simply queued again; but not one that ends the server whenever it runs.

Uploads that wait behind one another are read by one ingest: each ingest looks through all files of
the base, and starts what reads them.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import takewhile
from typing import Any, Literal, get_args

from ingest.documents import FileEntry
from ingest.errors import Closed, KbqaError, StorageError
from ingest.sync import Progress, SyncReport
from qa.commands.ingest import report_json
from qa.knowledge_base import KnowledgeBase
from qa.server.database import Database
from qa.server.job_reports import about, by_file, share_of
from qa.server.problems import Conflict, NotFound, problem_of, scrubbed

logger = logging.getLogger(__name__)

State = Literal["queued", "running", "done", "failed", "cancelled"]
FINISHED: tuple[State, ...] = ("done", "failed", "cancelled")
KEPT = 1000  # finished jobs
NICE = 15  # how far an ingest stands back behind questions, 0 to 19
MOST_CUT_OFF = 3  # times that a server may be killed in the midst of a job
TOGETHER = 100  # uploads that one ingest reads
AGAIN = 5.0  # seconds until a job is tried again whose state could not be noted
TOO_OFTEN = f"the server was killed {MOST_CUT_OFF} times while it ran; it is not tried again"
_UNDONE = "state IN ('queued', 'running')"


@dataclass(frozen=True, slots=True)
class Spec:
    """What is to be ingested into which base: `root`, or of it only the files `only` (absolute).

    `label` is how the client knows it.
    """

    label: str
    root: str
    only: tuple[str, ...] = ()
    prune: bool = False
    retry: bool = False
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Job:
    """An ingest. Times in seconds since 1970; `report` once it is done, `error` if it failed."""

    id: str
    kb: str
    spec: Spec
    state: State
    created: float
    started: float | None = None
    finished: float | None = None
    report: Mapping[str, Any] | None = None
    error: str = ""
    progress: Mapping[str, Any] = field(default_factory=dict)


class _Stopped(Exception):
    """The job is to end: it was cancelled, or the server ends."""


class Jobs:
    """The table of jobs and the threads that work through it, one for each base that has any."""

    def __init__(
        self,
        database: Database,
        open_base: Callable[[str], KnowledgeBase],
        on_report: Callable[[str, SyncReport], None] = lambda kb, report: None,
    ) -> None:
        self._database, self._open_base, self._on_report = database, open_base, on_report
        self._lock = threading.Lock()
        self._threads: dict[str, threading.Thread] = {}
        self._progress: dict[str, dict[str, Any]] = {}
        self._cancelled: set[str] = set()
        self._listeners: dict[str, list[Callable[[], None]]] = {}
        self._ending = threading.Event()

    def resume(self) -> None:
        """Take up what an earlier process left, which no longer runs.

        A job that is noted as running was cut off: it may be what killed or hung that process.
        """
        self._database.write("UPDATE jobs SET cut_off = cut_off + 1 WHERE state = 'running'")
        failed = self._database.write(
            "UPDATE jobs SET state = 'failed', finished = ?, error = ? "
            "WHERE state = 'running' AND cut_off >= ?",
            *(time.time(), TOO_OFTEN, MOST_CUT_OFF),
        )
        if failed:
            logger.error("%d ingest jobs are given up: %s", failed, TOO_OFTEN)
        for row in self._database.read(f"SELECT DISTINCT kb FROM jobs WHERE {_UNDONE}"):
            self._wake(row["kb"])

    def start(self, kb: str, spec: Spec) -> Job:
        """Queue an ingest. Durable on return."""
        job = Job(secrets.token_hex(8), kb, spec, "queued", time.time())
        self._database.write(
            "INSERT INTO jobs (id, kb, spec, state, created) VALUES (?, ?, ?, ?, ?)",
            *(job.id, kb, json.dumps(asdict(spec)), job.state, job.created),
        )
        self._forget_old()
        self._wake(kb)
        return job

    def get(self, kb: str, id_: str) -> Job:
        """A job of a base. Raises NotFound."""
        rows = self._database.read("SELECT * FROM jobs WHERE id = ? AND kb = ?", id_, kb)
        if not rows:
            raise NotFound(f"there is no ingest job '{id_}' of '{kb}'")
        return self._job(rows[0])

    def list(self, kb: str, limit: int) -> list[Job]:
        """The jobs of a base, the newest first."""
        rows = self._database.read(
            "SELECT * FROM jobs WHERE kb = ? ORDER BY created DESC LIMIT ?", kb, limit
        )
        return [self._job(row) for row in rows]

    def counts(self) -> dict[str, int]:
        """How many jobs of all bases are on record in each state."""
        found = self._database.read("SELECT state, count(*) AS number FROM jobs GROUP BY state")
        return {
            **dict.fromkeys(get_args(State), 0),
            **{row["state"]: row["number"] for row in found},
        }

    def cancel(self, kb: str, id_: str) -> Job:
        """End a job: at once if it waits, else soon. What is in the base by then stays there.

        Raises NotFound, Conflict for one that has ended.
        """
        job = self.get(kb, id_)
        if job.state in FINISHED:
            raise Conflict(f"the ingest job '{id_}' is {job.state}")
        self._cancelled.add(id_)
        if self._move(id_, "cancelled", "finished", only_from="queued"):
            self._cancelled.discard(id_)
        return self.get(kb, id_)

    def require_ended(self, kb: str) -> None:
        """Raise Conflict while a job of a base has not ended."""
        undone = self._database.read(f"SELECT id FROM jobs WHERE kb = ? AND {_UNDONE}", kb)
        if undone:
            raise Conflict(f"the ingest job '{undone[0]['id']}' of '{kb}' has not ended: cancel it")

    def forget(self, kb: str) -> None:
        """Forget the jobs of a base that is gone, those too that a stopped server left undone."""
        self._database.write("DELETE FROM jobs WHERE kb = ?", kb)
        with self._lock:
            followed = list(self._listeners)
        for id_ in followed:  # they see for themselves whether it is theirs
            self._tell(id_)

    def listen(self, id_: str, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener`, from any thread, when a job changes; returns what ends that."""
        with self._lock:
            self._listeners.setdefault(id_, []).append(listener)

        def leave() -> None:
            with self._lock:
                self._listeners[id_].remove(listener)
                if not self._listeners[id_]:
                    del self._listeners[id_]

        return leave

    def end(self, timeout: float) -> None:
        """Stop what is under way; the next process takes up what is not done."""
        self._ending.set()
        until = time.monotonic() + timeout
        for thread in list(self._threads.values()):
            thread.join(max(0.0, until - time.monotonic()))

    # --- inside ---

    def _wake(self, kb: str) -> None:
        with self._lock:
            if kb not in self._threads and not self._ending.is_set():
                name = f"ingest {kb}"
                thread = threading.Thread(target=self._work, args=(kb,), name=name, daemon=True)
                self._threads[kb] = thread
                thread.start()

    def _work(self, kb: str) -> None:
        """Do what is queued for a base, then end.

        A job that is noted as running can be none but one whose end could not be noted.
        """
        _give_way()
        while True:
            try:
                with self._lock:
                    batch = [] if self._ending.is_set() else self._next(kb)
                    if not batch:
                        del self._threads[kb]
                        return
                self._run(kb, batch)
            except StorageError as exc:
                logger.error("ingest jobs of %s: %s", kb, scrubbed(str(exc)))
                self._ending.wait(AGAIN)

    def _next(self, kb: str) -> Sequence[Job]:
        """The job whose turn it is, with the uploads behind it if it is one.

        A job in which a server has ended runs alone: those with it would be given up as well.
        """
        rows = self._database.read(
            f"SELECT * FROM jobs WHERE kb = ? AND {_UNDONE} ORDER BY created LIMIT ?", kb, TOGETHER
        )
        jobs = [self._job(row) for row in rows]
        if not jobs or rows[0]["cut_off"]:
            return jobs[:1]
        following = takewhile(
            lambda pair: not pair[0]["cut_off"] and _go_together(jobs[0].spec, pair[1].spec),
            zip(rows[1:], jobs[1:], strict=True),
        )
        return [jobs[0], *(job for _, job in following)]

    def _run(self, kb: str, batch: Sequence[Job]) -> None:
        """Do jobs by one ingest, or, where it fails, each by its own."""
        running = [
            job for job in batch if self._move(job.id, "running", "started", only_from=job.state)
        ]
        if not running:
            return
        try:
            reports = self._ingest(kb, running)
        except _Stopped:
            for job in running:
                ended = job.id in self._cancelled
                self._move(job.id, "cancelled" if ended else "queued", "finished")
        except Exception as exc:  # noqa: BLE001 - the job has failed, the server has not
            self._fail(kb, running, exc)
        else:
            for job, report in zip(running, reports, strict=True):
                self._move(job.id, "done", "finished", report=json.dumps(report_json(report)))
                self._on_report(kb, report)
        finally:
            for job in running:
                self._progress.pop(job.id, None)
                self._cancelled.discard(job.id)

    def _fail(self, kb: str, running: Sequence[Job], exc: Exception) -> None:
        if isinstance(exc, Closed) and self._ending.is_set():  # it was not waited for longer
            for job in running:
                self._move(job.id, "queued", "finished")
            return
        if len(running) > 1:
            for job in running:
                self._run(kb, [replace(job, state="running")])
            return
        (job,) = running
        if isinstance(exc, KbqaError):
            logger.warning("ingest job %s failed: %s", job.id, scrubbed(str(exc)))
            error = problem_of(exc, job.id).detail
        else:
            logger.error("ingest job %s: %s: %s", job.id, type(exc).__name__, scrubbed(str(exc)))
            error = "the error is in the server's log"
        self._move(job.id, "failed", "finished", error=error)

    def _ingest(self, kb: str, jobs: Sequence[Job]) -> Sequence[SyncReport]:
        """What was done for each of these jobs: one, or several uploads."""
        spec = jobs[0].spec
        only = frozenset(path for job in jobs for path in job.spec.only)

        def stop_if_told() -> None:
            if self._ending.is_set() or any(job.id in self._cancelled for job in jobs):
                raise _Stopped

        def leave(entry: FileEntry) -> bool:
            stop_if_told()
            return bool(only) and entry.path not in only

        def note(progress: Progress) -> None:
            said = {
                "total": progress.total,
                "done": progress.done,
                "chunks": progress.chunks,
                "uri": progress.uri,
            }
            for job in jobs:
                self._progress[job.id] = said
                self._tell(job.id)
            stop_if_told()

        base = self._open_base(kb)
        several = len(jobs) > 1
        before = by_file(base.documents(), only) if several else {}
        report = base.ingest(
            spec.root,
            prune=spec.prune,
            retry=spec.retry,
            include=spec.include,
            exclude=spec.exclude,
            leave=leave,
            on_progress=note,
        )
        if several:
            after = by_file(base.documents(), only)
            return [share_of(job.spec.only, report, before, after, jobs=len(jobs)) for job in jobs]
        return [about(only, report) if only else report]

    def _move(
        self,
        id_: str,
        state: State,
        moment: Literal["started", "finished"],
        *,
        only_from: State | None = None,
        report: str | None = None,
        error: str = "",
    ) -> bool:
        """Note the next state of a job, and when it came; whether it was in `only_from`."""
        changed = self._database.write(
            f"UPDATE jobs SET state = ?, {moment} = ?, report = ?, error = ? "
            "WHERE id = ? AND state = coalesce(?, state)",
            *(state, time.time(), report, error, id_, only_from),
        )
        self._tell(id_)
        return changed > 0

    def _tell(self, id_: str) -> None:
        with self._lock:
            listeners = list(self._listeners.get(id_, ()))
        for listener in listeners:
            listener()

    def _forget_old(self) -> None:
        self._database.write(
            f"DELETE FROM jobs WHERE id IN (SELECT id FROM jobs WHERE NOT {_UNDONE} "
            "ORDER BY created DESC LIMIT -1 OFFSET ?)",
            KEPT,
        )

    def _job(self, row: sqlite3.Row) -> Job:
        spec = json.loads(row["spec"])
        for name in ("only", "include", "exclude"):
            spec[name] = tuple(spec[name])
        assert row["state"] in get_args(State)
        return Job(
            id=row["id"],
            kb=row["kb"],
            spec=Spec(**spec),
            state=row["state"],
            created=row["created"],
            started=row["started"],
            finished=row["finished"] if row["state"] in FINISHED else None,
            report=json.loads(row["report"]) if row["report"] else None,
            error=row["error"],
            progress=dict(self._progress.get(row["id"], ())),
        )


def _go_together(one: Spec, other: Spec) -> bool:
    """Whether both are uploads, which differ in nothing but their files."""
    alike = replace(one, label="", only=()) == replace(other, label="", only=())
    return bool(one.only and other.only) and alike


def _give_way() -> None:
    """Let questions have the processor before this thread and what it starts, where a thread may
    have a priority of its own (Linux)."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        with contextlib.suppress(OSError):  # it is lower already
            os.setpriority(os.PRIO_PROCESS, thread, NICE)
