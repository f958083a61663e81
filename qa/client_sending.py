"""Files on their way to a server: what an ingest and a retry of `qa.client` send and wait for."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ingest.documents import FileEntry
from ingest.errors import BadRequest, KbqaError, LoadError, RateLimited, TimedOut, Unreachable
from ingest.planning import failed_files
from ingest.sync import Progress, SyncReport
from ingest.walking import Selection, Walk, walk
from qa.client_calls import Call, Flow, Wait, document_path, documents
from qa.client_replies import failed_report, report_of_job

AHEAD = 100  # files sent and not yet seen read: a server remembers the last 1,000 jobs only
MANY = 10  # of these that wait: what became of them is asked for at once
PATIENCE = 300.0  # seconds that a request waits in all, where the server asks to come back later


def ingest(
    path: str | os.PathLike[str],
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    on_progress: Callable[[Progress], None] | None = None,
) -> Flow[SyncReport]:
    """Send a file, or the files of a folder, and wait until the server has read them.

    A file that the server does not take or cannot read is in the report and stops nothing, and
    where the server asks to come back later, that is done. A document that the server has already
    and whose file is no longer in the folder stays. Raises BadRequest for a wrong path, and what
    the server says before the first file is sent: there is no such base, the key is not for it.
    """
    if not os.path.exists(path):
        raise BadRequest(f"no such file or folder: {path}")
    yield from _patiently(Call("GET", "/ingest-jobs", params={"limit": 1}))
    target = os.path.realpath(path)
    root = target if os.path.isdir(target) else os.path.dirname(target)
    seen = walk(target, root, Selection.of(include, exclude))
    sending = _Sending(seen, on_progress)
    for entry in seen.entries:
        yield from sending.send(entry)
    yield from sending.end()
    return sending.report


def retry(
    uris: Collection[str] | None = None,
    *,
    on_progress: Callable[[Progress], None] | None = None,
) -> Flow[SyncReport]:
    """Have files read again that failed: all, or those of `uris`. Raises BadRequest for one that
    has not failed. A file that the server may not read any more is in the report."""
    rows = yield from documents()
    files = failed_files({row.uri: row for row in rows}, uris)
    report, progress = SyncReport(), Progress(total=len(files))
    for uri in files:
        try:
            job = yield from _patiently(Call("POST", f"{document_path(uri)}/reingest"))
            report += report_of_job(uri, (yield from _patiently(_end_of(job["id"]))))
        except BadRequest as exc:
            report += failed_report(uri, str(exc))
        progress.done += 1
        progress.chunks, progress.uri = report.chunks, uri
        if on_progress:
            on_progress(progress)
    return report


class _Sending:
    """Files on their way into a base, and what is known of them so far."""

    def __init__(self, seen: Walk, on_progress: Callable[[Progress], None] | None) -> None:
        self.report = SyncReport(
            failed=len(seen.failures),
            failures=tuple(seen.failures),
            skipped=len(seen.skips),
            skips=tuple(seen.skips),
        )
        self._progress, self._on_progress = Progress(total=len(seen.entries)), on_progress
        self._queued = deque[tuple[FileEntry, str]]()  # with the id of the job that reads it
        self._sends_no_more = ""  # why
        self._asks_no_more = ""

    def send(self, entry: FileEntry) -> Flow[None]:
        """Send a file. Where many wait to be read, the first of them is waited for."""
        if len(self._queued) == AHEAD:
            yield from self._see_read()
        reason = self._sends_no_more
        if not reason:
            file = Path(entry.path)
            try:
                sent = yield from _patiently(
                    Call("POST", "/documents", params={"uri": entry.uri}, file=file)
                )
            except LoadError as exc:
                reason = exc.reason
            except (BadRequest, TimedOut) as exc:  # of its name, its kind, its size
                reason = str(exc)
            except KbqaError as exc:
                reason = self._sends_no_more = f"was not sent: {exc}"
            else:
                self._queued.append((entry, sent["job"]["id"]))
                return
        self._note(entry, failed_report(entry.uri, reason, entry.path))

    def end(self) -> Flow[None]:
        """Wait for all that was sent."""
        while self._queued:
            yield from self._see_read()

    def _see_read(self) -> Flow[None]:
        """Wait until the file that was sent first has been read: those behind it may be as well."""
        yield from self._see_first_read()
        if len(self._queued) < MANY or self._asks_no_more:
            return
        with suppress(KbqaError):  # each is asked for by itself, then
            said = yield from _patiently(Call("GET", "/ingest-jobs", params={"limit": 2 * AHEAD}))
            jobs = {job["id"]: job for job in said["jobs"]}
            while self._queued and (job := jobs.get(self._queued[0][1])) and job["finished"]:
                entry, _ = self._queued.popleft()
                self._note(entry, report_of_job(entry.uri, job))

    def _see_first_read(self) -> Flow[None]:
        entry, job = self._queued.popleft()
        reason, said = self._asks_no_more, None
        if not reason:
            try:
                said = yield from _patiently(_end_of(job))
            except KbqaError as exc:
                reason = f"was sent, and how it was read is not known: {exc}"
                if not isinstance(exc, BadRequest):
                    self._asks_no_more = reason
        report = (
            report_of_job(entry.uri, said) if said else failed_report(entry.uri, reason, entry.path)
        )
        self._note(entry, report)

    def _note(self, entry: FileEntry, report: SyncReport) -> None:
        self.report += report
        self._progress.done += 1
        self._progress.chunks = self.report.chunks
        self._progress.uri = entry.uri
        if self._on_progress:
            self._on_progress(self._progress)


def _end_of(job: str) -> Call:
    """Waits until a file has been read; what comes is the job."""
    return Call("GET", f"/ingest-jobs/{job}/events", on_event=lambda event, value: None)


def _patiently(call: Call) -> Flow[Any]:
    """The reply to a request, which is made again when the server has said to come back later.

    Raises what the server said last, where that would take more than PATIENCE.
    """
    waited = 0.0
    while True:
        try:
            return (yield call)
        except (RateLimited, Unreachable) as exc:
            if exc.retry_after is None or waited + exc.retry_after > PATIENCE:
                raise
            pause = max(1.0, exc.retry_after)
        yield Wait(pause)
        waited += pause
