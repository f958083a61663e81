"""The forms of requests and replies under /v1. Fields are added, never renamed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ingest.documents import Document, Page, Record
from ingest.quality import complaints, cure, is_poor
from qa.knowledge_base import MAX_QUESTION
from qa.overview import Status, kind_of
from qa.rendering import answer_json, explanation_json, hit_json
from qa.server import ids
from qa.server.jobs import Job
from qa.server.problems import scrubbed
from qa.turn import Answer, Message
from retrieval.explaining import Explanation
from retrieval.filter_text import MAX_FILTER

MAX_K = 100
MAX_HISTORY = 100  # messages
MAX_QUESTIONS = 500  # of one evaluation

Scalar = str | int | float | bool | None


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
        )


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


class SectionItem(BaseModel):
    """What stands under a heading: a span of the document's text."""

    title: str
    level: int
    start: int
    end: int


class PageList(BaseModel):
    """The pages and sections of a document; none for a text without them."""

    uri: str
    pages: list[PageItem]
    sections: list[SectionItem]


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
    prune: bool = Field(False, description="remove vanished documents even if most are")
    retry: bool = Field(False, description="try files again that failed before")
    include: list[str] = Field([], max_length=100, description="patterns as in .gitignore")
    exclude: list[str] = Field([], max_length=100)


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


# --- search and ask ---


class Query(Form):
    """What to look for. `filter` as in `kbqa search --filter`."""

    query: str = Field(min_length=1, max_length=MAX_QUESTION, examples=["days of annual leave"])
    k: int = Field(10, ge=1, le=MAX_K)
    filter: str = Field("", max_length=MAX_FILTER, examples=["type:pdf date>=2024"])
    explain: bool = Field(False, description="with weights, terms and timings")


class LegItem(BaseModel):
    """Where one leg of the search has a passage in its list."""

    rank: int
    score: float


class HitItem(BaseModel):
    """A passage that was found: `text` is the document's text from `start` to `end`."""

    rank: int
    uri: str
    title: str
    heading: list[str]
    page: int | None
    start: int
    end: int
    score: float = Field(ge=0, le=1)
    legs: dict[str, LegItem]
    text: str
    copies: list[str] = Field([], description="other documents that say the same")
    model_config = ConfigDict(extra="allow")


class Reasons(BaseModel):
    """Why a search found what it found."""

    evidence: float = Field(description="probability that the base answers the question")
    cut: dict[str, int]
    weights: dict[str, float]
    known_share: float
    terms: dict[str, float]
    timings: dict[str, float]
    model_config = ConfigDict(extra="allow")


class Found(BaseModel):
    """The passages that fit best."""

    hits: list[HitItem]
    explanation: Reasons | None = None

    @classmethod
    def of(cls, found: Explanation, *, explain: bool) -> Found:
        """With its reasons, if asked for."""
        reasons = explanation_json(found) if explain else None
        return cls.model_validate({"hits": hits_json(found.hits), "explanation": reasons})


class Said(Form):
    """An earlier message of the conversation."""

    role: Literal["user", "assistant"]
    content: str = Field(max_length=MAX_QUESTION)


class QuestionForm(Form):
    """A question to the documents."""

    question: str = Field(
        min_length=1, max_length=MAX_QUESTION, examples=["How many days of leave do I have?"]
    )
    filter: str = Field("", max_length=MAX_FILTER)
    history: list[Said] = Field([], max_length=MAX_HISTORY, description="oldest first")

    @property
    def messages(self) -> tuple[Message, ...]:
        """The history as the chain takes it."""
        return tuple(Message(said.role, said.content) for said in self.history)


class CitationItem(BaseModel):
    """What the mark `[number]` in an answer stands for; `verified`: the quote was compared with the
    document's text from `start` to `end`."""

    number: int
    uri: str
    page: int | None
    start: int
    end: int
    quote: str
    verified: bool
    title: str
    heading: list[str]
    model_config = ConfigDict(extra="allow")


class AnswerItem(BaseModel):
    """An answer. `abstained`: the documents do not answer; `hits` are then the nearest passages."""

    text: str = Field(examples=["You have 25 days of annual leave. [1]"])
    abstained: bool
    citations: list[CitationItem]
    hits: list[HitItem]
    model: str = Field(examples=["extractive"])
    usage: dict[str, int]
    cost: float | None
    notes: list[str]
    timings: dict[str, float] = Field(description="in seconds")
    model_config = ConfigDict(extra="allow")

    @classmethod
    def of(cls, answer: Answer) -> AnswerItem:
        """As `kbqa ask --json` gives it."""
        return cls.model_validate(answer_dict(answer))


def answer_dict(answer: Answer) -> dict[str, Any]:
    """As `kbqa ask --json` gives it, without paths of this machine in its notes."""
    told = answer_json(answer)
    return {**told, "notes": [scrubbed(note) for note in told["notes"]]}


def hits_json(hits: Any) -> list[dict[str, Any]]:
    """Hits as `kbqa search --json` gives them."""
    return [hit_json(rank, hit) for rank, hit in enumerate(hits, 1)]


# --- evaluation ---


class Trial(BaseModel):
    """A question with what is known of its answer, as a line of the file of `kbqa eval`."""

    question: str = Field(min_length=1, max_length=MAX_QUESTION)
    answer: str | list[str] | None = None
    document: str | list[str] | None = None
    page: int | list[int] | None = None
    span: str | None = None
    unanswerable: bool = False
    model_config = ConfigDict(extra="forbid")


class EvalForm(Form):
    """Questions with known answers."""

    questions: list[Trial] = Field(min_length=1, max_length=MAX_QUESTIONS)
    measures: list[str] = Field([], max_length=20, examples=[["ndcg@10", "hit@1"]])
    answers: bool = Field(False, description="ask as well, and score the answers")


class Figures(BaseModel):
    """Measure -> language (`all` first) -> mean, with a 95 % interval."""

    figures: dict[str, dict[str, dict[str, float]]]
    latency: dict[str, dict[str, float]] = Field(description="p50, p95 and p99 in ms")
    spent: dict[str, dict[str, float | bool | None]] = Field(
        description="language (`all` first), `judge` -> tokens and cost"
    )
    outcomes: list[dict[str, Any]]


def _moment(ns: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ns / 1e9)) if ns else ""


def _scrubbed(report: Mapping[str, Any]) -> dict[str, Any]:
    told = dict(report)
    for name in ("failures", "skips"):
        told[name] = [{**item, "reason": scrubbed(item["reason"])} for item in told[name]]
    return told
