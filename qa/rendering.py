"""Hits and answers for people and for machines. Only the CLI prints through here."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from itertools import groupby
from typing import Any

from ingest.documents import Document, Record
from ingest.errors import BadRequest
from qa.neutral import for_terminal, in_one_line
from qa.passages import Passage
from qa.terminal import print
from qa.turn import Answer, Citation, Statement
from retrieval.explaining import Explanation
from retrieval.hits import Hit

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
        "copies": list(hit.copies),
        "metadata": dict(hit.metadata),
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


def statement_json(statement: Statement, citations: Sequence[Citation]) -> dict[str, Any]:
    """A statement as `ask --json` gives it; its citations by their places in the answer's list."""
    return {
        "start": statement.start,
        "end": statement.end,
        "text": statement.text,
        "citations": [citations.index(citation) for citation in statement.citations],
        "support": None if statement.support is None else round(statement.support, 4),
        "supported": statement.supported,
    }


def answer_json(answer: Answer) -> dict[str, Any]:
    """The object that `ask --json` prints."""
    return {
        "text": answer.text,
        "abstained": answer.abstained,
        "evidence": None if answer.evidence is None else round(answer.evidence, 4),
        "doubtful": answer.doubtful,
        "citations": [citation_json(citation) for citation in answer.citations],
        "statements": [statement_json(said, answer.citations) for said in answer.statements],
        "query": answer.query,
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
        "evidence": round(found.evidence, 4),
        "cut": dict(found.cut),
        "dropped": [
            {
                "uri": item.chunk.uri,
                "start": item.chunk.start,
                "end": item.chunk.end,
                "page": item.chunk.page,
                "heading": list(item.chunk.heading),
                "why": item.why,
                "of": item.of,
            }
            for item in found.dropped
        ],
        "reasons": [_rounded(asdict(found.reasons(hit))) for hit in found.hits],
        "weights": {"dense": round(found.weight, 4), "lexical": round(1 - found.weight, 4)},
        "known_share": round(found.known_share, 4),
        "terms": {term: round(weight, 3) for term, weight in found.terms.items()},
        "timings": {name: round(seconds, 6) for name, seconds in found.timings.items()},
    }


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: round(value, 4) if isinstance(value, float) else value
        for name, value in values.items()
    }


def show_hits(hits: Sequence[Hit], *, explained: Explanation | None = None) -> None:
    """Print hits as a numbered list: score, place, passage; with the reasons, if given."""
    for rank, hit in enumerate(hits, 1):
        print(f"{rank:>2}. {hit.score:.2f}  {place(hit.uri, hit.chunk.page, hit.chunk.heading)}")
        if explained is not None:
            _show_reasons(hit, explained)
        text = " ".join(hit.text.split())
        print(f"    {text[:PREVIEW]}{'...' if len(text) > PREVIEW else ''}")
        if hit.copies:
            print(f"    the same in {', '.join(hit.copies)}, as far as it was asked")


def _show_reasons(hit: Hit, found: Explanation) -> None:
    reasons = found.reasons(hit)
    legs = ", ".join(
        f"{name} rank {leg.rank} score {leg.score:.3f}" for name, leg in hit.legs.items()
    )
    heading = f"; in its heading: {', '.join(reasons.heading)}" if reasons.heading else ""
    print(f"    {legs}; before feedback and reranker: rank {reasons.rank}")
    print(
        f"    strength {reasons.strength:.3f} = dense {reasons.dense:.3f} + lexical "
        f"{reasons.lexical:.3f} + feedback {reasons.feedback:+.3f}{heading}"
    )


def show_explanation(found: Explanation, *, min_score: float, sure_score: float = 0.0) -> None:
    """Print weights, terms, what was cut and timings of a search."""
    verdict = "answers" if found.evidence >= min_score else "says that the documents do not answer"
    if min_score <= found.evidence < sure_score:
        verdict += f", as doubtful below {sure_score:g},"
    print(f"evidence {found.evidence:.2f}: `ask` {verdict} (min_score {min_score:g})")
    print(
        f"strength = {found.weight:.2f} x dense + {1 - found.weight:.2f} x lexical / "
        f"{sum(found.terms.values()):.1f}; the embedder knows {found.known_share:.0%} of the query"
    )
    print("terms: " + ", ".join(f"{term} {weight:.1f}" for term, weight in found.terms.items()))
    if found.cut:
        print("cut: " + ", ".join(f"{count} ({reason})" for reason, count in found.cut.items()))
    for item in found.dropped:
        if item.why != "beyond k":
            of = f" of {item.of}" if item.of else ""
            print(
                f"    {place(item.chunk.uri, item.chunk.page, item.chunk.heading)}: {item.why}{of}"
            )
    print("timings: " + ", ".join(f"{k} {1000 * v:.1f} ms" for k, v in found.timings.items()))


def show_sources(answer: Answer) -> None:
    """Print what an answer rests on as a numbered list, and what it says without support."""
    lines = [*citation_lines(answer.citations), *unsupported_lines(answer.statements)]
    if lines:
        print("\n".join(["", *lines]))


def remarks(answer: Answer) -> Iterator[str]:
    """What a person is told about an answer besides its text."""
    yield from answer.notes
    if answer.doubtful:
        figure = "" if answer.evidence is None else f" (evidence {answer.evidence:.2f})"
        yield f"doubtful{figure}: the documents may not answer this, check the quotes"


def citation_lines(citations: Sequence[Citation]) -> Iterator[str]:
    """Citations as a numbered list: place, quotes. What is of one place is told together."""
    in_order = sorted(citations, key=lambda citation: citation.number)
    for (number, where, verified), quoted in groupby(in_order, key=_where):
        yield f"[{number}] {where}{'' if verified else '  (not verified)'}"
        yield from (f'    "{" ".join(citation.quote.split())}"' for citation in quoted)


def unsupported_lines(statements: Sequence[Statement]) -> Iterator[str]:
    """The statements that the documents do not bear out."""
    for statement in statements:
        if statement.supported is False:
            yield f"[unsupported] {' '.join(statement.text.split())}"


def _where(citation: Citation) -> tuple[int, str, bool]:
    where = place(citation.uri, citation.page, citation.heading)
    return citation.number, where, citation.verified


def show_passage(passage: Passage, *, styled: bool) -> None:
    """Print the passage of a citation; `styled` for a terminal, which shows the quote in bold."""
    print(f"[{passage.number}] {spot(passage)}")
    if passage.moved:
        print("the document has changed since the answer; this is where the quote stands now")
    for remark in file_remark(passage):
        print(remark)
    begin, end = ("\033[1m", "\033[0m") if styled else ("»", "«")
    before, quote, after = map(for_terminal, (passage.before, passage.quote, passage.after))
    quoted = f"{end}\n{begin}".join(quote.split("\n")) if styled else quote
    lines = f"{before}{begin}{quoted}{end}{after}".split("\n")
    first = passage.before.count("\n")
    for number, text in enumerate(lines):
        sign = ">" if first <= number <= first + passage.quote.count("\n") else " "
        line = f"{passage.line - first + number:>5}" if passage.line is not None else ""
        print(f"{sign}{line}  {text}", styled=True)


def file_remark(passage: Passage) -> Iterator[str]:
    """What a person is told of the file where it is not as it was read."""
    if passage.file == "changed":
        yield "the file has changed since it was read; this is as it was: `kbqa ingest` reads it"
    elif passage.file == "gone":
        yield "the file is not there any more (moved or deleted); this is what was read in it"


def spot(passage: Passage) -> str:
    """Where a passage stands: `file:12, Heading` or `file, p. 3, Heading`."""
    uri = passage.uri if passage.line is None else f"{passage.uri}:{passage.line}"
    return place(uri, passage.page, passage.heading)


def show_nearest(hits: Sequence[Hit], *, filtered: bool = False) -> None:
    """Tell on stderr which passages came nearest to a question without an answer."""
    if not hits:
        show_no_passages(filtered=filtered)
        return
    print("nearest passages:", file=sys.stderr)
    for hit in hits[:NEAREST]:
        where = place(hit.uri, hit.chunk.page, hit.chunk.heading)
        print(f"  {hit.score:.2f}  {where}", file=sys.stderr)


def show_no_passages(*, filtered: bool) -> None:
    """Tell on stderr why a search found nothing at all."""
    empty = "the knowledge base holds no passages: `kbqa ingest FOLDER`"
    print("no passage fits the filter" if filtered else empty, file=sys.stderr)


def record_json(row: Record, copies: Sequence[str]) -> dict[str, Any]:
    """A row of the ledger as `documents --json` gives it; `copies` are near-copies of it."""
    shown = {field.name: getattr(row, field.name) for field in fields(Record)}
    return {**shown, "quality": dict(row.quality), "copies": list(copies)}


def document_json(document: Document) -> dict[str, Any]:
    """What is known of a document, its text aside, as `show --json` gives it."""
    return {
        "uri": document.uri,
        "sha256": document.sha256,
        "title": document.title,
        "media_type": document.media_type,
        "parser": document.parser,
        "characters": len(document.text),
        "pages": [
            {"number": p.number, "label": p.label, "start": p.start, "end": p.end,
             "quality": dict(p.quality)} for p in document.pages
        ],
        "sections": [
            {"title": s.title, "level": s.level, "start": s.start, "end": s.end}
            for s in document.sections
        ],
        "marks": [
            {"kind": m.kind, "start": m.start, "end": m.end, "label": m.label}
            for m in document.marks
        ],
        "metadata": dict(document.metadata),
        "quality": dict(document.quality),
    }  # fmt: skip


def page_text(document: Document, number: int | None) -> str:
    """The text of a document or of one of its pages. Raises BadRequest for a page it lacks."""
    if number is None:
        return document.text
    for page in document.pages:
        if page.number == number:
            return document.text[page.start : page.end]
    numbers = [page.number for page in document.pages]
    known = f"it has pages {numbers[0]} to {numbers[-1]}" if numbers else "it has no pages"
    raise BadRequest(f"{document.uri} has no page {number}: {known}")


def place(uri: str, page: int | None, heading: Sequence[str]) -> str:
    """Where a passage stands: `file, p. 3, Heading > Sub-heading`."""
    parts = [uri]
    if page is not None:
        parts.append(f"p. {page}")
    if heading:
        parts.append(" > ".join(heading))
    return in_one_line(", ".join(parts))
