"""What is said to a server for each method of a knowledge base, whoever carries it.

A flow is a generator that yields requests, is sent their replies (or thrown their errors), and
returns the outcome: the clients of `qa.client` drive it, one with and one without `await`.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from ingest.documents import (
    Document,
    FileState,
    Mark,
    Page,
    Record,
    Section,
)
from ingest.errors import BadRequest
from ingest.quality import is_poor
from qa.client_replies import (
    answer_from,
    candidate_from,
    clear_form,
    dropped_from,
    hit_from,
    record_from,
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
    path = document_path(uri)
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
    path = document_path(uri)
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
            said = yield Call("GET", f"{document_path(row.uri)}/quality")
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
        yield Call("DELETE", document_path(uri))


# --- what the requests share ---


def document_path(uri: str) -> str:
    """Where a document is, from its base on; its id is as `qa.server.ids` makes it, which needs the
    server's libraries."""
    id_ = base64.urlsafe_b64encode(uri.encode("utf-8", "surrogatepass")).rstrip(b"=")
    return f"/documents/{quote(id_)}"


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
