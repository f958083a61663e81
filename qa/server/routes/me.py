"""`/v1/me`: who asks, for clients that show only what their key allows."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

from qa.server.access import Reader
from qa.server.keys import Role
from qa.server.routes.replies import problems

router = APIRouter(prefix="/v1", tags=["knowledge bases"])


class Me(BaseModel):
    """The key of a request; on a server without keys everybody is an admin, `local`."""

    id: str = Field(examples=["9f1c2b3a4d5e"])
    role: Role = Field(description="what it allows, each role all of the one before")
    knowledge_bases: list[str] | None = Field(description="which it is for; null: all")


@router.get("/me", responses=problems())
async def get_me(who: Reader) -> Me:
    """The role of the key, and the knowledge bases that it is for."""
    scope = None if who.scope is None else sorted(who.scope)
    return Me(id=who.id, role=who.role, knowledge_bases=scope)
