"""A knowledge base at a glance: figures, and what is wrong with it."""

from __future__ import annotations

import time
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

from ingest.cures import cure_of
from ingest.documents import Record
from ingest.loaders.media_types import BY_SUFFIX
from ingest.quality import complaints, cure, is_poor
from qa.opening import Opened
from retrieval.inspecting import copies_in, miscounted, pages_in
from retrieval.journal import is_interrupted
from retrieval.store import Store

_KINDS = {media_type: suffix[1:] for suffix, media_type in reversed(BY_SUFFIX.items())}


@dataclass(frozen=True, slots=True)
class Status:
    """A knowledge base in figures. `location` is its folder or URL.

    `documents` and `chunks` are those that answer. `states` and `types` count rows of the ledger;
    `poor` were read poorly, as a whole or on some pages; `near_duplicates` are near-copies of
    another one. `last_ingest` is when something was last written, in local time, "" for never.
    """

    location: str
    documents: int
    chunks: int
    embedder: str
    dimension: int
    states: Mapping[str, int] = field(default_factory=dict)
    types: Mapping[str, int] = field(default_factory=dict)
    failed: int = 0
    poor: int = 0
    near_duplicates: int = 0
    last_ingest: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong: a file that `failed`, a `poor` document or page, or a `base` whose
    ledger does not fit what is in it. `page` is None for a document as a whole."""

    kind: Literal["failed", "poor", "base"]
    uri: str
    reason: str
    cure: str
    page: int | None = None


def status_of(opened: Opened, chunks: int, rows: Sequence[Record]) -> Status:
    """The figures of a base with these rows."""
    base = opened.base
    last = max((row.ingested_ns for row in rows), default=0)
    groups = copies_in(opened.store)
    return Status(
        opened.location,
        sum(answers(row) for row in rows),
        chunks,
        base.embedder,
        base.dimension,
        states=dict(Counter(row.state for row in rows).most_common()),
        types=dict(Counter(kind_of(row) for row in rows if answers(row)).most_common()),
        failed=sum(row.state == "failed" for row in rows),
        poor=sum(is_poor(row.quality) for row in rows),
        near_duplicates=sum(map(len, groups)) - len(groups),
        last_ingest=time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(last / 1e9)) if last else "",
    )


def answers(row: Record) -> bool:
    """Whether there is a document that answers questions: not so for archives and what failed,
    unless an earlier version of it was read."""
    return row.state == "ok" or row.chunks > 0


def kind_of(row: Record) -> str:
    """The type as people say it: md, pdf, docx; the media type where there is no such word."""
    return _KINDS.get(row.media_type, row.media_type or "unknown")


def fits(row: Record, state: str | None, type_: str | None, path: str | None) -> bool:
    """Whether a row is in this state, of this type (pdf, md... or a media type), and its path fits
    the pattern; None for any."""
    if state is not None and row.state != state:
        return False
    if type_ is not None and type_.lower() not in (kind_of(row), row.media_type):
        return False
    return path is None or fnmatchcase(composed(row.uri), composed(path))


def composed(text: str) -> str:
    """In the form in which an accent is part of its letter: file systems differ."""
    return unicodedata.normalize("NFC", text)


def findings(store: Store, rows: Sequence[Record]) -> list[Finding]:
    """What is wrong, failed files first."""
    return [*failures_in(rows), *_poor(store, rows), *_sick(store)]


def failures_in(rows: Sequence[Record]) -> Iterator[Finding]:
    """The files that failed."""
    for row in rows:
        if row.state == "failed":
            reason = f"{row.error} (its last good version answers)" if row.chunks else row.error
            yield Finding("failed", row.uri, reason, cure_of(row.error))


def _poor(store: Store, rows: Sequence[Record]) -> Iterator[Finding]:
    for row in rows:
        if not is_poor(row.quality):
            continue
        pages = [page for page in pages_in(store, row.uri) if complaints(page.quality)]
        for page in pages:
            reason = ", ".join(complaints(page.quality))
            yield Finding("poor", row.uri, reason, cure(page, page.quality), page.number)
        if not pages:
            yield Finding(
                "poor", row.uri, ", ".join(complaints(row.quality)), cure(None, row.quality)
            )


def _sick(store: Store) -> Iterator[Finding]:
    if is_interrupted(store):
        reason = "an ingest was interrupted while it wrote"
        yield Finding("base", "", reason, "the next `kbqa ingest` finishes it")
        return
    for uri, promised, there in miscounted(store):
        if promised:
            reason = f"{there} of {promised} passages are there"
            yield Finding("base", uri, reason, f"`kbqa remove '{uri}'`, then `kbqa ingest FOLDER`")
        else:
            reason = f"{there} passages of a version that no longer counts; no answer shows them"
            yield Finding("base", uri, reason, "they go when the document next changes")
