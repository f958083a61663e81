"""`/v1/knowledge-bases/{kb}/search`."""

from __future__ import annotations

from fastapi import APIRouter, Request

from qa.server.access import ReadBase
from qa.server.models import Found, Query
from qa.server.routes.replies import problems
from qa.server.service import service_of

router = APIRouter(prefix="/v1/knowledge-bases/{kb}", tags=["search and ask"])


@router.post("/search", responses=problems(404))
def search(request: Request, base: ReadBase, form: Query) -> Found:
    """The passages that fit a query best."""
    found = base.explain(form.query, form.k, filters=form.filter or None)
    service_of(request).metrics.stages(found.timings)
    return Found.of(found, explain=form.explain)
