"""`/v1/knowledge-bases`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, status
from starlette.concurrency import run_in_threadpool

from qa.server.access import BaseName, Caller, ReadBase, Reader, caller
from qa.server.keys import Role
from qa.server.models import BaseItem, BaseList, BaseStatus, NewBase
from qa.server.observing import note_target
from qa.server.routes.replies import problems
from qa.server.service import service_of

router = APIRouter(prefix="/v1/knowledge-bases", tags=["knowledge bases"])
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
