"""Every request: an id, a line in the log, metrics, and, if it changes something, in the audit log.

Neither log holds a stack trace, a path of this machine or a key: a key is told by its id, an
exception by its name, its message and the line of ours that it came through. Nothing that a client
sends ends a line or commands a terminal.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import time
import traceback
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qa.neutral import for_json, in_one_line
from qa.server.guards import HEADERS
from qa.server.metrics import METHODS, Metrics
from qa.server.problems import reply_to, scrubbed
from qa.tracing import Span, request_span

logger = logging.getLogger(__name__)

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
CLIENT_LEFT = 499  # as nginx calls it
LONGEST = 200  # characters of what a client made up, in a line of the log
_GIVEN_ID = re.compile(r"[\w.-]{8,64}\Z", re.ASCII)
_SEVERAL = re.compile(r"[\s=\"]")
_SECRET = re.compile(r"(kbqa_[0-9a-f]{12})_[\w-]+|\b(sk-)[\w-]{8,}|(?i:(bearer )\S+)")


class Observer:
    """The outermost layer. An error that nothing else has told becomes a 500 here."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, audit: AuditLog) -> None:
        self.app = app
        self._metrics, self._audit = metrics, audit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        given = Headers(scope=scope).get("x-request-id", "")
        id_ = given if _GIVEN_ID.match(given) else secrets.token_hex(8)
        request.state.request_id = id_
        token = REQUEST_ID.set(id_)
        try:
            with request_span("HTTP", request.headers) as traced:
                await self._handle(request, receive, send, id_, traced)
        finally:
            REQUEST_ID.reset(token)

    async def _handle(
        self, request: Request, receive: Receive, send: Send, id_: str, traced: Span
    ) -> None:
        scope = request.scope
        reply = _Reply(send, id_, lambda status: self._write_audit(request, status))
        started = time.perf_counter()
        self._metrics.running.inc()
        try:
            await self.app(scope, receive, reply.send)
        except ClientDisconnect:
            pass
        except Exception as exc:
            if reply.status:  # too late to say so: the connection is cut
                raise
            logger.error("a fault of the server", exc_info=exc)
            await reply_to(exc, request)(scope, receive, reply.send)
        finally:
            self._metrics.running.dec()
            if not reply.status:
                self._write_audit(request, CLIENT_LEFT)
            self._note(request, reply.status or CLIENT_LEFT, time.perf_counter() - started)
            _tell(traced, request, reply.status or CLIENT_LEFT)

    def _note(self, request: Request, status: int, seconds: float) -> None:
        route = _route(request)
        self._metrics.request(request.method, route or "none", status, seconds)
        fields = {
            "method": _brief(request.method),
            "route": route or _brief(request.url.path),
            "kb": _brief(request.path_params.get("kb", "")),
            "status": status,
            "caller": getattr(request.state, "caller", ""),
            "ms": round(1000 * seconds, 2),
        }
        logger.info("request", extra={"fields": fields})

    def _write_audit(self, request: Request, status: int) -> None:
        """Before the reply begins: who has been told of a change finds it in the log."""
        if getattr(request.state, "audited", False):
            self._audit.write(
                request=request.state.request_id,
                caller=getattr(request.state, "caller", ""),
                action=getattr(request.scope.get("route"), "name", ""),
                kb=_brief(request.path_params.get("kb", "")),
                target=getattr(request.state, "target", ""),
                status=status,
            )


def _tell(traced: Span, request: Request, status: int) -> None:
    """By the HTTP semantic conventions, which call a method that is none by names of their own."""
    route, known = _route(request), request.method in METHODS
    traced.rename(f"{request.method if known else 'HTTP'} {route}".strip())
    traced.note(
        http__request__method=request.method if known else "_OTHER",
        http__request__method_original=None if known else _brief(request.method),
        http__route=route or None,
        http__response__status_code=status,
        url__scheme=request.url.scheme,
        url__path=_brief(request.url.path),
        kbqa__request_id=request.state.request_id,
    )
    if status >= 500:
        traced.fail(str(status))


def _route(request: Request) -> str:
    return str(getattr(request.scope.get("route"), "path", ""))


def _brief(made_up: str) -> str:
    """As much of what a client may have made up as a line has room for."""
    shown = _without_secrets(made_up)
    return shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}..."


class _Reply:
    """Passes a reply on, with the headers that every one has; `status` 0 until it has begun."""

    def __init__(self, send: Send, id_: str, begins: Callable[[int], None]) -> None:
        self._send, self._id, self._begins = send, id_, begins
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(raw=message.setdefault("headers", []))
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            headers["X-Request-ID"] = self._id
            message["headers"] = headers.raw
            self._begins(self.status)
        await self._send(message)


class AuditLog:
    """Who changed what, one JSON object a line, appended to a file that only its owner reads."""

    def __init__(self, file: Path) -> None:
        self._file = file
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file.touch(0o600)

    def write(self, **fields: Any) -> None:
        """Add a line; where that fails, the server's log has it."""
        line = for_json(json.dumps({"time": _now(), **fields}, ensure_ascii=False))
        try:
            with self._file.open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")
        except OSError as exc:
            logger.error("the audit log cannot be written (%s): %s", exc.strerror, line)


def note_target(request: Request, target: str) -> None:
    """Say for the audit log what a request changes."""
    request.state.target = target


class _Formatter(logging.Formatter):
    """A record as fields; see the module's docstring for what is kept out."""

    def fields(self, record: logging.LogRecord) -> dict[str, Any]:
        fields = {
            "time": _now(record.created),
            "level": record.levelname.lower(),
            "request": REQUEST_ID.get(),
            "message": _clean(record.getMessage()),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[1]:
            fields["error"] = _told(record.exc_info[1])
        return fields


class JsonFormatter(_Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        return for_json(json.dumps(self.fields(record), ensure_ascii=False, default=str))


class ConsoleFormatter(_Formatter):
    """A line for people."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        fields = self.fields(record)
        first = [fields.pop(name) for name in ("time", "level", "request", "message")]
        rest = [f"{name}={_apart(value)}" for name, value in fields.items() if value != ""]
        return in_one_line(" ".join([*(part for part in first if part), *rest]))


def log_to_stderr(form: str) -> None:
    """Let all loggers of this process write to stderr, as `json` or for the `console`."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if form == "json" else ConsoleFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in ("qa", "uvicorn"):
        logging.getLogger(name).setLevel(logging.INFO)


def _told(exc: BaseException) -> str:
    frames = traceback.extract_tb(exc.__traceback__)
    ours = [frame for frame in frames if "site-packages" not in frame.filename] or frames
    where = f" at {Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else ""
    return f"{type(exc).__name__}: {_clean(str(exc))}{where}"


def _apart(value: object) -> str:
    """A value that nobody takes for several fields."""
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if _SEVERAL.search(text) else text


def _clean(text: str) -> str:
    return _without_secrets(scrubbed(text))


def _without_secrets(text: str) -> str:
    return _SECRET.sub(lambda match: f"{next(filter(None, match.groups()))}...", text)


def _now(seconds: float | None = None) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
