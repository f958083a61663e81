"""The error replies that routes document."""

from __future__ import annotations

from typing import Any

from qa.server.problems import BY_STATUS, MEDIA_TYPE, TYPE_PREFIX, Problem

ALWAYS = (400, 401, 403, 408, 413, 421, 422, 429, 500, 503)
RETRIED = (429, 503)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Documentation of these errors, beside those of every route."""
    return {status: _documented(status) for status in sorted({*ALWAYS, *statuses})}


def _documented(status: int) -> dict[str, Any]:
    form = BY_STATUS[status]
    example = {
        "type": TYPE_PREFIX + form.slug,
        "title": form.title,
        "status": status,
        "detail": form.detail or form.title,
        "instance": "urn:kbqa:request:4f1c0a9e2b7d4c11",
    }
    reply: dict[str, Any] = {
        "description": form.title,
        "model": Problem,
        "content": {MEDIA_TYPE: {"example": example}},
    }
    if status in RETRIED:
        wait = {"description": "seconds to wait", "schema": {"type": "integer"}}
        reply["headers"] = {"Retry-After": wait}
    return reply
