"""Searches and ingests with spans that tell what they found or did, in figures."""

from __future__ import annotations

from collections.abc import Callable

from ingest.sync import SyncReport
from qa.tracing import span
from retrieval.explaining import Explanation
from retrieval.filters import Filters
from retrieval.index import Index

_OUTCOMES = (
    "added", "changed", "renamed", "removed", "unchanged", "failed", "skipped", "chunks",
)  # fmt: skip


def search(index: Index, query: str, k: int, filters: Filters | None) -> Explanation:
    """As `Index.explain`."""
    with span("retrieval", gen_ai__operation__name="retrieval", gen_ai__retrieval__top_k=k) as told:
        found = index.explain(query, k, where=filters)
        told.note(
            kbqa__hits=len(found.hits),
            kbqa__evidence=found.evidence,
            **{f"kbqa__seconds__{stage}": seconds for stage, seconds in found.timings.items()},
        )
    return found


def ingest(work: Callable[[], SyncReport]) -> SyncReport:
    """The report of `work`."""
    with span("kbqa.ingest") as told:
        report = work()
        told.note(**{f"kbqa__{name}": getattr(report, name) for name in _OUTCOMES})
    return report
