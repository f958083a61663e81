"""`/health` and `/metrics`: for those who run the server."""

from __future__ import annotations

import logging
from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from ingest.errors import KbqaError
from qa.server.access import Overseer
from qa.server.problems import Draining, scrubbed
from qa.server.routes.replies import problems
from qa.server.service import Service, service_of

logger = logging.getLogger(__name__)
router = APIRouter(tags=["health"])

TEXT = "text/plain; version=0.0.4; charset=utf-8"


class Alive(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


@router.get("/health/live", responses=problems())
async def live() -> Alive:
    """Whether the process answers at all. Needs no key."""
    return Alive()


@router.get("/health/ready", responses=problems())
def ready(request: Request) -> Alive:
    """Whether requests can be served: the server's records are there, and every base that is in
    use answers a search. Needs no key, and names nothing."""
    service = service_of(request)
    if service.ending.is_set():
        raise Draining("the server is about to end")
    service.keys.needed()
    for _, base in service.bases.all_open():
        base.search("ready", 1)
    return Alive()


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {TEXT: {"schema": {"type": "string"}}}}, **problems()},
)
def metrics(request: Request, _: Overseer) -> Response:
    """For Prometheus, in its text format. Needs a key for all bases."""
    service = service_of(request)
    return Response(service.metrics.text(_sizes(service), service.jobs.counts()), media_type=TEXT)


def _sizes(service: Service) -> dict[str, tuple[int, int]]:
    """Documents and passages of the bases in use; one that does not answer is left out."""
    sizes = {}
    for name, base in service.bases.all_open():
        try:
            sizes[name] = base.count()
        except KbqaError as exc:
            logger.warning("the size of %s: %s", name, scrubbed(str(exc)))
    return sizes
