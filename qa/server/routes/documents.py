"""`/v1/knowledge-bases/{kb}/documents`: what is in a base, and what is put there."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response, status
from starlette.concurrency import run_in_threadpool

from ingest.documents import Document, Record
from ingest.loaders.media_types import PDF
from ingest.page_image import CannotDraw, page_image
from qa.knowledge_base import KnowledgeBase
from qa.overview import answers, fits
from qa.rendering import page_text
from qa.server import ids
from qa.server.access import BaseName, KeptBase, ReadBase
from qa.server.jobs import Spec
from qa.server.models import (
    DocumentDetail,
    DocumentItem,
    DocumentList,
    DocumentText,
    JobItem,
    MarkItem,
    PageItem,
    PageList,
    Quality,
    SectionItem,
    Upload,
)
from qa.server.observing import note_target
from qa.server.problems import Conflict, NotFound, UnsupportedKind
from qa.server.routes.replies import problems
from qa.server.service import Service, service_of

router = APIRouter(prefix="/v1/knowledge-bases/{kb}/documents", tags=["documents"])

PAGE_SIZE, MAX_PAGE_SIZE = 100, 1000
PNG = "image/png"
Id = Annotated[
    str, Path(max_length=6000, pattern=r"^[\w-]+$", examples=[ids.id_of("handbook/leave.md")])
]
RAW_FILE = {
    "requestBody": {
        "required": True,
        "description": "the bytes of the file, as they are",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.get("", responses=problems(404))
def list_documents(
    base: ReadBase,
    state: Annotated[Literal["ok", "failed", "skipped", "container"] | None, Query()] = None,
    type_: Annotated[
        str | None, Query(alias="type", max_length=200, description="pdf, md... or a media type")
    ] = None,
    path: Annotated[
        str | None, Query(max_length=1000, description="a pattern: contracts/*.pdf")
    ] = None,
    after: Annotated[str, Query(max_length=4000, description="`next` of the page before")] = "",
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE)] = PAGE_SIZE,
) -> DocumentList:
    """The documents of a base, what failed and archives among them, in order of uri."""
    rows = [row for row in base.documents() if fits(row, state, type_, path)]
    rest = [row for row in rows if row.uri > after]
    return DocumentList(
        documents=[DocumentItem.of(row) for row in rest[:limit]],
        total=len(rows),
        next=rest[limit - 1].uri if len(rest) > limit else None,
    )


@router.post(
    "",
    status_code=status.HTTP_202_ACCEPTED,
    responses=problems(404, 409, 415),
    openapi_extra=RAW_FILE,
)
async def upload_document(
    request: Request,
    kb: BaseName,
    base: KeptBase,
    uri: Annotated[
        str,
        Query(
            min_length=1,
            max_length=1000,
            description="the name it is to have",
            examples=["handbook/leave.pdf"],
        ),
    ],
) -> Upload:
    """Send a file; it replaces one of the same name that was uploaded before.

    It is on disk when this replies, and read by an ingest job, which is kept too: both outlive the
    server. A file whose name ends as no kind that is read does is refused, and so is what is not
    the file itself: a form that holds it, a compressed body.
    """
    service = service_of(request)
    note_target(request, uri)
    _require_raw(request)
    staying = partial(service.bases.staying, kb, base)
    name = await service.uploads.keep(kb, uri, request.stream(), placing=staying)
    root = service.uploads.root(kb).resolve()
    spec = Spec(f"upload of {name}", str(root), only=(str(root / name),), retry=True)
    job = await run_in_threadpool(service.start_job, kb, base, spec)
    return Upload(uri=name, job=JobItem.of(job))


@router.get("/{id}", responses=problems(404))
def get_document(base: ReadBase, id: Id) -> DocumentDetail:
    """A document, its text aside."""
    row = _row(base, id)
    return DocumentDetail(**DocumentItem.of(row).model_dump(), file=base.file_state(row.uri))


@router.get("/{id}/text", responses=problems(404, 409))
def get_document_text(
    base: ReadBase, id: Id, page: Annotated[int | None, Query(ge=0, le=10**6)] = None
) -> DocumentText:
    """The text that was read in a document, or on one page of it."""
    document = _document(base, id)
    starts = {known.number: known.start for known in document.pages}
    return DocumentText(
        uri=document.uri,
        title=document.title,
        page=page,
        start=0 if page is None else starts.get(page, 0),
        text=page_text(document, page),
        metadata=dict(document.metadata),
        first_line=document.first_line,
        file=base.file_state(document.uri),
    )


@router.get("/{id}/pages", responses=problems(404, 409))
def get_document_pages(base: ReadBase, id: Id) -> PageList:
    """The pages, slides or sheets of a document, and how well each was read; sections, marks."""
    document = _document(base, id)
    return PageList(
        uri=document.uri,
        pages=[PageItem.of(page) for page in document.pages],
        sections=[
            SectionItem(title=s.title, level=s.level, start=s.start, end=s.end)
            for s in document.sections
        ],
        marks=[
            MarkItem(kind=m.kind, start=m.start, end=m.end, label=m.label) for m in document.marks
        ],
    )


@router.get(
    "/{id}/pages/{number}/image",
    response_class=Response,
    responses={
        200: {"content": {PNG: {"schema": {"type": "string", "format": "binary"}}}},
        **problems(404, 409),
    },
)
def get_page_image(
    request: Request,
    base: ReadBase,
    id: Id,
    number: Annotated[int, Path(ge=1, le=10**6, examples=[1])],
) -> Response:
    """How a page of a PDF looks, where the server still has its file."""
    row = _row(base, id)
    if row.media_type != PDF or row.container:
        raise Conflict(f"'{row.uri}' is no file of the kind PDF")
    if not may_read(service_of(request), row.source):
        raise Conflict(f"the file of '{row.uri}' is not in a folder that the server may read")
    if number not in {page.number for page in _document(base, id).pages}:
        raise NotFound(f"'{row.uri}' has no page {number}")
    try:
        return Response(page_image(row.source, number), media_type=PNG)
    except CannotDraw as exc:
        raise Conflict(str(exc)) from exc


@router.get("/{id}/quality", responses=problems(404, 409))
def get_document_quality(base: ReadBase, id: Id) -> Quality:
    """How well a document was read, and what helps where it was poorly."""
    return Quality.of(_document(base, id))


@router.delete("/{id}", status_code=status.HTTP_204_NO_CONTENT, responses=problems(404))
def delete_document(request: Request, base: KeptBase, id: Id) -> None:
    """Remove a document, and the file if it was uploaded. A file of a folder of the server stays,
    and comes back when that folder is ingested again."""
    row = _row(base, id)
    note_target(request, row.uri)
    base.remove(row.uri)
    if not row.container:
        service_of(request).uploads.remove(row.source)


@router.post("/{id}/reingest", status_code=status.HTTP_202_ACCEPTED, responses=problems(404, 409))
def reingest_document(request: Request, kb: BaseName, base: KeptBase, id: Id) -> JobItem:
    """Read the file of a document again: if it has changed, has failed, or if kbqa reads its kind
    better by now. One that is the same is left as it is."""
    service = service_of(request)
    row = _row(base, id)
    note_target(request, row.uri)
    if not may_read(service, row.source):
        raise Conflict(f"the file of '{row.uri}' is not in a folder that the server may read")
    return JobItem.of(service.start_job(kb, base, Spec(row.uri, row.source, retry=True)))


def _require_raw(request: Request) -> None:
    """Raise UnsupportedKind for a body that is not the bytes of the file themselves."""
    if request.headers.get("content-type", "").startswith("multipart/"):
        raise UnsupportedKind(
            "the body is a form: send the file's bytes as they are (curl --data-binary @FILE)"
        )
    coding = request.headers.get("content-encoding", "identity")
    if coding != "identity":
        raise UnsupportedKind(f"the body has the coding '{coding}': send the bytes as they are")


def may_read(service: Service, path: str) -> bool:
    """Whether a file was uploaded or lies in a folder that clients may have ingested."""
    return bool(path) and (service.uploads.holds(path) or service.folders.holds(path))


def _row(base: KnowledgeBase, id_: str) -> Record:
    uri = ids.uri_of(id_)
    row = base.record(uri)
    if row is None:
        raise NotFound(f"there is no document '{uri}'")
    return row


def _document(base: KnowledgeBase, id_: str) -> Document:
    row = _row(base, id_)
    if not answers(row):
        raise Conflict(f"'{row.uri}' has no text: {row.error or 'it is an archive'}")
    return base.document(row.uri)
