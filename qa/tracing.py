"""OpenTelemetry spans of what takes time: requests, questions, retrieval, model calls, ingests.

Off, and then nothing of OpenTelemetry is imported, until `start` or `use` is called. Attributes
follow the GenAI and HTTP semantic conventions; those of ours begin with `kbqa.`. No question, no
passage, no answer and no text of an error goes into a span, only names and figures.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from ingest.errors import BadRequest, NotConfigured

SCOPE = "kbqa"
EXPORT_TIMEOUT = 3.0  # seconds that the end of a process may wait for a collector
Value = str | int | float | bool
_starting = threading.Lock()
_tracer: Any = None


class Span(Protocol):
    """What is under way."""

    def note(self, **attributes: Value | None) -> None:
        """Add attributes, `__` in a name for a dot; those that are None are left out."""
        ...

    def rename(self, name: str) -> None:
        """Call it by what it turned out to be."""
        ...

    def fail(self, kind: str) -> None:
        """Mark it as failed; `kind` is the name of an error's class, or a status."""
        ...


class _Nothing:
    def note(self, **attributes: Value | None) -> None:
        """Nobody asks."""

    def rename(self, name: str) -> None:
        """Nobody asks."""

    def fail(self, kind: str) -> None:
        """Nobody asks."""


class _Recorded:
    def __init__(self, span: Any) -> None:
        self._span = span

    def note(self, **attributes: Value | None) -> None:
        for name, value in attributes.items():
            if value is not None:
                self._span.set_attribute(name.replace("__", "."), value)

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def fail(self, kind: str) -> None:
        from opentelemetry.trace import StatusCode

        self.note(error__type=kind)
        self._span.set_status(StatusCode.ERROR)


_NOTHING = _Nothing()


def start(endpoint: str) -> None:
    """Send spans to the collector at `endpoint`, such as http://localhost:4318, from now on.

    The first call decides. Headers and sampling are those of OpenTelemetry's own variables. Raises
    BadRequest for what is no such address, NotConfigured without the extra `otel`.
    """
    if not endpoint.startswith(("http://", "https://")):
        raise BadRequest(f"otlp_endpoint '{endpoint}' is no address: it begins with http://")
    with _starting:
        if _tracer is not None:
            return
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError as exc:
            raise NotConfigured(
                "otlp_endpoint is set, and OpenTelemetry is not installed: pip install 'kbqa[otel]'"
            ) from exc
        logging.getLogger("opentelemetry").addFilter(_one_line)
        logging.getLogger("opentelemetry.exporter").setLevel(logging.ERROR)
        provider = TracerProvider(resource=Resource.create({"service.name": SCOPE}))
        exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=EXPORT_TIMEOUT)
        provider.add_span_processor(BatchSpanProcessor(exporter))
        _use(provider)


def use(provider: Any) -> None:
    """Send spans to a program's own `TracerProvider`; None: nowhere."""
    with _starting:
        _use(provider)


def _use(provider: Any) -> None:
    global _tracer
    _tracer = None if provider is None else provider.get_tracer(SCOPE)


def _one_line(record: logging.LogRecord) -> bool:
    record.exc_info = record.exc_text = None
    return True


@contextmanager
def span(name: str, kind: str = "internal", **attributes: Value | None) -> Iterator[Span]:
    """Something that takes time. `kind`: internal, client or server; attributes as for `note`."""
    tracer = _tracer
    if tracer is None:
        yield _NOTHING
        return
    with _opened(tracer, name, kind, None, attributes) as recorded:
        yield recorded


@contextmanager
def request_span(name: str, headers: Mapping[str, str]) -> Iterator[Span]:
    """A request that came in, as a part of the trace that its `traceparent` names."""
    tracer = _tracer
    if tracer is None:
        yield _NOTHING
        return
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    context = TraceContextTextMapPropagator().extract(headers)
    with _opened(tracer, name, "server", context, {}) as recorded:
        yield recorded


@contextmanager
def _opened(
    tracer: Any, name: str, kind: str, context: Any, attributes: Mapping[str, Value | None]
) -> Iterator[_Recorded]:
    from opentelemetry.trace import SpanKind

    with tracer.start_as_current_span(
        name,
        context=context,
        kind=SpanKind[kind.upper()],
        record_exception=False,  # it would carry texts, and paths of this machine
        set_status_on_exception=False,
    ) as made:
        recorded = _Recorded(made)
        recorded.note(**attributes)
        try:
            yield recorded
        except Exception as exc:
            recorded.fail(type(exc).__name__)
            raise
