"""Who asks, and what they may: one dependency, which every route has.

A base is only to be had from a `Caller`, who gets no other than those of the key. Without any key
the server is for the people of this machine (`running.py` sees to that): they may everything.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Path, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.concurrency import run_in_threadpool

from qa.knowledge_base import KnowledgeBase
from qa.server.bases import NAME, Bases
from qa.server.keys import Role
from qa.server.problems import Forbidden, NotAuthenticated
from qa.server.service import Service, service_of

LOCAL = "local"  # who asks a server without keys

_bearer = HTTPBearer(
    auto_error=False, description="A key of `kbqa access create`; none where the server has none."
)
Credentials = Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]
BaseName = Annotated[
    str, Path(pattern=NAME, max_length=100, description="a knowledge base", examples=["handbook"])
]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request. `id` is that of the key; `scope` None: all bases."""

    id: str
    role: Role
    scope: frozenset[str] | None
    bases: Bases

    def may_see(self, name: str) -> bool:
        """Whether a base is within the scope of the key."""
        return self.scope is None or name in self.scope

    def names(self) -> list[str]:
        """Of the bases that the key is for."""
        return list(filter(self.may_see, self.bases.names()))

    def require(self, name: str) -> None:
        """Raise Forbidden for a base out of scope, whether it exists or not."""
        if not self.may_see(name):
            raise Forbidden(f"this key is not for the knowledge base '{name}'")

    async def open(self, name: str) -> KnowledgeBase:
        """A base. Raises Forbidden, NotFound, and what opening it raises."""
        self.require(name)
        opened = self.bases.opened(name)
        return opened if opened is not None else await run_in_threadpool(self.bases.open, name)


def caller(least: Role, *, everywhere: bool = False) -> Callable[..., AsyncIterator[Caller]]:
    """The dependency: a caller with at least the role `least`, within the limits of the key.

    `everywhere`: only keys for all bases. Where the path names a base (`kb`), it must be one that
    the key is for. What needs more than a reader goes into the audit log.
    """

    async def dependency(request: Request, given: Credentials) -> AsyncIterator[Caller]:
        service = service_of(request)
        request.state.audited = least is not Role.READER
        found = _identified(service, given)
        request.state.caller = found.id
        if not found.role.covers(least):
            raise Forbidden(f"this needs a key with the role {least}; this one has the "
                            f"role {found.role}")  # fmt: skip
        if everywhere and found.scope is not None:
            raise Forbidden("this needs a key that is not for certain knowledge bases only")
        if "kb" in request.path_params:
            found.require(request.path_params["kb"])
        with service.limits.admitted(found.id):
            yield found

    return dependency


def _identified(service: Service, given: HTTPAuthorizationCredentials | None) -> Caller:
    if given is None:
        if service.keys.needed():
            raise NotAuthenticated("send a key: Authorization: Bearer kbqa_...")
        return Caller(LOCAL, Role.ADMIN, None, service.bases)
    key = service.keys.find(given.credentials)
    if key is not None:
        return Caller(key.id, key.role, key.bases, service.bases)
    if service.keys.needed():
        raise NotAuthenticated("this key is wrong or was revoked")
    return Caller(LOCAL, Role.ADMIN, None, service.bases)  # SDKs insist on sending some key


Reader = Annotated[Caller, Depends(caller(Role.READER))]
Editor = Annotated[Caller, Depends(caller(Role.EDITOR))]
Admin = Annotated[Caller, Depends(caller(Role.ADMIN))]
Overseer = Annotated[Caller, Depends(caller(Role.READER, everywhere=True))]


async def _read_base(kb: BaseName, who: Reader) -> KnowledgeBase:
    return await who.open(kb)


async def _kept_base(kb: BaseName, who: Editor) -> KnowledgeBase:
    return await who.open(kb)


async def _owned_base(kb: BaseName, who: Admin) -> KnowledgeBase:
    return await who.open(kb)


ReadBase = Annotated[KnowledgeBase, Depends(_read_base)]
KeptBase = Annotated[KnowledgeBase, Depends(_kept_base)]
OwnedBase = Annotated[KnowledgeBase, Depends(_owned_base)]
