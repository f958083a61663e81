"""What chunks carry along: table headers, cells, lines, signatures; what they leave out."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.chunking import CHUNK_TOKENS, HEADER_TOKENS, split
from ingest.chunking_cuts import layout_of
from ingest.documents import Chunk, Document, Mark, Page
from ingest.loaders import load_bytes
from ingest.loaders.media_types import CSV, DOCX, HTML, IPYNB, JSONL, PDF, VTT
from tests.fakes import HashEmbedder

starts_of = HashEmbedder().token_starts
WINDOW = HEADER_TOKENS + 60
PROSE = "The manager approves leave within two days. Unused days are carried over once. "


def cut(document: Document, max_tokens: int = WINDOW) -> list[Chunk]:
    return split(document, token_starts=starts_of, max_tokens=max_tokens)


def markdown(text: str) -> Document:
    return load_bytes(text.encode(), uri="a.md", media_type="text/markdown")


def test_a_table_is_cut_between_rows_and_repeats_its_header() -> None:
    rows = "".join(f"| bolt M{n} | 0.{n} |\n" for n in range(60))
    text = f"Prices of this year:\n\n| item | price |\n|---|---|\n{rows}\nAll without tax.\n"
    chunks = cut(markdown(text))
    assert len(chunks) > 5
    assert chunks[0].context == ""
    for chunk in chunks:
        for line in chunk.text.split("\n"):
            assert not line.startswith("|") or line.endswith("|")
    inside = [chunk for chunk in chunks[1:] if chunk.text.startswith("| bolt")]
    assert len(inside) >= len(chunks) - 2
    for chunk in inside:
        assert chunk.context == "| item | price |"
        assert len(starts_of(chunk.context + "\n" + chunk.text)) <= 60


def test_a_header_longer_than_half_the_window_is_no_context() -> None:
    header = "| " + " | ".join(f"column {n} of the table" for n in range(8)) + " |"
    row = "| " + " | ".join(str(n) for n in range(8)) + " |\n"
    chunks = cut(markdown(f"{header}\n|{'---|' * 8}\n{row * 10}"))
    assert {chunk.context for chunk in chunks} == {""}


def test_rows_of_a_csv_know_their_cells_and_lines() -> None:
    rows = "".join(f"bolt M{n},0.{n},steel\n" for n in range(2, 60))
    chunks = cut(load_bytes(f"item,price,of\n{rows}".encode(), uri="p.csv", media_type=CSV))
    assert len(chunks) > 3
    row = 2
    for chunk in chunks:
        last = row + chunk.text.count("\n") - chunk.text.startswith("item")
        assert chunk.cells == f"A{row}:C{last}"
        assert chunk.line == (1 if row == 2 else row)
        assert chunk.context == ("" if row == 2 else "item,price,of")
        row = last + 1
    assert row == 60


def test_a_cell_of_several_lines_is_not_cut() -> None:
    note = '"' + "\n".join(f"line {n} of the note" for n in range(8)) + '"'
    text = "item,note\n" + "".join(f"bolt {n},{note}\n" for n in range(9))
    chunks = cut(load_bytes(text.encode(), uri="p.csv", media_type=CSV))
    assert all(chunk.text.startswith(("item", "bolt")) for chunk in chunks)
    assert [chunk.cells for chunk in chunks][-1].endswith("B10")


def test_sheets_of_a_workbook_name_their_cells() -> None:
    one, two = "name | age\nAnn | 3\nBob | 4", "city | size\nRome | 9"
    text = f"{one}\n\n{two}"
    marks = (
        Mark("rows", one.index("Ann"), len(one), "People!A2:B3"),
        Mark("rows", text.index("Rome"), len(text), "My towns!C7:D7"),
    )
    (chunk,) = cut(replace(Document.from_text(text, uri="a"), marks=marks))
    assert chunk.cells == "People!A2:B3, My towns!C7:D7"


def test_records_are_kept_whole() -> None:
    text = "".join(f'{{"id": {n}, "text": "leave of {n} days. Ask early."}}\n' for n in range(50))
    chunks = cut(load_bytes(text.encode(), uri="a.jsonl", media_type=JSONL))
    assert len(chunks) > 5
    for chunk in chunks:
        assert all(re.fullmatch(r"\{.*\}", line) for line in chunk.text.split("\n"))


def test_boilerplate_is_omitted_and_makes_no_chunk_of_its_own() -> None:
    footer = "Page footer of the handbook. "
    text = PROSE + footer + PROSE + footer * 20
    first = len(PROSE)
    marks = (
        Mark("boilerplate", first, first + len(footer)),
        Mark("hidden", text.index(footer * 20), len(text)),
    )
    chunks = cut(replace(Document.from_text(text, uri="a"), marks=marks))
    kept = " ".join(chunk.kept_text for chunk in chunks)
    assert "footer" not in kept
    assert "".join(kept.split()) == "".join((PROSE * 2).split())
    assert all(chunk.kept_text.strip() for chunk in chunks)


def test_a_document_of_boilerplate_only_is_kept() -> None:
    document = Document.from_text("nothing else", uri="a")
    marked = replace(document, marks=(Mark("hidden", 0, 12),))
    assert marked.omitted_spans == []
    assert [chunk.kept_text for chunk in cut(marked)] == ["nothing else"]


def test_times_of_subtitles_are_not_embedded() -> None:
    cues = "".join(
        f"00:{n:02}.000 --> 00:{n + 1:02}.000\n<v Ann>We leave at {n}.\n\n" for n in range(9)
    )
    document = load_bytes(f"WEBVTT\n\n{cues}".encode(), uri="a.vtt", media_type=VTT)
    (chunk,) = cut(document, 256)
    assert "-->" in chunk.text
    assert "-->" not in chunk.kept_text
    assert "Ann" in chunk.kept_text


def test_methods_name_their_class_and_carry_its_signature() -> None:
    methods = "".join(
        f'\n    def step_{n}(self, url: str) -> str:\n        """Fetch page {n}."""\n'
        f"        answer = self.get(url, retries={n})\n        return answer.text\n"
        for n in range(8)
    )
    code = f'"""Fetching."""\n\nimport os\n\n\n@final\nclass Fetcher(Base):\n    "Gets."\n{methods}'
    document = load_bytes(code.encode(), uri="f.py", media_type="text/x-python")
    chunks = cut(document, HEADER_TOKENS + 90)
    later = [chunk for chunk in chunks if chunk.heading[:1] == ("class Fetcher",)][1:]
    assert later
    for chunk in later:
        assert chunk.text.startswith("def step_")
        assert chunk.heading[1].startswith("step_")
        assert chunk.context == "class Fetcher(Base):"
        assert code.split("\n")[(chunk.line or 0) - 1].strip().startswith("def step_")


def test_a_fenced_block_that_fits_is_not_cut() -> None:
    fence = "```sh\n" + "\n".join(f"run step {n}" for n in range(10)) + "\n\nrun last\n```\n\n"
    text = "# Steps\n\n" + (PROSE * 2 + "\n\n" + fence) * 6
    for chunk in cut(markdown(text), 256):
        assert chunk.text.count("```") % 2 == 0


def test_what_only_looks_like_a_fence_opens_none() -> None:
    inline = "```x``` is a mark\n\n" + (PROSE * 2 + "\n\n") * 6
    places = [cut.price for cut in layout_of(markdown(inline)).cuts]
    assert max(places) < 0.5
    page = f"<p>```<h2>Second</h2><p>{PROSE}<p>{PROSE}".encode()
    document = load_bytes(page, uri="a.html")
    cuts = {cut.offset: cut.price for cut in layout_of(document).cuts}
    assert cuts[document.text.index("## Second")] < 0.2
    assert cuts[document.text.rindex(PROSE.strip())] < 0.5


def test_a_page_without_headings_has_none() -> None:
    document = load_bytes(f"<p># 1 hash<p>{PROSE}".encode(), uri="a.html")
    assert [chunk.heading for chunk in cut(document)] == [()]


@pytest.mark.parametrize(
    ("question", "answer"), [("Q: How many days, part {}?", "A: "), ("问：第{}天可以吗？", "答：")]
)
def test_questions_stay_with_their_answers(question: str, answer: str) -> None:
    text = "".join(f"{question.format(n)}\n{answer}{PROSE}\n" for n in range(12))
    for chunk in cut(Document.from_text(text, uri="a")):
        assert chunk.text.startswith(question[:1])
        assert chunk.text.count(answer) == chunk.text.count(question[:2])


def test_what_is_left_over_is_no_crumb() -> None:
    chunks = cut(Document.from_text(PROSE * 9, uri="a"), 256)
    sizes = [len(starts_of(chunk.text)) for chunk in chunks]
    assert min(sizes) > CHUNK_TOKENS / 4


def test_lines_count_from_below_the_front_matter() -> None:
    document = markdown("---\ntitle: T\n---\n\n# One\n\ntext\n\n# Two\n\n" + PROSE * 12)
    assert document.first_line == 5
    chunks = cut(document)
    assert chunks[0].line == 5
    assert next(c.line for c in chunks if "Two" in c.text) in (5, 9)


BLOCKS = st.sampled_from(
    [
        "# Head\n\n", "## 标题\n\n", PROSE, "年假为十五天，需提前两周申请。", "\n\n", "- item\n",
        "  - inner\n",
        "| a | b |\n|---|---|\n", "| 1 | 2 |\n", "```py\n", "```\n", "def f(x):\n    return x\n\n",
        'a,b\n1,"2\n3"\n', "Q: why?\nA: so.\n", "x" * 300, " \t", "<!-- no -->",
        "1. one\n", "\r", "🙂",
    ]
)  # fmt: skip
TYPES = ["text/plain", "text/markdown", "text/html", CSV, "text/x-python", "application/json",
         JSONL, "application/xml"]  # fmt: skip
KINDS = ["table", "rows", "boilerplate", "hidden", "image"]


@st.composite
def marked_documents(draw: st.DrawFn) -> Document:
    text = "".join(draw(st.lists(BLOCKS, max_size=50)))
    size = len(text)
    spans = st.tuples(st.integers(0, size), st.integers(0, size)).map(sorted)
    marks = [
        Mark(kind, start, end, label)  # type: ignore[arg-type]
        for kind, (start, end), label in draw(
            st.lists(
                st.tuples(
                    st.sampled_from(KINDS), spans, st.sampled_from(["", "S!A2:B9", "A3:B3", "x"])
                ),
                max_size=6,
            )
        )
    ]
    document = Document.from_text(text, uri="a", media_type=draw(st.sampled_from(TYPES)))
    return replace(document, marks=tuple(sorted(marks, key=lambda mark: mark.start)), first_line=3)


@settings(max_examples=100)
@given(document=marked_documents(), max_tokens=st.sampled_from([1, 60, 256]))
def test_any_document_is_covered_once(document: Document, max_tokens: int) -> None:
    chunks = cut(document, max_tokens)
    omitted = document.omitted_spans
    assert_covered(document.text, chunks, omitted)
    capacity = min(CHUNK_TOKENS, max(8, max_tokens - HEADER_TOKENS))
    starts = [s for s in starts_of(document.text) if not any(a <= s < b for a, b in omitted)]
    for position, chunk in enumerate(chunks):
        assert chunk.position == position
        assert chunk.text == document.text[chunk.start : chunk.end] == chunk.text.strip()
        assert chunk.kept_text.strip()
        assert chunk.line == 3 + document.text.count("\n", 0, chunk.start)
        used = sum(chunk.start <= start < chunk.end for start in starts)
        assert used <= capacity
        if document.media_type != "text/x-python":
            assert used + len(starts_of(chunk.context)) <= capacity or not chunk.context


def assert_covered(text: str, chunks: Sequence[Chunk], omitted: Sequence[tuple[int, int]]) -> None:
    """Ordered, apart, and everything outside of them is white space or omitted."""
    end = 0
    for chunk in chunks:
        assert end <= chunk.start < chunk.end
        end = chunk.end
    held = [(chunk.start, chunk.end) for chunk in chunks] + list(omitted)
    for offset, character in enumerate(text):
        assert character.isspace() or any(a <= offset < b for a, b in held)


def test_no_function_is_cut_that_fits() -> None:
    body = "".join(f"        self.value_{n} = {n} * self.offset\n" for n in range(9))
    methods = "".join(f"    def method_{n}(self):\n{body}\n" for n in range(6))
    chunks = cut(load_bytes(f"class Big:\n{methods}".encode(), uri="a.py"), 256)
    assert [chunk.text.count("self.value_8") for chunk in chunks] == [1] * 6
    assert all(chunk.text.startswith(("class", "def")) for chunk in chunks)


@pytest.mark.parametrize("gap", ["", " "])
def test_records_of_json_on_one_line_are_kept_whole(gap: str) -> None:
    records = [{"id": n, "text": "Leave of some days. Ask early, and twice."} for n in range(60)]
    text = json.dumps(records, separators=(f",{gap}", f":{gap}"))
    chunks = cut(load_bytes(text.encode(), uri="a.json"))
    assert len(chunks) > 5
    assert all(re.fullmatch(r"\[?(\{[^{}]*\},? ?)+\]?", chunk.text) for chunk in chunks)


def test_fields_of_a_long_record_are_kept_whole() -> None:
    fields = {f"field {n}": "Leave of some days. Ask early, and twice." for n in range(40)}
    chunks = cut(load_bytes(json.dumps(fields).encode() + b"\n{}", uri="a.jsonl"))
    assert len(chunks) > 3
    assert all(chunk.text.lstrip("{").startswith('"field') for chunk in chunks[:-1])


def test_sheets_share_no_chunk() -> None:
    text = "## One\n\na | b\n\n## Two\n\nc | d"
    two = text.index("## Two")
    pages = (Page(1, 0, two - 2, label="One"), Page(2, two, len(text), label="Two"))
    chunks = cut(replace(Document.from_text(text, uri="a"), pages=pages))
    assert [(chunk.text, chunk.page) for chunk in chunks] == [
        ("## One\n\na | b", 1),
        ("## Two\n\nc | d", 2),
    ]


@pytest.mark.parametrize("media_type", [DOCX, PDF, IPYNB, HTML])
def test_code_in_a_text_is_told_by_its_fences(media_type: str) -> None:
    text = f"{PROSE}\n\n```\ndef take(step):\n\n    return step\n```\n\n{PROSE}"
    layout = layout_of(Document.from_text(text, uri="a", media_type=media_type))
    prices = {text[cut.offset :].split("\n")[0]: cut.price for cut in layout.cuts}
    assert prices["def take(step):"] == 3
    assert prices["    return step"] > prices[PROSE]
