from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.chunking import split as cut
from ingest.documents import Chunk, Document
from qa.tuning.pairs import HELD_OUT, Pair, pairs_of, split
from tests.fakes import HashEmbedder

RUST = """/// Remove all timers of a window.
fn drop(&mut self) { self.timers.retain(|t| t.id != id); }
fn more() {}"""
PYTHON = """def f(x):
    '''Round a price to whole cents. More.'''
    return Decimal(x).quantize(CENTS, rounding=ROUND_HALF_UP)"""
FILLER = "It is kept dry and clean, and a technician looks at it once in every quarter."


def chunk(text: str, *, uri: str = "a.md", position: int = 0, **fields: object) -> Chunk:
    return Chunk(f"{uri}@1", uri, "", 0, len(text), text, position=position, **fields)  # type: ignore[arg-type]


def of_kind(kind: str, *chunks: Chunk) -> list[Pair]:
    return [pair for pair in pairs_of(chunks) if pair.kind == kind]


def test_a_sentence_asks_for_its_passage_without_it() -> None:
    text = f"The pump moves forty litres a minute. {FILLER} The seal lasts for two full years."
    pairs = of_kind("sentence", chunk(text, heading=("Pump",)))
    assert len(pairs) == 2
    for pair in pairs:
        assert pair.query in text
        assert pair.query not in pair.passage
        assert pair.passage.startswith("Pump\n")


def test_chinese_sentences_ask_as_well() -> None:
    text = (
        "水泵每运行五百小时需要加注润滑油。密封件的寿命为两年，到期后必须更换新的密封件。"
        "备件可以在仓库领取，也可以向供应商订购。"
    )
    assert {pair.query for pair in of_kind("sentence", chunk(text))} < set(
        text.replace("。", "。\n").split("\n")
    )


def test_a_heading_asks_for_the_first_passage_below_it() -> None:
    one = chunk(f"## Annual leave\n\n{FILLER}", heading=("Annual leave",), position=0)
    two = chunk(f"More of it. {FILLER}", heading=("Annual leave",), position=1)
    (pair,) = of_kind("heading", one, two)
    assert (pair.query, pair.passage) == ("Annual leave", FILLER)


def test_a_heading_that_asks_is_a_question() -> None:
    (pair,) = of_kind("question", chunk(FILLER, heading=("FAQ", "How long does it last?")))
    assert pair.query == "How long does it last?"
    assert "How long" not in pair.passage


def test_questions_with_answers_are_found_in_the_text() -> None:
    text = (
        f"Q: How long does the seal last?\nA: Two years. {FILLER}\n\n"
        f"问：密封件的寿命多长？\n答：两年。{FILLER}"
    )
    queries = [pair.query for pair in of_kind("question", chunk(text))]
    assert queries == ["How long does the seal last?", "密封件的寿命多长？"]


@pytest.mark.parametrize(
    ("kind", "text", "query"),
    [
        ("caption", f"Table 3: Prices of the spare parts\n| a | b |\n{FILLER}",
         "Prices of the spare parts"),
        ("caption", f"表 2 备用零件的价格与运费一览\n{FILLER}", "备用零件的价格与运费一览"),
        ("symbol", f"def read_config_file(path):\n    return load(path)  # {FILLER}",
         "read config file"),
        ("symbol", f"export class HttpRequestParser {{\n  // {FILLER}\n}}", "http request parser"),
        ("comment", RUST,
         "Remove all timers of a window."),
        ("comment", PYTHON,
         "Round a price to whole cents."),
    ],
)  # fmt: skip
def test_what_describes_asks_for_what_it_describes(kind: str, text: str, query: str) -> None:
    (pair,) = of_kind(kind, chunk(text))
    assert pair.query == query
    assert query not in pair.passage


def test_a_licence_is_no_description() -> None:
    text = "# Copyright 2020 by the authors of this.\n" + "def f(x):\n    return x\n" * 6
    assert of_kind("comment", chunk(text)) == []


def test_the_text_of_a_link_asks_for_where_it_leads() -> None:
    links = "See [how to change the seal](../pump/seal.md#top) and [the site](https://a.example/)."
    here = chunk(f"{links} {FILLER}", uri="guide/index.md")
    there = chunk(FILLER, uri="pump/seal.md")
    (pair,) = of_kind("link", here, there)
    assert (pair.query, pair.uri, pair.passage) == (
        "how to change the seal",
        "pump/seal.md",
        FILLER,
    )


def test_what_is_too_little_is_left_out() -> None:
    assert (
        pairs_of([chunk("Yes."), chunk("", position=1), chunk("## A\n\nB.", heading=("A",))]) == []
    )


@given(texts=st.lists(st.text(max_size=400), max_size=6), seed=st.integers(0, 9))
def test_any_text_gives_pairs_that_do_not_hold_their_question(texts: list[str], seed: int) -> None:
    starts = HashEmbedder().token_starts
    chunks = [
        one
        for number, text in enumerate(texts)
        for one in cut(
            Document.from_text(text, uri=f"{number}.md"), token_starts=starts, max_tokens=60
        )
    ]
    pairs = pairs_of(chunks, seed=seed)
    assert pairs == pairs_of(chunks, seed=seed)
    assert len({pair.query.casefold() for pair in pairs}) == len(pairs)
    places = {(one.uri, one.position) for one in chunks}
    assert {pair.place for pair in pairs} <= places


def pairs(documents: int, of_each: int) -> list[Pair]:
    return [
        Pair(f"q{d} {p}", "passage", f"{d}.md", p, "sentence")
        for d in range(documents)
        for p in range(of_each)
    ]


def test_whole_documents_are_held_out() -> None:
    parts = split(pairs(200, 5))
    held, seen = ({pair.uri for pair in some} for some in (parts.held_out, parts.training))
    assert not held & seen
    assert 0.5 * HELD_OUT < len(held) / 200 < 1.5 * HELD_OUT
    assert split(reversed(pairs(200, 5))).held_out == parts.held_out[::-1]
    assert split(pairs(200, 5), seed=1).held_out != parts.held_out


def test_of_few_documents_runs_of_passages_are_held_out() -> None:
    parts = split(pairs(2, 300))
    assert 0.5 * HELD_OUT < len(parts.held_out) / 600 < 1.5 * HELD_OUT
    assert len(parts.held_out) + len(parts.training) == 600
