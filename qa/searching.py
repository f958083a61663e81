"""A search of a base, traced."""

from __future__ import annotations

from qa.tracing import span
from retrieval.explaining import Explanation
from retrieval.filters import Filters
from retrieval.index import Index


def traced(index: Index, query: str, k: int, filters: Filters | None) -> Explanation:
    """As `Index.explain`, with a span that tells what was found and how long its stages took."""
    with span("retrieval", gen_ai__operation__name="retrieval", gen_ai__request__top_k=k) as search:
        found = index.explain(query, k, where=filters)
        search.note(
            kbqa__hits=len(found.hits),
            kbqa__evidence=found.evidence,
            **{f"kbqa__seconds__{stage}": seconds for stage, seconds in found.timings.items()},
        )
    return found
