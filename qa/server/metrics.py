"""What Prometheus is told: requests, stages, tokens, cost, refusals, ingests, sizes."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from ingest.sync import SyncReport
from qa.turn import Answer

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"}
_OUTCOMES = ("added", "changed", "renamed", "removed", "unchanged", "failed", "skipped")


class Metrics:
    """The meters of one server, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._requests = Counter(
            "kbqa_requests", "requests by route and status", ["method", "route", "status"],
            registry=registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "kbqa_request_seconds", "from a request's first byte to its reply's last", ["route"],
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self._stages = Histogram(
            "kbqa_stage_seconds", "embed, search, fuse, read, rerank, model, total", ["stage"],
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self._tokens = Counter("kbqa_tokens", "as the model counts", ["kind"], registry=registry)
        self._cost = Counter("kbqa_cost", "where prices are configured", registry=registry)
        self._answers = Counter("kbqa_answers", "by outcome", ["outcome"], registry=registry)
        self._files = Counter(
            "kbqa_ingested_files", "by what became of them", ["kb", "outcome"], registry=registry
        )
        self._documents = Gauge("kbqa_documents", "of an open base", ["kb"], registry=registry)
        self._chunks = Gauge("kbqa_chunks", "passages of an open base", ["kb"], registry=registry)
        self._jobs = Gauge("kbqa_ingest_jobs", "on record, by state", ["state"], registry=registry)
        self.running = Gauge("kbqa_requests_running", "under way", registry=registry)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered; `route` is the template of its path.

        Methods are what clients write: those that are none count as one, `other`.
        """
        method = method if method in METHODS else "other"
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def stages(self, timings: Mapping[str, float]) -> None:
        """How long the stages of a search or an answer took."""
        for stage, seconds in timings.items():
            self._stages.labels(stage).observe(seconds)

    def answer(self, answer: Answer) -> None:
        """A question was answered or refused."""
        self.stages(answer.timings)
        self._answers.labels("refused" if answer.abstained else "answered").inc()
        for kind in ("prompt_tokens", "completion_tokens"):
            self._tokens.labels(kind.removesuffix("_tokens")).inc(answer.usage.get(kind, 0))
        self._cost.inc(answer.cost or 0.0)

    def ingest(self, kb: str, report: SyncReport) -> None:
        """An ingest has ended."""
        for outcome in _OUTCOMES:
            self._files.labels(kb, outcome).inc(getattr(report, outcome))

    def text(self, sizes: Mapping[str, tuple[int, int]], jobs: Mapping[str, int]) -> bytes:
        """The exposition format. `sizes`: documents and passages of the bases that are open;
        `jobs`: number of ingest jobs in each state."""
        for gauge in (self._documents, self._chunks):
            gauge.clear()  # of bases that are gone
        for kb, (documents, chunks) in sizes.items():
            self._documents.labels(kb).set(documents)
            self._chunks.labels(kb).set(chunks)
        for state, number in jobs.items():
            self._jobs.labels(state).set(number)
        return generate_latest(self.registry)
