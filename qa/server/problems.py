"""Errors as replies: problem details of RFC 9457, from one table of our error classes.

What a client is told is the error's own message where it is about the request, and the form's
sentence where it is about the server. Neither shows a path of this machine.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from ingest.errors import (
    BadRequest,
    Closed,
    KbqaError,
    LoadError,
    Locked,
    NotAuthorised,
    NotConfigured,
    RateLimited,
    StorageError,
    TimedOut,
    Unreachable,
)

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:kbqa:problem:"
OPENAI_PATHS = ("/v1/chat/", "/v1/models", "/v1/embeddings")
NOT_JSON = "it should be JSON, with the header Content-Type: application/json"
_PATH = re.compile(r"(?<![\w/:.~-])~?/(?:[^\s/'\":,;()]+/)+")


class NotAuthenticated(KbqaError):
    """No key was given, or a wrong one."""


class Forbidden(KbqaError):
    """The key does not allow this, or the request comes from where none may come."""


class NotFound(KbqaError):
    """There is no such base, document or job."""


class Conflict(KbqaError):
    """What is there does not allow this now."""


class UnsupportedKind(KbqaError):
    """The file is of a kind that is not read."""


class TooLarge(HTTPException):
    """The body is longer than it may be. (FastAPI lets no other error out of reading a body.)"""

    def __init__(self, detail: str) -> None:
        super().__init__(413, detail)


class TooSlow(HTTPException):
    """The body came too slowly."""

    def __init__(self, detail: str) -> None:
        super().__init__(408, detail, {"Connection": "close"})


class WrongHost(KbqaError):
    """The request is for another host."""


class TooManyRequests(RateLimited):
    """The caller's own limit."""


class Draining(KbqaError):
    """The server is about to end."""


@dataclass(frozen=True, slots=True)
class Form:
    """How an error is told. `detail` "": in its own words. `retry_after` in seconds."""

    status: int
    slug: str
    title: str
    detail: str = ""
    retry_after: float | None = None


_BROKEN = Form(500, "internal", "Something went wrong", "the error is in the server's log")
FORMS: Mapping[type[Exception], Form] = {
    BadRequest: Form(400, "bad-request", "The request cannot be carried out"),
    NotAuthenticated: Form(401, "not-authenticated", "A valid key is needed"),
    Forbidden: Form(403, "forbidden", "Not allowed"),
    NotFound: Form(404, "not-found", "There is no such thing"),
    Closed: Form(
        404, "not-found", "There is no such thing", "the knowledge base was removed meanwhile"
    ),
    Conflict: Form(409, "conflict", "Not possible as things are"),
    UnsupportedKind: Form(415, "media-type", "Files of this kind are not read"),
    WrongHost: Form(421, "wrong-host", "The server is not called by this name"),
    LoadError: Form(422, "unreadable", "The file cannot be read"),
    TooManyRequests: Form(429, "too-many-requests", "Too many requests"),
    NotAuthorised: Form(
        502, "upstream-refused", "A service refused the server", "a service that answers need "
        "does not accept the server's key"
    ),
    NotConfigured: Form(
        503, "not-configured", "The server is not set up for this", "a setting, a key or a part of "
        "the server is missing"
    ),
    RateLimited: Form(
        503, "upstream-busy", "A service is busy", "a service that answers need asks to slow down",
        retry_after=10,
    ),
    Unreachable: Form(
        503, "upstream-unreachable", "A service does not answer",
        "a service that answers need does not answer", retry_after=5,
    ),
    Locked: Form(
        503, "locked", "The knowledge base is in use",
        "another process holds the knowledge base", retry_after=5,
    ),
    StorageError: Form(
        503, "storage", "The storage does not work",
        "the disk is full, or what is on it cannot be read or written", retry_after=30,
    ),
    Draining: Form(503, "ending", "The server is about to end", retry_after=5),
    TimedOut: Form(
        504, "upstream-slow", "A service took too long", "a service took longer than its limit"
    ),
    KbqaError: _BROKEN,
}  # fmt: skip
STATUSES: Mapping[int, Form] = {  # of errors that the frameworks raise
    400: FORMS[BadRequest],
    401: FORMS[NotAuthenticated],
    403: FORMS[Forbidden],
    404: FORMS[NotFound],
    405: Form(405, "method-not-allowed", "This resource has no such method"),
    408: Form(408, "too-slow", "The request came too slowly"),
    413: Form(413, "too-large", "The request is too large"),
    415: FORMS[UnsupportedKind],
    422: Form(422, "invalid", "The request is not as documented"),
}
BY_STATUS: Mapping[int, Form] = {**{form.status: form for form in FORMS.values()}, **STATUSES}


class Fault(BaseModel):
    """A part of a request that is not as documented."""

    place: str = Field(examples=["body.k"])
    message: str = Field(examples=["Input should be less than or equal to 100"])


class Problem(BaseModel):
    """What went wrong (RFC 9457). `type` is stable; `instance` is the id of the request."""

    type: str = Field(examples=["urn:kbqa:problem:not-found"])
    title: str = Field(examples=["There is no such thing"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["there is no knowledge base 'handbook'"])
    instance: str = Field(examples=["urn:kbqa:request:4f1c0a9e2b7d4c11"])
    errors: list[Fault] | None = Field(
        default=None, description="of a request that is not as documented"
    )
    error: dict[str, Any] | None = Field(
        default=None, description="the same in the form of the OpenAI API, on the paths of that API"
    )


def form_of(exc: Exception) -> Form:
    """The form of an error, by its closest class in the table."""
    if isinstance(exc, RequestValidationError):
        return STATUSES[422]
    if isinstance(exc, HTTPException):
        return STATUSES.get(exc.status_code, Form(exc.status_code, "http", str(exc.detail)))
    return next((FORMS[kind] for kind in type(exc).__mro__ if kind in FORMS), _BROKEN)


def problem_of(exc: Exception, request_id: str) -> Problem:
    """What a client is told of an error."""
    form = form_of(exc)
    said = str(exc.detail) if isinstance(exc, HTTPException) else str(exc)
    problem = Problem(
        type=TYPE_PREFIX + form.slug,
        title=form.title,
        status=form.status,
        detail=form.detail or scrubbed(said),
        instance=f"urn:kbqa:request:{request_id}",
    )
    if isinstance(exc, RequestValidationError):
        faults = [
            Fault(place=".".join(map(str, error["loc"])), message=scrubbed(error["msg"]))
            for error in exc.errors()
        ]
        if isinstance(exc.body, bytes):  # it was not taken for JSON
            faults = [Fault(place="body", message=NOT_JSON)]
        said = "; ".join(f"{fault.place}: {fault.message}" for fault in faults[:3])
        problem = problem.model_copy(update={"errors": faults, "detail": said})
    return problem


def scrubbed(text: str) -> str:
    """A message in one line, of absolute paths the last part only."""
    return _PATH.sub(".../", " ".join(text.split()))


def headers_of(exc: Exception) -> dict[str, str]:
    """The headers that go with an error."""
    headers = dict(getattr(exc, "headers", None) or {})
    wait = getattr(exc, "retry_after", None) or form_of(exc).retry_after
    if wait:
        headers["Retry-After"] = str(max(1, math.ceil(wait)))
    if form_of(exc).status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return headers


def reply_to(exc: Exception, request: Request) -> JSONResponse:
    """The reply to a request that failed."""
    problem = problem_of(exc, request.state.request_id)
    body = problem.model_dump(exclude_none=True)
    if request.url.path.startswith(OPENAI_PATHS):
        body["error"] = openai_error(problem)
    if problem.status >= 500:
        logger.error("%s: %s", type(exc).__name__, scrubbed(str(exc)))
    return JSONResponse(body, problem.status, headers_of(exc), media_type=MEDIA_TYPE)


def openai_error(problem: Problem) -> dict[str, Any]:
    """A problem in the form of the OpenAI API."""
    kind = problem.type.removeprefix(TYPE_PREFIX)
    return {"message": problem.detail, "type": kind, "code": kind, "param": None}


async def _handle(request: Request, exc: Exception) -> JSONResponse:
    return reply_to(exc, request)


def tell_problems(app: FastAPI) -> None:
    """Let every error of `app` be told so."""
    for kind in (KbqaError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, _handle)
