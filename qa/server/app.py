"""The composition root of the server: builds every object; the list of layers and of resources."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.types import Scope

from qa.conversation import Conversations
from qa.server.bases import Bases
from qa.server.database import Database
from qa.server.feedback import Feedback
from qa.server.folders import Folders
from qa.server.guards import BodyGuard, HeadAsGet, HostGuard, OriginGuard
from qa.server.jobs import Jobs
from qa.server.keys import Keys
from qa.server.limits import Limits
from qa.server.metrics import Metrics
from qa.server.observing import AuditLog, Observer
from qa.server.problems import MEDIA_TYPE, reply_to, tell_problems
from qa.server.routes import (
    ask,
    conversations,
    documents,
    evaluation,
    feedback,
    health,
    ingest_jobs,
    knowledge_bases,
    mcp,
    me,
    openai_api,
    page,
    search,
)
from qa.server.service import Service
from qa.server.streaming import Threads
from qa.server.uploads import Uploads
from qa.settings import Settings
from qa.tracing import start

KB, MB = 1024, 1024 * 1024
ROUTERS = (
    health.router,
    me.router,
    knowledge_bases.router,
    documents.router,
    ingest_jobs.router,
    search.router,
    ask.router,
    conversations.router,
    evaluation.router,
    feedback.router,
    openai_api.router,
    mcp.router,
    page.router,
)
NO_TELEMETRY: Any = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}


def server_folder(settings: Settings) -> Path:
    """Where the server keeps what is its own: keys, jobs, uploads, the audit log."""
    return settings.data_dir / ".server"


def create_app(settings: Settings) -> FastAPI:
    """The server as an ASGI application. Raises what opening its records raises."""
    service = build_service(settings)
    service.finish_deletions()
    service.uploads.forget_unfinished()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.jobs.resume()
        async with mcp.sessions(app):
            yield
            service.end()
        service.close()

    app = FastAPI(
        title="kbqa",
        description="Answers questions from documents, each statement tied to its passage.",
        version=version("kbqa"),
        docs_url=None,  # its page loads scripts from another host
        redoc_url=None,
        redirect_slashes=False,  # where to would be taken from the request's Host
        telemetry=NO_TELEMETRY,
        lifespan=lifespan,
    )
    app.state.service = service
    for router in ROUTERS:
        app.include_router(router)
    tell_problems(app)
    app.add_exception_handler(405, _name_methods)
    _add_layers(app, service)
    _document_problems(app)
    return app


def build_service(settings: Settings) -> Service:
    """The parts of a server with these settings."""
    if settings.otlp_endpoint:
        start(settings.otlp_endpoint)
    folder = server_folder(settings)
    database = Database(folder)
    metrics = Metrics()
    bases = Bases(settings, database)
    return Service(
        settings=settings,
        database=database,
        keys=Keys(database),
        limits=Limits(settings.serve_rate, settings.serve_concurrency),
        bases=bases,
        folders=Folders(settings.serve_folders),
        uploads=Uploads(folder / "uploads", max_bytes=settings.serve_upload_mb * MB),
        jobs=Jobs(database, bases.open, metrics.ingest),
        conversations=Conversations(folder / "conversations.db"),
        feedback=Feedback(database),
        metrics=metrics,
        threads=Threads(),
    )


def _add_layers(app: FastAPI, service: Service) -> None:
    """What every request passes, the last one first."""
    settings = service.settings

    def limit_of(scope: Scope) -> int:
        uploads = scope["method"] == "POST" and scope["path"].endswith("/documents")
        return settings.serve_upload_mb * MB if uploads else settings.serve_body_kb * KB

    app.add_middleware(BodyGuard, limit_of=limit_of, timeout=settings.serve_body_timeout)
    app.add_middleware(OriginGuard, names=settings.serve_names)
    app.add_middleware(HostGuard, names=[settings.serve_host, *settings.serve_names])
    audit = AuditLog(server_folder(settings) / "audit.jsonl")
    app.add_middleware(Observer, metrics=service.metrics, audit=audit)
    app.add_middleware(HeadAsGet)


async def _name_methods(request: Request, exc: Exception) -> Response:
    """405 with all methods of the resource: the framework names those of one route."""
    routes = (route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute))
    path = request.url.path
    methods = {m for route in routes if route.path_regex.match(path) for m in route.methods or ()}
    if "GET" in methods:
        methods.add("HEAD")
    assert isinstance(exc, HTTPException)
    exc.headers = {**(exc.headers or {}), "Allow": ", ".join(sorted(methods))}
    return reply_to(exc, request)


def _document_problems(app: FastAPI) -> None:
    """Errors come as problem details, and the description says so, though FastAPI puts a model
    under the media type of success."""
    described = app.openapi

    def openapi() -> dict[str, Any]:
        known = app.openapi_schema is not None
        schema = described()
        for operation in () if known else _operations(schema):
            for status, reply in operation["responses"].items():
                if status.startswith(("4", "5")):
                    _as_problem(reply["content"])
        return schema

    app.openapi = openapi  # type: ignore[method-assign]


def _operations(schema: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for path in schema["paths"].values() for operation in path.values()]


def _as_problem(content: dict[str, Any]) -> None:
    for media_type in [name for name in content if name != MEDIA_TYPE]:
        content.setdefault(MEDIA_TYPE, {}).update(content.pop(media_type))
