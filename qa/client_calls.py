"""What is said to a server for each method of a knowledge base, whoever carries it.

A flow is a generator that yields requests, is sent their replies (or thrown their errors), and
returns the outcome: the clients of `qa.client` drive it, one with and one without `await`.
"""

from __future__ import annotations

import base64
import os
from collections import deque
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from ingest.documents import (
    Document,
    FileEntry,
    FileState,
    Mark,
    Page,
    Record,
    Section,
)
from ingest.errors import BadRequest, KbqaError, LoadError, RateLimited, TimedOut, Unreachable
from ingest.planning import failed_files
from ingest.quality import is_poor
from ingest.sync import Progress, SyncReport
from ingest.walking import Selection, Walk, walk
from qa.client_replies import (
    answer_from,
    candidate_from,
    clear_form,
    dropped_from,
    failed_report,
    hit_from,
    record_from,
    report_of_job,
)
from qa.conversation import Summary
from qa.images import Pictured
from qa.kept import Exchange, exchange_of
from qa.overview import Finding, Status, answers, failures_in
from qa.server.feedback import Cited, Verdict, questions
from qa.turn import Answer, Message
from retrieval.explaining import Explanation, id_of
from retrieval.filter_writing import filter_text
from retrieval.filters import Filters
from retrieval.hits import Hit

if TYPE_CHECKING:
    from qa.transfer import Transferred

T = TypeVar("T")
ROWS = 1000  # of a list, in one reply
FEEDBACK = 10_000  # verdicts, in one reply
AHEAD = 100  # files sent and not yet seen read: a server remembers the last 1,000 jobs only
MANY = 10  # of these that wait: what became of them is asked for at once
PATIENCE = 300.0  # seconds that a request waits in all, where the server asks to come back later

OnEvent = Callable[[str, Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Call:
    """A request. `path` counts from the base's own; `body` is JSON, `file` what to send instead.

    With `on_event` the reply is a stream of events; its outcome is the last one. With `into` it is
    written to that file.
    """

    method: str
    path: str
    body: Mapping[str, Any] | None = None
    params: Mapping[str, Any] | None = None
    file: Path | None = None
    on_event: OnEvent | None = None
    into: Path | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """To let so many seconds pass; there is no reply."""

    seconds: float


Flow = Generator[Call | Wait, Any, T]


def search(query: str, k: int = 10, filters: Filters | None = None) -> Flow[list[Hit]]:
    """The `k` best passages; see `KnowledgeBase.search`."""
    found = yield from explain(query, k, filters)
    return list(found.hits)


def explain(query: str, k: int = 10, filters: Filters | None = None) -> Flow[Explanation]:
    """As `search`, with what led to the hits; of `dropped` without the passages' texts."""
    body = {"query": query, "k": k, "filter": filter_text(filters), "explain": True}
    said = yield Call("POST", "/search", body)
    why, hits = said["explanation"], tuple(map(hit_from, said["hits"]))
    return Explanation(
        hits,
        weight=why["weights"]["dense"],
        known_share=why["known_share"],
        terms=why["terms"],
        timings=why["timings"],
        evidence=why["evidence"],
        cut=why["cut"],
        dropped=tuple(map(dropped_from, why["dropped"])),
        candidates={
            id_of(hit.chunk): candidate_from(hit, reasons)
            for hit, reasons in zip(hits, why["reasons"], strict=True)
        },
    )


def ask(
    question: str,
    on_token: Callable[[str], None] | None = None,
    *,
    history: Sequence[Message] = (),
    filters: Filters | None = None,
    images: Sequence[Pictured] = (),
    on_hits: Callable[[tuple[Hit, ...]], None] | None = None,
) -> Flow[Answer]:
    """An answer with citations, streamed to `on_token`; see `KnowledgeBase.ask`.

    Raises BadRequest for `images`, which a server does not take.
    """
    if images:
        raise BadRequest("a server takes no images with a question: ask where the base lies")

    body = {
        "question": question,
        "filter": filter_text(filters),
        "history": [{"role": said.role, "content": said.content} for said in history],
    }
    said = yield Call("POST", "/ask", body, on_event=_told_to(on_token, on_hits))
    return answer_from(said)


# --- conversations: kept by the server, of each key its own ---


def begin_conversation() -> Flow[str]:
    """Begin a conversation; its id, for `ask_further`."""
    said = yield Call("POST", "/conversations")
    return str(said["id"])


def ask_further(
    conversation: str,
    question: str,
    on_token: Callable[[str], None] | None = None,
    *,
    filters: Filters | None = None,
    on_hits: Callable[[tuple[Hit, ...]], None] | None = None,
) -> Flow[Answer]:
    """The answer to a question that may lean on those before it, streamed to `on_token`.

    Raises BadRequest if there is no such conversation.
    """
    body = {"question": question, "filter": filter_text(filters)}
    path = f"/conversations/{_id_of(conversation)}/ask"
    said = yield Call("POST", path, body, on_event=_told_to(on_token, on_hits))
    return answer_from(said)


def conversations() -> Flow[list[Summary]]:
    """The conversations of this key, the last one first."""
    found: list[Summary] = []
    after: str | None = ""
    while after is not None:
        said = yield Call("GET", "/conversations", params={"limit": ROWS, "after": after})
        found += [Summary(**row) for row in said["conversations"]]
        after = said.get("next")  # older servers tell all at once
    return found


def conversation(conversation: str) -> Flow[list[Exchange]]:
    """What was said in a conversation, in order. Raises BadRequest if there is none."""
    said = yield Call("GET", f"/conversations/{_id_of(conversation)}")
    return [exchange_of(row) for row in said["exchanges"]]


def delete() -> Flow[None]:
    """Remove the base, with what the server keeps of it. Raises BadRequest if there is none."""
    yield Call("DELETE", "")


def export(file: str | os.PathLike[str]) -> Flow[Transferred]:
    """Write the base to one file, for `qa.transfer.import_base`. For admins.

    Raises BadRequest if the file exists, StorageError if it cannot be written.
    """
    from qa.transfer import amount_in

    target = Path(file)
    if target.exists():
        raise BadRequest(f"{target} exists already: name another file")
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        yield Call("GET", "/export", into=part)
        amount = amount_in(part)
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
    return amount


def forget_conversation(conversation: str) -> Flow[None]:
    """Delete a conversation. Raises BadRequest if there is none."""
    yield Call("DELETE", f"/conversations/{_id_of(conversation)}")


# --- feedback ---


def give_feedback(question: str, answer: Answer, *, helpful: bool) -> Flow[None]:
    """Say whether an answer helped; the server keeps it with the passages that it cites."""
    cited = [
        {"uri": one.uri, "page": one.page, "start": one.start, "end": one.end}
        for one in answer.citations
        if one.verified
    ]
    body = {"question": question, "answer": answer.text, "helpful": helpful, "citations": cited}
    yield Call("POST", "/feedback", body)


def feedback_questions() -> Flow[list[dict[str, Any]]]:
    """Questions whose answers helped, as `kbqa eval` and `kbqa tune` take them. For editors."""
    said = yield Call("GET", "/feedback", params={"limit": FEEDBACK})
    verdicts = [
        Verdict(**{**row, "citations": tuple(Cited(**cited) for cited in row["citations"])})
        for row in said["feedback"]
    ]
    return list(questions(verdicts))


def documents() -> Flow[list[Record]]:
    """The ledger in order of uri: documents, what failed, and archives."""
    rows: list[Record] = []
    after: str | None = ""
    while after is not None:
        said = yield Call("GET", "/documents", params={"limit": ROWS, "after": after})
        rows += map(record_from, said["documents"])
        after = said["next"]
    return rows


def document(uri: str) -> Flow[Document]:
    """A document with its canonical text. Raises BadRequest if there is none of that uri."""
    path = f"/documents/{_id(uri)}"
    row = yield Call("GET", path)
    text = yield Call("GET", f"{path}/text")
    parts = yield Call("GET", f"{path}/pages")
    return Document(
        uri=uri,
        sha256=row["sha256"],
        text=text["text"],
        title=text["title"],
        media_type=row["media_type"],
        pages=tuple(Page(**page) for page in parts["pages"]),
        sections=tuple(Section(**section) for section in parts["sections"]),
        metadata=text["metadata"],
        quality=row["quality"],
        marks=tuple(Mark(**mark) for mark in parts["marks"]),
        first_line=text["first_line"],
        parser=row["parser"],
    )


def file_state(uri: str) -> Flow[FileState]:
    """What became of a document's file since it was read, as the server sees it: `same`, `changed`,
    or `gone`; "" for a document without one."""
    path = f"/documents/{_id(uri)}"
    said = yield Call("GET", path)
    if "file" not in said:  # an older server: it tells with the text, or not at all
        said = yield Call("GET", f"{path}/text")
    state: FileState = said.get("file", "")
    return state


def status() -> Flow[Status]:
    """The base in figures; its location is the name that the server has for it."""
    said = yield Call("GET", "")
    names = {field.name for field in fields(Status)} - {"location"}
    return Status(location=said["name"], **{name: said[name] for name in names})


def diagnose() -> Flow[list[Finding]]:
    """What is wrong with the documents, with the cure; what the store holds is not looked at."""
    rows = yield from documents()
    found = list(failures_in(rows))
    for row in rows:
        if is_poor(row.quality) and answers(row):
            said = yield Call("GET", f"/documents/{_id(row.uri)}/quality")
            pages = [one for one in said["complaints"] if one["page"] is not None]
            found += [
                Finding("poor", row.uri, ", ".join(one["reasons"]), one["cure"], one["page"])
                for one in pages or said["complaints"]
            ]
    return found


def remove(*uris: str) -> Flow[None]:
    """Drop documents, and their files where they were uploaded. Raises BadRequest if there is none
    of a uri; those before it are gone by then."""
    for uri in uris:
        yield Call("DELETE", f"/documents/{_id(uri)}")


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
            job = yield from _patiently(Call("POST", f"/documents/{_id(uri)}/reingest"))
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


# --- what the requests share ---


def _id(uri: str) -> str:
    """As `qa.server.ids` makes it; that package needs the server's libraries."""
    return quote(base64.urlsafe_b64encode(uri.encode("utf-8", "surrogatepass")).rstrip(b"="))


def _told_to(
    on_token: Callable[[str], None] | None, on_hits: Callable[[tuple[Hit, ...]], None] | None
) -> OnEvent | None:
    """Who is told of an answer while it is written; None: nobody, it is sent whole."""
    if not (on_token or on_hits):
        return None

    def note(event: str, value: Mapping[str, Any]) -> None:
        with clear_form():
            text = value["text"] if event == "token" else ""
            hits = tuple(map(hit_from, value["hits"])) if event == "hits" and on_hits else None
        if text and on_token:
            on_token(text)
        if hits is not None and on_hits:
            on_hits(hits)

    return note


def _id_of(conversation: str) -> str:
    return quote(conversation, safe="")
