"""Spans of a question, its search, its model and an ingest, as a collector gets them."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanContext, SpanKind, StatusCode

from ingest.documents import Document
from ingest.errors import NotAuthorised, StorageError
from qa import tracing
from qa.knowledge_base import KnowledgeBase
from qa.server.keys import Keys
from qa.settings import load_settings
from tests.qa.command_line import Kbqa, is_one_clear_line, run
from tests.qa.conftest import OpenLibrary
from tests.qa.server.serving import serving, settings_for
from tests.scripted_server import ScriptedServer, status

pytestmark = pytest.mark.integration

QUESTION = "How many days of annual leave do I have?"


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """What is told to a program's own provider."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.use(provider)
    yield exporter
    tracing.use(None)


def named(spans: InMemorySpanExporter, name: str) -> ReadableSpan:
    (found,) = [span for span in spans.get_finished_spans() if span.name == name]
    return found


def attributes(span: ReadableSpan) -> Mapping[str, Any]:
    assert span.attributes is not None
    return span.attributes


def parent(span: ReadableSpan) -> int:
    assert span.parent is not None
    return span.parent.span_id


def own(span: ReadableSpan) -> SpanContext:
    context = span.get_span_context()
    assert context is not None
    return context


def test_a_question_is_a_tree(spans: InMemorySpanExporter, open_library: OpenLibrary) -> None:
    with ScriptedServer(lambda messages: "25 days [1].") as server:
        settings = load_settings(
            model="openai:m", base_url=server.base_url, api_key="sk-test", min_score=0.0
        )
        open_library(settings=settings).ask(QUESTION)
    asked, search = named(spans, "kbqa.ask"), named(spans, "retrieval")
    model = named(spans, "chat m")
    assert parent(search) == parent(model) == own(asked).span_id
    assert model.kind is SpanKind.CLIENT
    told = attributes(model)
    assert told["gen_ai.operation.name"] == "chat"
    assert (told["gen_ai.provider.name"], told["gen_ai.request.model"]) == ("openai", "m")
    assert (told["gen_ai.usage.input_tokens"], told["gen_ai.usage.output_tokens"]) == (12, 3)
    assert attributes(search)["gen_ai.retrieval.top_k"] == settings.top_k
    assert attributes(search)["kbqa.hits"] > 0
    assert attributes(asked)["kbqa.abstained"] is False
    said = str([dict(attributes(span)) for span in spans.get_finished_spans()])
    assert "leave" not in said  # no question, no passage


def test_an_error_is_a_name_and_no_text(
    spans: InMemorySpanExporter, open_library: OpenLibrary
) -> None:
    with ScriptedServer(then=status(401)) as server:
        settings = load_settings(
            model="openai:m", base_url=server.base_url, api_key="sk-test", min_score=0.0
        )
        kb = open_library(settings=settings)
        with pytest.raises(NotAuthorised):
            kb.ask(QUESTION)
    for name in ("chat m", "kbqa.ask"):
        failed = named(spans, name)
        assert failed.status.status_code is StatusCode.ERROR
        assert attributes(failed)["error.type"] == "NotAuthorised"
        assert (failed.status.description, failed.events) == (None, ())


def test_an_ingest_tells_what_it_did(
    spans: InMemorySpanExporter, open_library: OpenLibrary, tmp_path: Path
) -> None:
    (tmp_path / "new.md").write_text("The gate closes at nine.", "utf-8")
    kb = open_library()
    kb.ingest(tmp_path / "new.md")
    told = attributes(named(spans, "kbqa.ingest"))
    assert (told["kbqa.added"], told["kbqa.failed"], told["kbqa.chunks"]) == (1, 0, 1)
    spans.clear()
    kb.ingest_documents([Document("said.txt", "0" * 64, "It rains.")])
    assert attributes(named(spans, "kbqa.ingest"))["kbqa.added"] == 1


def test_of_a_list_the_model_that_answers_is_told(
    spans: InMemorySpanExporter, open_library: OpenLibrary
) -> None:
    with ScriptedServer(script=[status(401)]) as server:
        settings = load_settings(
            model=["openai:first", "openai:second"], base_url=server.base_url,
            api_key="sk-test", min_score=0.0,
        )  # fmt: skip
        open_library(settings=settings).ask(QUESTION)
    assert attributes(named(spans, "chat first"))["error.type"] == "NotAuthorised"
    assert attributes(named(spans, "chat second"))["gen_ai.usage.input_tokens"] == 12


def test_a_request_is_part_of_its_callers_trace(
    spans: InMemorySpanExporter, tmp_path: Path, cache_dir: Path
) -> None:
    trace, caller = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    with serving(settings_for(tmp_path / "data", cache_dir)) as served:
        served.service.bases.create("library")
        served.http.post(
            "/v1/knowledge-bases/library/search",
            json={"query": "leave"},
            headers={"traceparent": f"00-{trace}-{caller}-01"},
        )
        served.http.get("/v1/knowledge-bases/nothing")
        served.http.request("BREW", "/health/live")
        served.http.get(f"/{'x' * 5000}")
    request = named(spans, "POST /v1/knowledge-bases/{kb}/search")
    assert request.kind is SpanKind.SERVER
    assert f"{own(request).trace_id:032x}" == trace
    assert f"{parent(request):016x}" == caller
    assert attributes(request)["http.response.status_code"] == 200
    assert parent(named(spans, "retrieval")) == own(request).span_id
    missing = attributes(named(spans, "GET /v1/knowledge-bases/{kb}"))
    assert missing["http.response.status_code"] == 404
    assert (missing["url.scheme"], missing["url.path"]) == ("http", "/v1/knowledge-bases/nothing")
    unknown = attributes(named(spans, "HTTP /health/live"))
    assert unknown["http.request.method"] == "_OTHER"
    assert unknown["http.request.method_original"] == "BREW"
    assert len(str(attributes(named(spans, "GET"))["url.path"])) < 300


def test_a_fault_of_the_server_is_an_error(
    spans: InMemorySpanExporter,
    tmp_path: Path,
    cache_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object) -> None:
        raise StorageError("the disk is full")

    with serving(settings_for(tmp_path / "data", cache_dir)) as served:
        monkeypatch.setattr(Keys, "needed", full)
        assert served.http.get("/v1/models").status_code == 503
    request = named(spans, "GET /v1/models")
    assert request.status.status_code is StatusCode.ERROR
    assert attributes(request)["error.type"] == "503"


def test_without_a_tracer_a_span_is_nothing(kb: KnowledgeBase) -> None:
    with tracing.span("x", a=1) as nothing:
        nothing.note(b=2)
        nothing.rename("y")
    with tracing.request_span("x", {}) as nothing:
        nothing.note(b=2)
    assert kb.search("leave")


def test_an_address_that_is_none_is_refused(
    kbqa: Kbqa, base_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KBQA_OTLP_ENDPOINT", "localhost:4318")
    refused = kbqa("ask", QUESTION, "--kb", base_folder)
    is_one_clear_line(refused, 2, "otlp_endpoint", "localhost:4318", "http://")


class _Collector(BaseHTTPRequestHandler):
    received: ClassVar[list[tuple[str, bytes]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.received.append((self.path, body))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.mark.end_to_end
def test_a_collector_gets_them_and_one_that_is_down_costs_a_line(base_folder: Path) -> None:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    with HTTPServer(("127.0.0.1", 0), _Collector) as collector:
        threading.Thread(target=collector.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{collector.server_port}"
        asked = run("ask", QUESTION, "--kb", base_folder, env={"KBQA_OTLP_ENDPOINT": address})
        collector.shutdown()
    assert "25 days" in asked.out
    ((path, body),) = _Collector.received
    assert path == "/v1/traces"
    (resource,) = ExportTraceServiceRequest.FromString(body).resource_spans
    assert {span.name for scope in resource.scope_spans for span in scope.spans} == {
        "kbqa.ask",
        "retrieval",
    }
    down = run("ask", QUESTION, "--kb", base_folder, env={"KBQA_OTLP_ENDPOINT": address})
    assert (down.code, down.out) == (0, asked.out)
    told = set(down.err.splitlines()) - set(asked.err.splitlines())
    assert len(told) == 1, down.err
