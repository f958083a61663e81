from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.chunking import CHUNK_TOKENS, HEADER_TOKENS, split
from ingest.chunking_packing import TOKEN_CHARACTERS
from ingest.documents import Chunk, Document, Page
from ingest.loaders import load_bytes
from ingest.loaders.media_types import DOCX
from retrieval.openvino_embedder import OpenVinoEmbedder
from tests.fakes import HashEmbedder

TYPES = ("text/plain", "text/markdown")
PROSE = "The manager approves leave within two days. Unused days are carried over once. "
ZH = "年假为十五天，需提前两周申请。未用完的假期可以结转一次！主管在两天内批准吗？"
CODE = "def parse(text: str) -> Url:\n    return Url(*text.split('://', 1))  # noqa: B017\n\n"

LARGE = {
    "prose": PROSE * 300,
    "Chinese": ZH * 200,
    "Chinese without an end": "年假为十五天需提前两周申请" * 1000,
    "code": CODE * 150,
    "emoji": "👩‍👩‍👧‍👦🏳️‍🌈👍🏽 " * 800,
    "one line of 300 KB": "lorem ipsum " * 25_000,
    "one word of 300 KB": "a" * 300_000,
    "a base64 line": "aGVsbG8gd29ybGQ" * 5000,
    "100,000 columns": " | ".join(f"c{n}" for n in range(100_000)),
    "table": "| item | price |\n|---|---|\n" + "| bolt M8 | 0.12 |\n" * 1000,
    "mixed scripts": "Приказ № 5. Διάταγμα. مرسوم رقم ٥. הוראה. निर्देश। คำสั่ง 指令 指令です。 " * 200,
    "combining": "e\u0301\u0323" * 3000,
    "fractions": "½ ¼ ﷺ ㎏ " * 1500,
    "blank lines": "a\n\n\n" + "\n \t" * 5000 + "b",
    "headings": "# A\n\n## B\n\n### C\n\n" * 800,
    "control": "a\x00b\x1c c\x85d\u2028e " * 1500,
}


def document(text: str, media_type: str = "text/plain") -> Document:
    return Document.from_text(text, uri="a", media_type=media_type)


def assert_chunks_cover(text: str, chunks: list[Chunk]) -> None:
    """Spans in order, without overlap, and nothing but white space outside of them."""
    end = 0
    for position, chunk in enumerate(chunks):
        assert chunk.position == position
        assert end <= chunk.start < chunk.end
        assert not text[end : chunk.start].strip()
        assert chunk.text == text[chunk.start : chunk.end] == chunk.text.strip()
        end = chunk.end
    assert not text[end:].strip()


@pytest.mark.parametrize("media_type", TYPES)
@pytest.mark.parametrize("name", LARGE)
def test_chunks_cover_the_text_and_fit_the_window(
    name: str, media_type: str, embedder: OpenVinoEmbedder
) -> None:
    text = LARGE[name]
    chunks = split(document(text, media_type), token_starts=embedder.token_starts)
    assert_chunks_cover(text, chunks)
    assert max(len(embedder.token_starts(chunk.text)) for chunk in chunks) <= CHUNK_TOKENS
    assert max(len(chunk.text) for chunk in chunks) <= CHUNK_TOKENS * TOKEN_CHARACTERS + 15


PIECES = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["# Head\n\n", "\n\n", "- item\n", "```\n", "| a | b |\n", "word ", "。", ZH]),
    st.integers(1, 400).map(lambda n: "x" * n),
)


@settings(max_examples=80)
@given(
    text=st.lists(PIECES, max_size=60).map("".join),
    media_type=st.sampled_from(TYPES),
    max_tokens=st.sampled_from([1, HEADER_TOKENS + 8, 60, 256, 10_000]),
)
def test_any_text_is_covered_in_chunks_that_fit(
    text: str, media_type: str, max_tokens: int
) -> None:
    starts = HashEmbedder().token_starts(text)
    chunks = split(document(text, media_type), token_starts=lambda _: starts, max_tokens=max_tokens)
    assert_chunks_cover(text, chunks)
    capacity = min(CHUNK_TOKENS, max(8, max_tokens - HEADER_TOKENS))
    for chunk in chunks:
        assert sum(chunk.start <= start < chunk.end for start in starts) <= capacity


@settings(max_examples=40)
@given(text=st.lists(st.text(min_size=50), min_size=3, max_size=12).map("".join))
def test_any_unicode_fits_the_real_window(text: str, embedder: OpenVinoEmbedder) -> None:
    for chunk in split(document(text * 4), token_starts=embedder.token_starts):
        assert len(embedder.token_starts(chunk.text)) <= CHUNK_TOKENS + HEADER_TOKENS


@pytest.mark.parametrize("text", ["", " ", "\n\n\t\u3000\n"])
def test_an_empty_text_has_no_chunks(text: str, embedder: OpenVinoEmbedder) -> None:
    assert split(document(text), token_starts=embedder.token_starts) == []


def test_a_short_text_is_one_chunk(embedder: OpenVinoEmbedder) -> None:
    (chunk,) = split(document(f"  {PROSE}\n"), token_starts=embedder.token_starts)
    assert (chunk.text, chunk.start, chunk.position) == (PROSE.strip(), 2, 0)


@pytest.mark.parametrize("media_type", TYPES)
def test_chinese_is_cut_at_sentence_ends(media_type: str, embedder: OpenVinoEmbedder) -> None:
    chunks = split(document(ZH * 50, media_type), token_starts=embedder.token_starts)
    assert len(chunks) > 5
    assert all(chunk.text[-1] in "。！？" for chunk in chunks)


def test_english_is_cut_at_sentence_ends(embedder: OpenVinoEmbedder) -> None:
    chunks = split(document(PROSE * 100), token_starts=embedder.token_starts)
    assert len(chunks) > 5
    assert all(chunk.text.endswith(".") for chunk in chunks)


def test_a_very_long_line_is_cut_at_blanks(embedder: OpenVinoEmbedder) -> None:
    chunks = split(document(LARGE["100,000 columns"]), token_starts=embedder.token_starts)
    assert all(re.fullmatch(r"\|?( ?c\d+ ?\|?)+", chunk.text) for chunk in chunks)


@pytest.mark.parametrize("media_type", ["text/markdown", "text/html", DOCX])
def test_markdown_is_cut_at_headings(media_type: str, embedder: OpenVinoEmbedder) -> None:
    text = "".join(f"# Part {n}\n\n{PROSE * 9}\n\n" for n in range(6))
    loaded = replace(load_bytes(text.encode(), uri="a.md"), media_type=media_type)
    chunks = split(loaded, token_starts=embedder.token_starts)
    assert [chunk.heading for chunk in chunks] == [(f"Part {n}",) for n in range(6)]
    assert all(chunk.text.startswith("# Part") for chunk in chunks)


def test_chunks_know_their_headings_and_page(embedder: OpenVinoEmbedder) -> None:
    text = f"# One\n\n{PROSE * 20}\n\n## Deep\n\n{PROSE * 20}\n\n# Two\n\n{PROSE * 20}"
    loaded = load_bytes(text.encode(), uri="dir/a.md")
    middle = len(loaded.text) // 2
    paged = replace(loaded, pages=(Page(7, 0, middle), Page(8, middle, len(loaded.text))))
    chunks = split(paged, token_starts=embedder.token_starts)
    for chunk in chunks:
        assert (chunk.uri, chunk.document_id, chunk.title) == ("dir/a.md", loaded.id, "One")
        assert chunk.heading == loaded.heading_at(chunk.start)
        assert chunk.page == (7 if chunk.start < middle else 8)
    assert {chunk.heading for chunk in chunks} >= {("One",), ("One", "Deep"), ("Two",)}


def test_a_small_window_makes_small_chunks() -> None:
    starts = HashEmbedder().token_starts
    chunks = split(document(PROSE * 10), token_starts=starts, max_tokens=HEADER_TOKENS + 20)
    assert max(len(starts(chunk.text)) for chunk in chunks) <= 20
    assert len(chunks) >= 10


def test_tokens_that_crowd_in_one_place_are_counted_there() -> None:
    """The ratio of characters to tokens differs a thousandfold within this text."""
    text = "long words everywhere " * 400 + "!?" * 2000
    starts = HashEmbedder().token_starts
    chunks = split(document(text), token_starts=starts)
    assert_chunks_cover(text, chunks)
    assert max(len(starts(chunk.text)) for chunk in chunks) <= CHUNK_TOKENS
