"""A document into chunks that end at headings, paragraphs, sentences, words; sized in tokens.

The document is tokenised once. `semantic-text-splitter` then cuts by characters (sized by a
tokenizer itself it would tokenise again and again, a third of what embedding costs), with the
document's own ratio of characters to tokens; a piece that turns out too long is cut again with its
own ratio.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from semantic_text_splitter import MarkdownSplitter, TextSplitter

from ingest.documents import Chunk, Document
from ingest.loaders.media_types import DOCX

MARKDOWN_TYPES = frozenset({"text/markdown", "text/html", DOCX})  # their canonical text is Markdown
CHUNK_TOKENS = 230  # mean nDCG@10 of a prototype, six sets: 110 .817, 160 .816, 230 .818, 400 .816
HEADER_TOKENS = 26  # of the model's window, kept for title and headings
_MARGIN = 0.95  # tokens are not spread evenly: aim a little under the limit
_MAX_DEPTH = 8
# A word unknown to a tokenizer is one token however long it is (base64, minified code): no chunk
# holds more characters than this for each token it may have. English has 4.5, Chinese 1.
_TOKEN_CHARACTERS = 16
# The splitter takes time quadratic in the length of a sentence: a longer one (a table in one line,
# minified code) is handed over in blocks.
_LONG_SENTENCE, _BLOCK = 5_000, 2_500
_SENTENCE_END = re.compile(r"[\n。！？!?]|\.(?=\s+[^\sa-z])")

TokenStarts = Callable[[str], Sequence[int]]


def split(
    document: Document, *, token_starts: TokenStarts, max_tokens: int = CHUNK_TOKENS + HEADER_TOKENS
) -> list[Chunk]:
    """Chunks of `document` in reading order, each of at most `CHUNK_TOKENS` tokens.

    `token_starts` gives the offset of each token (`Embedder.token_starts`), `max_tokens` is the
    embedder's window: chunks leave `HEADER_TOKENS` of it free. White space between chunks belongs
    to none; every other character belongs to exactly one.
    """
    capacity = min(CHUNK_TOKENS, max(8, max_tokens - HEADER_TOKENS))
    markdown = document.media_type in MARKDOWN_TYPES
    starts = token_starts(document.text)
    spans = _cut(document.text, 0, len(document.text), starts, capacity, markdown, depth=0)
    return [
        Chunk(
            document_id=document.id,
            uri=document.uri,
            title=document.title,
            start=start,
            end=end,
            text=document.text[start:end],
            heading=document.heading_at(start),
            page=document.page_at(start),
            position=position,
        )
        for position, (start, end) in enumerate(spans)
    ]


def _cut(
    text: str,
    start: int,
    end: int,
    starts: Sequence[int],
    capacity: int,
    markdown: bool,
    *,
    depth: int,
) -> Iterator[tuple[int, int]]:
    """Spans of `text[start:end]` that hold at most `capacity` tokens and no outer white space."""
    start, end = _trimmed(text, start, end)
    if start == end:
        return
    tokens = bisect_left(starts, end) - bisect_left(starts, start)
    tokens = max(tokens, (end - start) // _TOKEN_CHARACTERS)
    if tokens <= capacity:
        yield start, end
        return
    characters = max(1, int(capacity * _MARGIN * (end - start) / tokens))
    if depth == _MAX_DEPTH:
        yield from _cut_hard(text, start, end, starts, capacity)
        return
    splitter = MarkdownSplitter(characters) if markdown else TextSplitter(characters)
    for begin, stop in _blocks(text, start, end):
        for offset, piece in splitter.chunk_indices(text[begin:stop]):
            first = begin + offset
            yield from _cut(
                text, first, first + len(piece), starts, capacity, markdown, depth=depth + 1
            )


def _blocks(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """`text[start:end]` in spans without a long sentence; one span where there is none."""
    begin = last = start
    for mark in [*(match.end() for match in _SENTENCE_END.finditer(text, start, end)), end]:
        if mark - last > _LONG_SENTENCE:
            if begin < last:
                yield begin, last
            while mark - last > _BLOCK:
                cut = text.rfind(" ", last, last + _BLOCK) + 1 or last + _BLOCK
                yield last, cut
                last = cut
            begin = last
        last = mark
    if begin < end:
        yield begin, end


def _cut_hard(
    text: str, start: int, end: int, starts: Sequence[int], capacity: int
) -> Iterator[tuple[int, int]]:
    """Cut between tokens, for text that has no better place."""
    inside = [start, *starts[bisect_left(starts, start) + 1 : bisect_left(starts, end)]]
    bounds = [*inside[::capacity], end]
    for first, last in pairwise(bounds):
        first, last = _trimmed(text, first, last)
        if first < last:
            yield first, last


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end
