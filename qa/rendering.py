"""Hits and answers for people and for machines. Only the CLI prints through here."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from qa.turn import Answer, Citation
from retrieval.hits import Hit
from retrieval.index import Explanation

PREVIEW = 300  # characters of a passage that a person is shown
NEAREST = 3


def hit_json(rank: int, hit: Hit) -> dict[str, Any]:
    """A hit as `search --json` and `ask --json` give it."""
    chunk = hit.chunk
    return {
        "rank": rank,
        "uri": chunk.uri,
        "title": chunk.title,
        "heading": list(chunk.heading),
        "page": chunk.page,
        "start": chunk.start,
        "end": chunk.end,
        "score": round(hit.score, 4),
        "legs": {
            name: {"rank": leg.rank, "score": round(leg.score, 4)} for name, leg in hit.legs.items()
        },
        "text": chunk.text,
    }


def citation_json(citation: Citation) -> dict[str, Any]:
    """A citation as `ask --json` gives it."""
    return {
        "number": citation.number,
        "uri": citation.uri,
        "page": citation.page,
        "start": citation.start,
        "end": citation.end,
        "quote": citation.quote,
        "verified": citation.verified,
        "title": citation.title,
        "heading": list(citation.heading),
    }


def answer_json(answer: Answer) -> dict[str, Any]:
    """The object that `ask --json` prints."""
    return {
        "text": answer.text,
        "abstained": answer.abstained,
        "citations": [citation_json(citation) for citation in answer.citations],
        "hits": [hit_json(rank, hit) for rank, hit in enumerate(answer.hits, 1)],
        "model": answer.model,
        "usage": dict(answer.usage),
        "cost": answer.cost,
        "notes": list(answer.notes),
        "timings": {name: round(seconds, 6) for name, seconds in answer.timings.items()},
    }


def explanation_json(found: Explanation) -> dict[str, Any]:
    """What `search --explain --json` adds to the hits."""
    return {
        "weights": {"dense": round(found.weight, 4), "lexical": round(1 - found.weight, 4)},
        "known_share": round(found.known_share, 4),
        "terms": {term: round(weight, 3) for term, weight in found.terms.items()},
        "timings": {name: round(seconds, 6) for name, seconds in found.timings.items()},
    }


def show_hits(hits: Sequence[Hit], *, legs: bool) -> None:
    """Print hits as a numbered list: score, place, passage."""
    for rank, hit in enumerate(hits, 1):
        print(f"{rank:>2}. {hit.score:.2f}  {place(hit.uri, hit.chunk.page, hit.chunk.heading)}")
        if legs:
            shares = (
                f"{name} rank {leg.rank} score {leg.score:.3f}" for name, leg in hit.legs.items()
            )
            print(f"    {', '.join(shares)}")
        text = " ".join(hit.text.split())
        print(f"    {text[:PREVIEW]}{'...' if len(text) > PREVIEW else ''}")


def show_explanation(found: Explanation) -> None:
    """Print weights, terms and timings of a search."""
    print(
        f"score = {found.weight:.2f} x dense + {1 - found.weight:.2f} x lexical / "
        f"{sum(found.terms.values()):.1f}; the embedder knows {found.known_share:.0%} of the query"
    )
    print("terms: " + ", ".join(f"{term} {weight:.1f}" for term, weight in found.terms.items()))
    print("timings: " + ", ".join(f"{k} {1000 * v:.1f} ms" for k, v in found.timings.items()))


def show_citations(citations: Sequence[Citation]) -> None:
    """Print citations as a numbered list: place and quote."""
    if citations:
        print()
    for citation in citations:
        mark = "" if citation.verified else "  (not verified)"
        print(
            f"[{citation.number}] {place(citation.uri, citation.page, citation.heading)}{mark}\n"
            f'    "{" ".join(citation.quote.split())}"'
        )


def show_nearest(hits: Sequence[Hit]) -> None:
    """Tell on stderr which passages came nearest to a question without an answer."""
    if not hits:
        print("the knowledge base holds no passages: `kbqa ingest FOLDER`", file=sys.stderr)
        return
    print("nearest passages:", file=sys.stderr)
    for hit in hits[:NEAREST]:
        where = place(hit.uri, hit.chunk.page, hit.chunk.heading)
        print(f"  {hit.score:.2f}  {where}", file=sys.stderr)


def place(uri: str, page: int | None, heading: Sequence[str]) -> str:
    """Where a passage stands: `file, p. 3, Heading > Sub-heading`."""
    parts = [uri]
    if page is not None:
        parts.append(f"p. {page}")
    if heading:
        parts.append(" > ".join(heading))
    return ", ".join(parts)
