from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from ingest.documents import Document
from qa.citing.support import SUPPORTED
from qa.extracting.tables import read_row
from qa.knowledge_base import KnowledgeBase
from qa.plugins.check_support import check_support
from qa.plugins.cite_sources import citation_of, cite_sources
from qa.turn import Turn
from tests.fakes import HashEmbedder
from tests.qa.conftest import OpenLibrary
from tests.qa.test_cite_sources import DOCUMENTS, HITS
from tests.qa.test_plugins import Model, hit, saying

QUESTION = "How many days of annual leave do I have?"


def checked(text: str, embedder: HashEmbedder | None = None) -> list[bool | None]:
    plugin = check_support(embedder or HashEmbedder())
    cited = cite_sources(DOCUMENTS.get)
    turn = plugin(Turn("?", hits=HITS), lambda turn: cited(turn, saying(text)))
    assert all(0 <= (said.support or 0.0) <= 1 for said in turn.statements)
    return [said.supported for said in turn.statements]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It was built in 1889 [1]. It was built in 1890 [1].", [True, False]),
        ("It was not built in 1889 [1].", [False]),
        ("The tower stands in Lyon [1]. The tower stands in Paris.", [False, True]),
        ("The plan Plus costs €19 [3]. The plan Basic costs €19 [3].", [True, False]),
        ("密封件的寿命为三年[2]。密封件的寿命为两年[2]。", [False, True]),
        ("Cats sleep. Cats sleep [1].", [False, False]),
        ("It was built in 1889 [1][2]. Here it is:", [True]),
        ("铁塔建于1889年[1]。铁塔建于1899年[1]。", [None, False]),  # of another language
    ],
)
def test_statements_are_told_apart(text: str, expected: list[bool]) -> None:
    assert checked(text) == expected


def test_the_embedder_is_asked_only_in_doubt() -> None:
    embedder = HashEmbedder()
    checked("It was built in 1889 [1]. It was built in 1890 [1]. Cats sleep [2].", embedder)
    assert embedder.embedded == 0
    checked("The iron tower stands by a big river [1].", embedder)
    assert embedder.embedded == 2


def test_an_extractive_answer_is_supported(kb: KnowledgeBase) -> None:
    for question in (QUESTION, "备用密封件多少钱？", "What does alarm E-17 mean?"):
        answer = kb.ask(question)
        assert answer.statements
        for said in answer.statements:
            assert said.supported
            assert said.support is not None
            assert said.support >= SUPPORTED
            assert set(said.citations) <= set(answer.citations)


def quoted(text: str, quote: str, document: Document, question: str = "Which board?") -> Turn:
    """A turn whose model answers with a quote, checked."""
    found = hit(document)
    citation = citation_of(1, found, *span_of(document.text, quote))
    model = lambda turn: replace(turn, text=text, citations=(citation,))  # noqa: E731
    cited = cite_sources({document.uri: document}.get)
    return check_support(HashEmbedder())(Turn(question, hits=(found,)), lambda t: cited(t, model))


def span_of(text: str, quote: str) -> tuple[int, int]:
    start = text.index(quote)
    return start, start + len(quote)


TABLE = "| Part | Name | Price |\n|---|---|---|\n| BX-3 | Board rev. C | 141.50 |\n"
PARTS = Document.from_text(TABLE, uri="parts.md")
LINES = Document.from_text("可以。\n\n- Open it\n- Close it", uri="lines.md")


@pytest.mark.parametrize(
    ("text", "quote", "document", "expected"),
    [
        ("BX-3 — Name: Board rev. C — Price: 141.50 [1]", "| BX-3 | Board rev. C | 141.50 |",
         PARTS, [True]),
        ("BX-3 — Name: Board — Price: 199.00 [1]", "| BX-3 | Board rev. C | 141.50 |",
         PARTS, [False]),
        ("可以。 [1]", "可以。", LINES, [True]),
        ("- Open it\n- Close it [1]", "- Open it\n- Close it", LINES, [True, True]),
    ],
)  # fmt: skip
def test_a_quote_is_supported_and_a_row_as_its_cells(
    text: str, quote: str, document: Document, expected: list[bool]
) -> None:
    turn = quoted(text, quote, document)
    assert [said.supported for said in turn.statements] == expected
    assert not turn.doubtful


@pytest.mark.parametrize(
    ("question", "doubtful"),
    [
        ("What is the price of BX-3?", False),
        ("What is the price of BX-4?", True),
        ("What did the board cost in 2021?", True),
        ("Where is the aquarium?", True),  # the row shares no word with that
    ],
)
def test_an_answer_about_another_thing_is_doubtful(question: str, doubtful: bool) -> None:
    row = "| BX-3 | Board rev. C | 141.50 |"
    text = read_row(row, TABLE.partition("\n")[0], question)
    assert quoted(f"{text} [1]", row, PARTS, question).doubtful is doubtful


def test_the_words_of_an_llm_are_no_quote() -> None:
    cited = cite_sources({PARTS.uri: PARTS}.get)
    asked = Turn("Where is the aquarium?", hits=(hit(PARTS),))
    plugin = check_support(HashEmbedder())
    assert not plugin(asked, lambda turn: cited(turn, saying("BX-3 costs 141.50 [1]."))).doubtful
    asked = replace(asked, question="What was the price in 2021?")
    assert plugin(asked, lambda turn: cited(turn, saying("BX-3 costs 141.50 [1]."))).doubtful


@pytest.mark.parametrize("stream", [False, True])
def test_in_a_base(open_library: OpenLibrary, stream: bool) -> None:
    text = "You have 25 days of annual leave. A hotel may cost 200 euros a night [1]."
    tokens: list[str] = []
    on_token: Callable[[str], None] | None = tokens.append if stream else None
    answer = open_library(model=Model(lambda messages: text)).ask(QUESTION, on_token)
    assert [said.supported for said in answer.statements] == [True, False]
    assert answer.text.startswith("You have 25 days of annual leave [1]. A hotel")
    assert not stream or "".join(tokens) == answer.text


def test_a_refusal_states_nothing(kb: KnowledgeBase) -> None:
    answer = kb.ask("Who won the football World Cup in 1998?")
    assert (answer.abstained, answer.statements) == (True, ())
