"""What every framework is told of a passage: flat, of plain types, so that any store takes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qa.rendering import place
from qa.turn import Citation
from retrieval.hits import Hit


def hit_metadata(hit: Hit) -> dict[str, Any]:
    """Where a passage stands and how well it fits, and its document's own metadata beside that;
    lists joined by commas. A text without pages has no `page` but what it says itself."""
    chunk = hit.chunk
    metadata = {
        "uri": chunk.uri,
        "title": chunk.title,
        "heading": " > ".join(chunk.heading),
        "page": chunk.page,
        "start": chunk.start,
        "end": chunk.end,
        "score": hit.score,
    }
    said = {
        name: ", ".join(map(str, value)) if isinstance(value, list) else value
        for name, value in hit.metadata.items()
    }
    return said | {name: value for name, value in metadata.items() if value is not None}


def passages(hits: Sequence[Hit]) -> str:
    """Numbered passages with their places, for a model to read."""
    parts = [
        f"[{number}] {place(hit.uri, hit.chunk.page, hit.chunk.heading)}\n{hit.text}"
        for number, hit in enumerate(hits, 1)
    ]
    return "\n\n".join(parts) or "no passages found"


def sources(citations: Sequence[Citation]) -> list[str]:
    """One line for each citation: number, place, quote."""
    return [
        f"[{c.number}] {place(c.uri, c.page, c.heading)}: {' '.join(c.quote.split())}"
        for c in citations
    ]
