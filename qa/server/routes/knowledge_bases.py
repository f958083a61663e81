"""`/v1/knowledge-bases`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from typing import Annotated, BinaryIO
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request, status
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from qa.server.access import BaseName, Caller, OwnedBase, ReadBase, Reader, caller
from qa.server.keys import Role
from qa.server.models import BaseItem, BaseList, BaseStatus, NewBase
from qa.server.observing import note_target
from qa.server.routes.replies import problems
from qa.server.service import service_of

router = APIRouter(prefix="/v1/knowledge-bases", tags=["knowledge bases"])
ZIP = "application/zip"
PIECE = 1024 * 1024  # bytes that are read at a time
Maker = Annotated[Caller, Depends(caller(Role.ADMIN, everywhere=True))]


@router.get("", responses=problems())
def list_knowledge_bases(who: Reader) -> BaseList:
    """The knowledge bases that the key is for."""
    return BaseList(knowledge_bases=[BaseItem(name=name) for name in who.names()])


@router.post("", status_code=status.HTTP_201_CREATED, responses=problems(409))
def create_knowledge_base(request: Request, form: NewBase, _: Maker) -> BaseStatus:
    """Make an empty knowledge base. Needs an admin's key for all bases."""
    note_target(request, form.name)
    return BaseStatus.of(form.name, service_of(request).create_base(form.name).status())


@router.get("/{kb}", responses=problems(404))
def get_knowledge_base(kb: BaseName, base: ReadBase) -> BaseStatus:
    """A knowledge base in figures."""
    return BaseStatus.of(kb, base.status())


@router.delete("/{kb}", status_code=status.HTTP_204_NO_CONTENT, responses=problems(404, 409))
async def delete_knowledge_base(request: Request, kb: BaseName, _: Maker) -> None:
    """Remove a knowledge base with its uploads, ingest jobs, conversations and feedback.

    Files outside of the uploads stay. There is no way back but an export made before. Needs an
    admin's key for all bases.
    """
    note_target(request, kb)
    await run_in_threadpool(service_of(request).delete_base, kb)


@router.get(
    "/{kb}/export",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "the file",
            "content": {ZIP: {"schema": {"type": "string", "format": "binary"}}},
        },
        **problems(404),
    },
)
def export_knowledge_base(request: Request, kb: BaseName, base: OwnedBase) -> StreamingResponse:
    """A knowledge base as one file, as `kbqa export` writes it. An ingest waits meanwhile."""
    file = service_of(request).uploads.spool(base.export)
    headers = {
        "Content-Length": str(os.fstat(file.fileno()).st_size),
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(kb)}.kbqa",
    }
    return _Spooled(file, headers)


class _Spooled(StreamingResponse):
    """A file, which is closed at the end, also if nobody waited for its first byte."""

    def __init__(self, file: BinaryIO, headers: Mapping[str, str]) -> None:
        super().__init__(iter(partial(file.read, PIECE), b""), headers=headers, media_type=ZIP)
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._file:
            await super().__call__(scope, receive, send)
