"""The forms of requests and replies under /v1. Fields are added, never renamed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from ingest.documents import Document, FileState, Page, Record
from ingest.quality import complaints, cure, is_poor
from qa.overview import Status, kind_of
from qa.server import ids
from qa.server.jobs import Job
from qa.server.problems import scrubbed

Scalar = str | int | float | bool | None
Pattern = Annotated[str, Field(max_length=500)]


class Form(BaseModel):
    """Of a request: what is not documented is refused."""

    model_config = ConfigDict(extra="forbid")


# --- bases ---


class NewBase(Form):
    """A knowledge base to be made."""

    name: str = Field(min_length=1, max_length=100, examples=["handbook"])


class BaseItem(BaseModel):
    """A knowledge base in a list."""

    name: str = Field(examples=["handbook"])


class BaseList(BaseModel):
    """The bases that the key is for."""

    knowledge_bases: list[BaseItem]


class BaseStatus(BaseModel):
    """A knowledge base in figures, as `kbqa status` gives them."""

    name: str = Field(examples=["handbook"])
    documents: int = Field(examples=[42])
    chunks: int = Field(examples=[310])
    embedder: str = Field(examples=["minilm"])
    dimension: int = Field(examples=[384])
    states: dict[str, int] = Field(examples=[{"ok": 42, "failed": 1}])
    types: dict[str, int] = Field(examples=[{"md": 40, "pdf": 2}])
    failed: int = 0
    poor: int = 0
    near_duplicates: int = 0
    last_ingest: str = Field("", examples=["2026-11-26 09:30:00"])

    @classmethod
    def of(cls, name: str, status: Status) -> BaseStatus:
        """Without the place where it lies."""
        return cls(
            name=name,
            documents=status.documents,
            chunks=status.chunks,
            embedder=status.embedder,
            dimension=status.dimension,
            states=dict(status.states),
            types=dict(status.types),
            failed=status.failed,
            poor=status.poor,
            near_duplicates=status.near_duplicates,
            last_ingest=status.last_ingest,
        )


# --- documents ---


FileNow = Annotated[
    FileState,
    Field(description="what became of its file since it was read; '' for a document without one"),
]


class DocumentItem(BaseModel):
    """A row of the ledger. `id` names it in paths; it depends on the uri only."""

    id: str = Field(examples=[ids.id_of("handbook/leave.md")])
    uri: str = Field(examples=["handbook/leave.md"])
    title: str = Field(examples=["Leave"])
    state: Literal["ok", "failed", "skipped", "container"]
    kind: str = Field(examples=["md"])
    media_type: str = Field(examples=["text/markdown"])
    chunks: int = Field(examples=[7])
    size: int = Field(examples=[2048], description="of its file, in bytes")
    modified: str = Field(examples=["2026-11-02T10:00:00Z"], description="'' without a file")
    ingested: str = Field(examples=["2026-11-26T09:30:00Z"])
    sha256: str
    parser: str = Field(examples=["markdown/1"])
    container: str = Field("", description="uri of the archive or mail that it came out of")
    error: str = Field("", description="why it could not be read")
    quality: dict[str, Scalar] = {}
    poor: bool = Field(False, description="whether it was read poorly, or one of its pages was")

    @classmethod
    def of(cls, row: Record) -> DocumentItem:
        """Without the place of its file."""
        return cls(
            id=ids.id_of(row.uri),
            uri=row.uri,
            title=row.title,
            state=row.state,
            kind=kind_of(row),
            media_type=row.media_type,
            chunks=row.chunks,
            size=row.size,
            modified=_moment(row.mtime_ns),
            ingested=_moment(row.ingested_ns),
            sha256=row.sha256,
            parser=row.parser,
            container=row.container,
            error=scrubbed(row.error),
            quality=dict(row.quality),
            poor=is_poor(row.quality),
        )


class DocumentDetail(DocumentItem):
    """A document and its file."""

    file: FileNow


class DocumentList(BaseModel):
    """Documents in order of uri; `next` is the `after` of the following page, null at the end."""

    documents: list[DocumentItem]
    total: int = Field(examples=[1], description="that fit the filter, on all pages")
    next: str | None = None


class PageItem(BaseModel):
    """A page, slide or sheet: a span of the document's text."""

    number: int = Field(examples=[1])
    label: str = Field(examples=["iv"])
    start: int
    end: int
    quality: dict[str, Scalar] = {}

    @classmethod
    def of(cls, page: Page) -> PageItem:
        """With its figures."""
        return cls(
            number=page.number,
            label=page.label,
            start=page.start,
            end=page.end,
            quality=dict(page.quality),
        )


class DocumentText(BaseModel):
    """What was read in a document: the canonical text, whose spans citations are."""

    uri: str = Field(examples=["handbook/leave.md"])
    title: str
    page: int | None = Field(description="the page that was asked for")
    start: int = Field(description="where `text` begins in the document's text")
    text: str
    metadata: dict[str, Scalar | list[str]] = {}
    first_line: int | None = Field(
        description="line of the file on which the document's text begins, if it has its lines"
    )
    file: FileNow


class SectionItem(BaseModel):
    """What stands under a heading: a span of the document's text."""

    title: str
    level: int
    start: int
    end: int


class MarkItem(BaseModel):
    """What a span of the document's text is: a table, boilerplate, an image and so on."""

    kind: str = Field(examples=["table"])
    start: int
    end: int
    label: str


class PageList(BaseModel):
    """The pages, sections and marks of a document; none for a text without them."""

    uri: str
    pages: list[PageItem]
    sections: list[SectionItem]
    marks: list[MarkItem]


class Complaint(BaseModel):
    """What is wrong with a document (`page` null) or a page, and what helps."""

    page: int | None
    reasons: list[str]
    cure: str


class Quality(BaseModel):
    """How well a document was read."""

    uri: str
    poor: bool
    figures: dict[str, Scalar]
    complaints: list[Complaint]

    @classmethod
    def of(cls, document: Document) -> Quality:
        """Of a document and each of its pages."""
        parts = [(None, document.quality), *((page, page.quality) for page in document.pages)]
        return cls(
            uri=document.uri,
            poor=is_poor(document.quality),
            figures=dict(document.quality),
            complaints=[
                Complaint(
                    page=page.number if page else None,
                    reasons=list(complaints(figures)),
                    cure=cure(page, figures),
                )
                for page, figures in parts
                if complaints(figures)
            ],
        )


# --- ingest ---


class NewJob(Form):
    """A folder of the server to be ingested: one of those that its setting `serve_folders` lists,
    by name, or a part of it."""

    folder: str = Field(max_length=200, examples=["docs"])
    path: str = Field("", max_length=1000, description="below it", examples=["handbook"])
    prune: StrictBool = Field(False, description="remove vanished documents even if most are")
    retry: StrictBool = Field(False, description="try files again that failed before")
    include: list[Pattern] = Field([], max_length=100, description="patterns as in .gitignore")
    exclude: list[Pattern] = Field([], max_length=100)


class JobItem(BaseModel):
    """An ingest. Times in seconds since 1970."""

    id: str = Field(examples=["9f1c2b3a4d5e6f70"])
    kb: str = Field(examples=["handbook"])
    source: str = Field(examples=["docs/handbook"], description="what is ingested")
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    created: float
    started: float | None
    finished: float | None
    progress: dict[str, Any] = Field(
        {}, description="while it runs", examples=[{"total": 9, "done": 3, "chunks": 41}]
    )
    report: dict[str, Any] | None = Field(None, description="as `kbqa ingest --json` ends with")
    error: str = ""

    @classmethod
    def of(cls, job: Job) -> JobItem:
        """Without the place of the files."""
        return cls(
            id=job.id,
            kb=job.kb,
            source=job.spec.label,
            state=job.state,
            created=job.created,
            started=job.started,
            finished=job.finished,
            progress=dict(job.progress),
            report=None if job.report is None else _scrubbed(job.report),
            error=job.error,
        )


class JobList(BaseModel):
    """The ingests of a base, the newest first."""

    jobs: list[JobItem]


class Upload(BaseModel):
    """A file that was taken, and the job that reads it."""

    uri: str = Field(examples=["handbook/leave.md"])
    job: JobItem


def _moment(ns: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ns / 1e9)) if ns else ""


def _scrubbed(report: Mapping[str, Any]) -> dict[str, Any]:
    told = dict(report)
    for name in ("failures", "skips"):
        told[name] = [{**item, "reason": scrubbed(item["reason"])} for item in told[name]]
    return told
