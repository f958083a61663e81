"""A document into chunks that end where its structure does; sized in the embedder's tokens.

The text is tokenised once. `chunking_cuts` says where it may be cut and what each cut costs,
`chunking_packing` finds the cheapest way through; here the pieces become `Chunk`s.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence

from ingest.chunking_cells import with_wide_rows
from ingest.chunking_cuts import Layout, layout_of
from ingest.chunking_facts import Cells, Lines, context_of, headings_of
from ingest.chunking_packing import Costs, Cut, pack, with_long_tokens
from ingest.documents import Chunk, Document

# Mean nDCG@10 of a prototype on six sets is flat: 110 .817, 160 .816, 230 .818, 400 .816. Smaller
# passages are more precise and less whole. bench/chunking, recall / precision / IoU of our top 5:
# 230 .883 / .051 / .051, 180 .852 / .062 / .062; the peer .761 / .057 / .057.
CHUNK_TOKENS = 180
HEADER_TOKENS = 26  # of the model's window, kept for title and headings

TokenStarts = Callable[[str], Sequence[int]]
Span = tuple[int, int]


def split(
    document: Document, *, token_starts: TokenStarts, max_tokens: int = CHUNK_TOKENS + HEADER_TOKENS
) -> list[Chunk]:
    """Chunks of `document` in reading order, each of at most `CHUNK_TOKENS` tokens.

    `token_starts` gives the offset of each token (`Embedder.token_starts`), `max_tokens` is the
    embedder's window: chunks leave `HEADER_TOKENS` of it free. The tokens of a chunk's context
    count, those of its omitted spans do not. White space and boilerplate between chunks belong to
    none; every other character belongs to exactly one.
    """
    capacity = min(CHUNK_TOKENS, max(8, max_tokens - HEADER_TOKENS))
    omitted = document.omitted_spans
    starts = with_long_tokens(document.text, _kept(token_starts(document.text), omitted))
    layout = with_wide_rows(layout_of(document, omitted), document, starts, capacity)
    spans = _spans(document.text, layout, starts, capacity, omitted)
    return _chunks(document, layout, spans, omitted, starts, capacity)


def _kept(starts: Sequence[int], omitted: Sequence[Span]) -> list[int]:
    """The token starts outside of the omitted spans."""
    kept: list[int] = []
    first = 0
    for start, end in omitted:
        last = bisect_left(starts, start, first)
        kept += starts[first:last]
        first = bisect_left(starts, end, last)
    return kept + list(starts[first:])


def _spans(
    text: str, layout: Layout, starts: Sequence[int], capacity: int, omitted: Sequence[Span]
) -> list[Span]:
    """Where the chunks lie: without white space and omitted text at their ends."""
    cuts = layout.cuts + [
        Cut(edge, 0.3) for span in omitted for edge in span if span[1] - span[0] > 64
    ]
    bounds = pack(text, cuts, starts, Costs(capacity, layout.reserved(starts, capacity)))
    trimmed = (_trimmed(text, start, end, omitted) for start, end in bounds)
    return [span for span in trimmed if span[0] < span[1]]


def _chunks(
    document: Document,
    layout: Layout,
    spans: Sequence[Span],
    omitted: Sequence[Span],
    starts: Sequence[int],
    capacity: int,
) -> list[Chunk]:
    text = document.text
    lines, cells = Lines(document), Cells(document)
    headings = headings_of(layout.sections, [start for start, _ in spans])
    chunks: list[Chunk] = []
    for position, ((start, end), heading) in enumerate(zip(spans, headings, strict=True)):
        used = bisect_left(starts, end) - bisect_left(starts, start)
        context = context_of(layout, start, starts, capacity - used)
        chunk = Chunk(
            document_id=document.id,
            uri=document.uri,
            title=document.title,
            start=start,
            end=end,
            text=text[start:end],
            heading=heading,
            page=document.page_at(start),
            position=position,
            line=lines.line_at(start),
            cells=cells.of(start, end),
            context=context,
            omitted=_inside(omitted, start, end),
        )
        chunks.append(chunk)
    return chunks


def _inside(omitted: Sequence[Span], start: int, end: int) -> tuple[Span, ...]:
    """The omitted spans within `start:end`, relative to `start`."""
    if not omitted:
        return ()
    first = bisect_right(omitted, start, key=lambda span: span[1])
    last = bisect_left(omitted, end, key=lambda span: span[0])
    return tuple((max(a, start) - start, min(b, end) - start) for a, b in omitted[first:last])


def _trimmed(text: str, start: int, end: int, omitted: Sequence[Span]) -> Span:
    """The span without white space and omitted text at its two ends."""
    while start < end:
        if text[start].isspace():
            start += 1
        elif (span := _around(omitted, start)) is not None:
            start = min(span[1], end)
        else:
            break
    while end > start:
        if text[end - 1].isspace():
            end -= 1
        elif (span := _around(omitted, end - 1)) is not None:
            end = max(span[0], start)
        else:
            break
    return start, end


def _around(omitted: Sequence[Span], offset: int) -> Span | None:
    if not omitted:
        return None
    index = bisect_right(omitted, offset, key=lambda span: span[0]) - 1
    return omitted[index] if index >= 0 and offset < omitted[index][1] else None
