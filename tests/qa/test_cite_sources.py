"""Citations statement by statement: what is quoted, what is added, what holds for any answer."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.documents import Document, Page
from qa.citing.marks import mark_numbers
from qa.plugins.cite_sources import cite, cite_sources
from qa.turn import Turn
from tests.qa.test_plugins import hit, saying

TOWER = Document.from_text(
    "The tower stands in Paris. It was built in 1889. It is 330 m high.", uri="tower.txt"
)
PUMP = Document.from_text("水泵每运行五百小时需要加注润滑油。密封件的寿命为两年。", uri="泵.txt")
PRICES = Document.from_text(
    "# Prices\n\n| Plan | Price |\n|---|---|\n| Basic | €9 |\n| Plus | €19 |\n", uri="prices.md"
)
DOCUMENTS = {document.uri: document for document in (TOWER, PUMP, PRICES)}
HITS = tuple(hit(document) for document in DOCUMENTS.values())


def answered(*tokens: str) -> tuple[Turn, str]:
    seen: list[str] = []
    turn = Turn("Where?", hits=HITS, on_token=seen.append)
    return cite_sources(DOCUMENTS.get)(turn, saying(*tokens)), "".join(seen)


def quotes(*tokens: str) -> list[list[tuple[int, str]]]:
    turn, _ = answered(*tokens)
    return [[(c.number, c.quote) for c in said.citations] for said in turn.statements]


def test_each_statement_has_the_words_that_it_rests_on() -> None:
    assert quotes("It stands in Paris [1]. It was built in 1889 [1]. 密封件可用两年[2]。") == [
        [(1, "The tower stands in Paris.")],
        [(1, "It was built in 1889.")],
        [(2, "密封件的寿命为两年。")],
    ]


def test_a_statement_of_two_sentences_quotes_both() -> None:
    (said,) = quotes("It was built in 1889 and is 330 m high [1].")
    assert said == [(1, "It was built in 1889. It is 330 m high.")]


def test_a_statement_in_another_language_quotes_the_sentence_with_its_facts() -> None:
    assert quotes("铁塔高330米[1]。") == [[(1, "It is 330 m high.")]]


def test_a_statement_on_a_table_quotes_its_row() -> None:
    assert quotes("The plan Plus has a price of €19 [3].") == [[(3, "| Plus | €19 |")]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It was built in 1889.", "It was built in 1889 [1]."),
        ("密封件寿命为两年。", "密封件寿命为两年[2]。"),
        ("- It was built in 1889\n- It is green", "- It was built in 1889 [1]\n- It is green"),
        ("It was built in 1889 [2].", "It was built in 1889 [1]."),  # a wrong mark
        ("It was built in 1890.", "It was built in 1890."),
        ("It was built in 1890 [1].", "It was built in 1890 [1]."),
        ("The answer is as follows:\nIt was built in 1889.",
         "The answer is as follows:\nIt was built in 1889 [1]."),
        ("```\nIt was built in 1889.\n```\n", "```\nIt was built in 1889.\n```\n"),
        ("It was built in 1889. [1](http://a)", "It was built in 1889 [1]. [1](http://a)"),
    ],
)  # fmt: skip
def test_marks_are_added_where_a_source_supports_a_statement(text: str, expected: str) -> None:
    turn, seen = answered(*text)
    assert seen == turn.text == expected


def test_a_mark_that_stands_alone_belongs_to_what_is_before_it() -> None:
    turn, _ = answered("It was built in 1889.\n[1]")
    assert {citation.quote for citation in turn.citations} == {"It was built in 1889."}


def test_text_is_passed_on_at_once() -> None:
    seen: list[str] = []

    def watched(turn: Turn) -> Turn:
        assert turn.on_token
        for token in ("It was", " built in 1889", ".", " And"):
            turn.on_token(token)
        assert "".join(seen) == "It was built in 1889 [1]. And"
        return saying()(turn)

    cite_sources(DOCUMENTS.get)(Turn("?", hits=HITS, on_token=seen.append), watched)


def test_the_page_is_that_of_the_quote() -> None:
    text = "The furnace heats. The door is open."
    pages = (Page(1, 0, 19), Page(2, 19, len(text)))
    document = Document("f.pdf", "0" * 64, text, pages=pages)
    turn = cite_sources({"f.pdf": document}.get)(
        Turn("?", hits=(hit(document),)), saying("The door is open [1].")
    )
    assert [citation.page for citation in turn.citations] == [2]


PARTS = st.sampled_from(
    ["It stands in Paris", "It was built in 1889", "built in 1890", "密封件的寿命为两年",
     "Plus €19", ".", ". ", "。", " [1]", "[2]", "【3】", "[1, 2]", "[1-3]", "[9]", "\n",
     "- ", "```", "`", " ", "**", ":", "1. ", "[1](http://a)"]
)  # fmt: skip


@settings(max_examples=40)
@given(st.lists(PARTS, max_size=14).map("".join), st.sets(st.integers(0, 120), max_size=12))
def test_what_holds_for_any_answer(text: str, places: set[int]) -> None:
    bounds = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    turn, seen = answered(*(text[a:b] for a, b in pairwise(bounds)))
    assert seen == turn.text
    assert turn.text == answered(text)[0].text
    numbers = {number for number, _ in mark_numbers(turn.text)}
    assert numbers == {citation.number for citation in turn.citations}
    for citation in turn.citations:
        assert citation.verified
        assert citation.quote == DOCUMENTS[citation.uri].text[citation.start : citation.end]
    for said in turn.statements:
        shown = turn.text[said.start : said.end]
        assert set(said.citations) <= set(turn.citations)
        assert {c.number for c in said.citations} == {n for n, _ in mark_numbers(shown)}


def test_a_passage_without_sentences_is_cited_whole() -> None:
    heading = Document.from_text("# Heading", uri="t.md")
    citation = cite(1, hit(heading), "heading")
    assert (citation.start, citation.end, citation.quote) == (0, 9, "# Heading")
