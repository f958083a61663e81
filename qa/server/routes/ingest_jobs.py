"""`/v1/knowledge-bases/{kb}/ingest-jobs`: what is being read, how far it is, and its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, status
from fastapi.responses import StreamingResponse

from ingest.errors import KbqaError
from qa.server.access import BaseName, Editor, KeptBase
from qa.server.jobs import FINISHED, Spec
from qa.server.models import JobItem, JobList, NewJob
from qa.server.observing import note_target
from qa.server.problems import problem_of
from qa.server.routes.replies import EVENT_STREAM, problems
from qa.server.service import Service, service_of
from qa.server.streaming import EVENTS, PING, STREAM_HEADERS, sign_of_life, sse

AT_MOST_EVERY = 0.1  # seconds between two events: small files are read by the hundred

router = APIRouter(prefix="/v1/knowledge-bases/{kb}/ingest-jobs", tags=["ingest jobs"])

Id = Annotated[str, Path(pattern="^[0-9a-f]{16}$", examples=["9f1c2b3a4d5e6f70"])]


@router.post("", status_code=status.HTTP_202_ACCEPTED, responses=problems(404, 409))
def start_ingest_job(request: Request, kb: BaseName, base: KeptBase, form: NewJob) -> JobItem:
    """Ingest a folder of the server, or a part of it: only what changed is read."""
    service = service_of(request)
    label = f"{form.folder}/{form.path}".rstrip("/")
    note_target(request, label)
    path = service.folders.resolve(form.folder, form.path)
    spec = Spec(
        label,
        str(path),
        prune=form.prune,
        retry=form.retry,
        include=tuple(form.include),
        exclude=tuple(form.exclude),
    )
    return JobItem.of(service.start_job(kb, base, spec))


@router.get("", responses=problems(404))
def list_ingest_jobs(
    request: Request, kb: BaseName, _: KeptBase, limit: Annotated[int, Query(ge=1, le=1000)] = 50
) -> JobList:
    """The ingests of a base, the newest first."""
    jobs = service_of(request).jobs.list(kb, limit)
    return JobList(jobs=[JobItem.of(job) for job in jobs])


@router.get("/{id}", responses=problems(404))
def get_ingest_job(request: Request, kb: BaseName, id: Id, _: Editor) -> JobItem:
    """How an ingest stands."""
    return JobItem.of(service_of(request).jobs.get(kb, id))


@router.post("/{id}/cancel", responses=problems(404, 409))
def cancel_ingest_job(request: Request, kb: BaseName, id: Id, _: Editor) -> JobItem:
    """End an ingest. What is in the base by then stays."""
    note_target(request, id)
    return JobItem.of(service_of(request).jobs.cancel(kb, id))


@router.get(
    "/{id}/events",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "events `progress`, each with the job, until it has ended, or `error` "
            "with a problem",
            "content": EVENT_STREAM,
        },
        **problems(404),
    },
)
async def follow_ingest_job(request: Request, kb: BaseName, id: Id, _: Editor) -> StreamingResponse:
    """The progress of an ingest as server-sent events."""
    service = service_of(request)
    service.jobs.get(kb, id)
    events = _events(service, kb, id, request.state.request_id)
    return StreamingResponse(events, media_type=EVENTS, headers=STREAM_HEADERS)


async def _events(service: Service, kb: str, id_: str, request_id: str) -> AsyncIterator[bytes]:
    try:
        async for event in _progress(service, kb, id_):
            yield event
    except KbqaError as exc:  # the base was removed, the records cannot be read
        yield sse("error", problem_of(exc, request_id).model_dump(exclude_none=True))


async def _progress(service: Service, kb: str, id_: str) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    changed = asyncio.Event()

    def note() -> None:
        loop.call_soon_threadsafe(changed.set)

    leave, leave_end = service.jobs.listen(id_, note), service.on_end(note)
    try:
        while not service.ending.is_set():
            changed.clear()
            job = await asyncio.to_thread(service.jobs.get, kb, id_)
            yield sse("progress", JobItem.of(job).model_dump())
            if job.state in FINISHED:
                return
            await asyncio.sleep(AT_MOST_EVERY)
            while not await _is_set(changed):
                yield sign_of_life()
    finally:
        leave()
        leave_end()


async def _is_set(event: asyncio.Event) -> bool:
    try:
        await asyncio.wait_for(event.wait(), PING)
    except TimeoutError:
        return False
    return True
