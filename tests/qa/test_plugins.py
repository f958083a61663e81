"""Each layer by itself around a fake handler, then all of them in a base."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.documents import Chunk, Document
from ingest.errors import BadRequest
from qa.images import Image
from qa.knowledge_base import KnowledgeBase
from qa.language import NOT_ANSWERED
from qa.models import Reply
from qa.plugins.build_prompt import HISTORY_MESSAGES, build_prompt, sources_of
from qa.plugins.cite_sources import cite, cite_sources
from qa.plugins.rewrite_query import rewrite_query
from qa.plugins.trace import trace
from qa.settings import DEFAULT_PLUGINS, load_settings
from qa.tokens import estimate_tokens
from qa.turn import Handler, Message, Turn
from retrieval.hits import Hit
from tests.qa.conftest import HANDBOOK, OpenLibrary

TEXT = "The tower stands in Paris. It was built in 1889. It is 330 m high."
DOCUMENT = Document.from_text(TEXT, uri="tower.txt", title="Tower")


def hit(document: Document = DOCUMENT, start: int = 0, end: int | None = None,
        score: float = 0.9) -> Hit:  # fmt: skip
    end = len(document.text) if end is None else end
    text = document.text[start:end]
    return Hit(Chunk(document.id, document.uri, document.title, start, end, text), score)


def passes(turn: Turn) -> Turn:
    """A handler that changes nothing."""
    return turn


def saying(*tokens: str) -> Handler:
    """A handler like a model: streams its tokens and returns them joined."""

    def handler(turn: Turn) -> Turn:
        for token in tokens:
            if turn.on_token:
                turn.on_token(token)
        return replace(turn, text="".join(tokens))

    return handler


def never(turn: Turn) -> Turn:
    raise AssertionError("the next layer must not be called")


class Model:
    """A `ChatModel` that answers with a function of the prompt, in tokens of two characters."""

    name = "test:model"

    def __init__(self, answer: Callable[[Sequence[Message]], str]) -> None:
        self._answer = answer

    def generate(
        self, messages: Sequence[Message], *, on_token: Callable[[str], None] | None = None
    ) -> Reply:
        text = self._answer(messages)
        for start in range(0, len(text), 2):
            if on_token:
                on_token(text[start : start + 2])
        return Reply(text)


# --- rewrite_query, retrieve, trace ---


def test_a_first_question_is_looked_up_as_it_is() -> None:
    assert rewrite_query()(Turn("How high?"), passes).query == "How high?"


def test_a_further_question_is_looked_up_with_the_one_before() -> None:
    history = (
        Message("user", "Oldest"),
        Message("assistant", "It is old"),
        Message("user", "Where is the Eiffel tower?"),
        Message("assistant", "In Paris [1]"),
    )
    turn = rewrite_query()(Turn("How high?", history=history), passes)
    assert turn.query == "Where is the Eiffel tower? How high?"
    assert turn.question == "How high?"


def test_a_query_that_a_plugin_has_set_stays() -> None:
    assert rewrite_query()(Turn("How high?", query="tower height"), passes).query == "tower height"


def test_what_asks_nothing_is_not_looked_up() -> None:
    told: list[str] = []
    history = (Message("user", "Where is the Eiffel tower?"), Message("assistant", "In Paris [1]"))
    turn = Turn("谢谢！", history=history, on_token=told.append)

    def called(turn: Turn) -> Turn:
        raise AssertionError

    answered = rewrite_query()(turn, called)
    assert answered.text == "".join(told) == "您还想了解什么？"
    assert not answered.abstained
    pictured = replace(turn, images=(Image("a.png", "image/png", b""),))
    assert rewrite_query()(pictured, passes).text == ""
    assert rewrite_query()(replace(turn, history=()), passes).query == "谢谢！"
    asked = rewrite_query(Model(lambda messages: "谢谢"))(turn, passes)
    assert asked.text == ""


def test_trace_counts_all_inside_it() -> None:
    turn = trace(Turn("q", timings={"embed": 0.5}), passes)
    assert set(turn.timings) == {"embed", "total"}
    assert turn.timings["total"] >= 0


# --- build_prompt ---


def prompt_of(turn: Turn, budget: int = 3000) -> Turn:
    return build_prompt(budget=budget)(turn, passes)


def test_a_prompt_numbers_its_sources_and_ends_with_the_question() -> None:
    turn = prompt_of(Turn("How high?", hits=(hit(end=26), hit(start=27))))
    assert [message.role for message in turn.prompt] == ["system", "user"]
    user = turn.prompt[-1].content
    assert "[1] Tower (tower.txt)\nThe tower stands in Paris." in user
    assert "[2] Tower (tower.txt)\nIt was built in 1889." in user
    assert user.endswith("Question: How high?")
    assert "NO_ANSWER" in turn.prompt[0].content


def test_a_prompt_is_in_the_language_of_the_question() -> None:
    turn = prompt_of(Turn("多高？", hits=(hit(),)))
    assert turn.prompt[-1].content.endswith("问题：多高？")
    assert "用中文" in turn.prompt[0].content


def test_a_prompt_shows_pages_and_survives_braces() -> None:
    paged = hit()
    paged = replace(paged, chunk=replace(paged.chunk, page=3, text="use {question} and {sources}"))
    turn = prompt_of(Turn("what is {sources}?", hits=(paged,)))
    user = turn.prompt[-1].content
    assert "[1] Tower (tower.txt, p. 3)\nuse {question} and {sources}" in user
    assert user.endswith("Question: what is {sources}?")
    assert user.count("[1]") == 1
    assert user.count("what is") == 1


def test_a_prompt_shows_the_context_and_leaves_out_what_is_omitted() -> None:
    chunk = replace(
        hit().chunk,
        text="bolt,2\nPage 7\nnut,1",
        context="item,price",
        omitted=((7, 14),),
        cells="A2:B3",
    )
    user = prompt_of(Turn("q", hits=(replace(hit(), chunk=chunk),))).prompt[-1].content
    assert "(tower.txt, A2:B3)\nitem,price\nbolt,2\nnut,1" in user


def test_a_prompt_holds_the_last_exchanges() -> None:
    history = tuple(
        Message("user" if n % 2 == 0 else "assistant", str(n)) for n in range(HISTORY_MESSAGES + 4)
    )
    turn = prompt_of(Turn("q", history=history, hits=(hit(),)))
    assert turn.prompt[1:-1] == history[-HISTORY_MESSAGES:]
    assert turn.prompt[0].role == "system"


PASSAGES = st.lists(st.text("ab 水泵。", min_size=1, max_size=200), min_size=1, max_size=12)


@given(PASSAGES, st.integers(100, 400))
def test_sources_stay_within_the_budget(texts: list[str], budget: int) -> None:
    hits = tuple(hit(Document.from_text(text, uri=f"{n}.txt")) for n, text in enumerate(texts))
    kept = prompt_of(Turn("q", hits=hits), budget).hits
    assert kept == hits[: len(kept)]
    assert len(kept) >= 1
    sizes = [estimate_tokens(source) for source in sources_of(hits)]
    used = sum(sizes[: len(kept)])
    assert used <= budget or len(kept) == 1
    if len(kept) < len(hits):
        assert used + sizes[len(kept)] > budget


def test_the_best_hit_is_there_even_if_it_is_too_long() -> None:
    long = Document.from_text("word " * 2000, uri="long.txt")
    turn = prompt_of(Turn("q", hits=(hit(long), hit())), 100)
    assert [h.uri for h in turn.hits] == ["long.txt"]
    assert "word word" in turn.prompt[-1].content


def test_tokens_of_chinese_count_one_by_one() -> None:
    assert estimate_tokens("水泵手册") == 4
    assert estimate_tokens("a" * 8) == 2
    assert estimate_tokens("") == 0


# --- cite_sources ---


def cited(*tokens: str, hits: tuple[Hit, ...] = (), streamed: bool = False) -> tuple[Turn, str]:
    seen: list[str] = []
    plugin = cite_sources({DOCUMENT.uri: DOCUMENT}.get)
    turn = Turn("Where?", hits=hits or (hit(),), on_token=seen.append if streamed else None)
    return plugin(turn, saying(*tokens)), "".join(seen)


def test_a_mark_becomes_the_sentence_that_it_rests_on() -> None:
    turn, _ = cited("It was built in the year 1889 [1].")
    (citation,) = turn.citations
    assert citation.quote == "It was built in 1889."
    assert citation.quote == TEXT[citation.start : citation.end]
    assert (citation.number, citation.uri, citation.title) == (1, "tower.txt", "Tower")
    assert citation.verified


def test_offsets_are_those_of_the_document_not_of_the_passage() -> None:
    turn, _ = cited("330 m [1].", hits=(hit(start=27),))
    (citation,) = turn.citations
    assert (citation.start, citation.end) == (TEXT.index("It is"), len(TEXT))
    assert citation.verified


def test_several_citations_each_once_in_order_of_their_mark() -> None:
    hits = (hit(end=26), hit(start=27))
    turn, _ = cited("Built in 1889 [2]. In Paris [1][2].", hits=hits)
    assert [citation.number for citation in turn.citations] == [2, 1]
    assert [citation.quote for citation in turn.citations] == [
        "It was built in 1889.",
        "The tower stands in Paris.",
    ]


def test_an_answer_that_an_inner_plugin_kept_to_itself_is_passed_on_once() -> None:
    seen: list[str] = []
    turn = Turn("?", hits=(hit(),), on_token=seen.append)
    inner = saying("It is in Paris [1].")
    turn = cite_sources({"tower.txt": DOCUMENT}.get)(
        turn, lambda t: inner(replace(t, on_token=None))
    )
    assert "".join(seen) == turn.text == "It is in Paris [1]."
    assert [citation.number for citation in turn.citations] == [1]


def test_invented_numbers_vanish_and_cite_nothing() -> None:
    turn, _ = cited("In Paris [1], not Lyon [7].")
    assert turn.text == "In Paris [1], not Lyon."
    assert len(turn.citations) == 1


def test_an_answer_that_no_source_supports_has_no_citations() -> None:
    turn, _ = cited("In Lyon.")
    assert (turn.text, turn.citations, turn.abstained) == ("In Lyon.", (), False)


@pytest.mark.parametrize(
    "tokens", [["In Paris [1, 9]."], list("In Paris [1, 9]."), ["In Paris [1", ", 9]."]]
)
def test_streaming_gives_the_same_answer(tokens: list[str]) -> None:
    whole, _ = cited("In Paris [1, 9].")
    turn, seen = cited(*tokens, streamed=True)
    assert seen == turn.text == whole.text == "In Paris [1]."
    assert turn.citations == whole.citations


@pytest.mark.parametrize("tokens", [["NO_ANSWER"], ["NO", "_ANS", "WER"], ["", "  "], []])
@pytest.mark.parametrize("streamed", [False, True])
def test_no_answer_becomes_a_refusal(tokens: list[str], streamed: bool) -> None:
    turn, seen = cited(*tokens, streamed=streamed)
    assert turn.abstained
    assert turn.text == NOT_ANSWERED["en"]
    assert turn.citations == ()
    assert seen == (NOT_ANSWERED["en"] if streamed else "")


def test_a_vanished_document_leaves_its_citation_unverified() -> None:
    plugin = cite_sources(lambda uri: None)
    turn = plugin(Turn("Where?", hits=(hit(),)), saying("In Paris [1]."))
    assert [citation.verified for citation in turn.citations] == [False]


def test_a_changed_document_leaves_its_citation_unverified() -> None:
    changed = Document.from_text(f"Once upon a time. {TEXT}", uri=DOCUMENT.uri)
    turn = cite_sources(lambda uri: changed)(Turn("q", hits=(hit(),)), saying("In Paris [1]."))
    assert [citation.verified for citation in turn.citations] == [False]


def test_a_passage_without_sentences_is_cited_whole() -> None:
    table = Document.from_text("# Heading", uri="t.md")
    citation = cite(1, hit(table), "heading")
    assert (citation.start, citation.end, citation.quote) == (0, 9, "# Heading")


def test_citations_that_are_there_already_are_only_checked() -> None:
    def answered(turn: Turn) -> Turn:
        return replace(turn, text="Paris [1]", citations=(cite(1, turn.hits[0], "Paris"),))

    turn = cite_sources({DOCUMENT.uri: DOCUMENT}.get)(Turn("q", hits=(hit(),)), answered)
    assert [citation.verified for citation in turn.citations] == [True]


# --- in a base ---


QUESTION = "How many days of annual leave do I have?"


def test_a_model_answers_from_numbered_sources(open_library: OpenLibrary) -> None:
    prompts: list[Sequence[Message]] = []

    def answer(messages: Sequence[Message]) -> str:
        prompts.append(messages)
        return "You have 25 days [1]. Nothing else is true [44]."

    tokens: list[str] = []
    answered = open_library(model=Model(answer)).ask(QUESTION, tokens.append)
    assert answered.text == "".join(tokens) == "You have 25 days [1]. Nothing else is true."
    assert answered.model == "test:model"
    (citation,) = answered.citations
    assert citation.verified
    assert citation.quote == "Every employee has 25 days of annual leave a year."
    assert citation.quote == HANDBOOK[citation.start : citation.end]
    assert citation.heading == ("Staff handbook", "Leave")
    assert re.search(r"\[1\] <<< [a-z]{16}\nStaff handbook", prompts[0][-1].content)


def test_history_reaches_query_and_prompt(open_library: OpenLibrary) -> None:
    prompts: list[Sequence[Message]] = []

    def answer(messages: Sequence[Message]) -> str:
        prompts.append(messages)
        return "At 31 March [1]."

    history = [Message("user", QUESTION), Message("assistant", "25 days [1]")]
    answered = open_library(model=Model(answer)).ask("And when does it expire?", history=history)
    assert answered.hits[0].uri == "handbook.md"
    assert [message.content for message in prompts[-1][1:3]] == [m.content for m in history]
    assert QUESTION in prompts[0][0].content  # the follow-up is written out before


def test_a_page_is_that_of_the_sentence(open_library: OpenLibrary) -> None:
    kb = open_library(model=Model(lambda messages: "The door is open [1]."))
    answered = kb.ask("What does alarm E-17 mean?")
    (citation,) = answered.citations
    assert (citation.uri, citation.page) == ("furnace.pdf", 2)
    document = kb.document("furnace.pdf")
    assert citation.quote == document.text[citation.start : citation.end]
    assert "E-17 means that the door is open" in citation.quote


def test_a_document_removed_while_the_model_writes_is_not_verified(
    open_library: OpenLibrary,
) -> None:
    bases: list[KnowledgeBase] = []

    def answer(messages: Sequence[Message]) -> str:
        bases[0].remove("handbook.md")
        return "You have 25 days [1]."

    bases.append(open_library(model=Model(answer)))
    answered = bases[0].ask(QUESTION)
    assert [citation.verified for citation in answered.citations] == [False]
    assert "handbook.md" not in {hit.uri for hit in bases[0].search("annual leave")}


def shouts(turn: Turn, call_next: Handler) -> Turn:
    """Edits the answer, and so takes no tokens through."""
    on_token = turn.on_token
    turn = call_next(replace(turn, on_token=None))
    text = turn.text.upper()
    if on_token:
        on_token(text)
    return replace(turn, text=text, on_token=on_token)


def test_plugins_of_the_user_stand_around_ours(open_library: OpenLibrary) -> None:
    tokens: list[str] = []
    kb = open_library(model=Model(lambda messages: "You have 25 days [1]."), plugins=[shouts])
    answered = kb.ask(QUESTION, tokens.append)
    assert answered.text == "".join(tokens) == "YOU HAVE 25 DAYS [1]."
    assert answered.citations[0].verified


def test_a_list_with_our_names_is_the_whole_chain(open_library: OpenLibrary) -> None:
    seen: list[str] = []

    def peeks(turn: Turn, call_next: Handler) -> Turn:
        seen.append(f"{len(turn.hits)} hits, {len(turn.prompt)} messages")
        return call_next(turn)

    kb = open_library(
        model=Model(lambda messages: "25 days [1]."),
        plugins=["retrieve", peeks, "build_prompt", peeks, "cite_sources"],
    )
    answered = kb.ask(QUESTION)
    assert seen[0].endswith(" hits, 0 messages")
    assert seen[1].endswith(" hits, 2 messages")
    assert "total" not in answered.timings
    assert answered.citations[0].verified


def test_a_plugin_that_answers_itself_needs_no_model(open_library: OpenLibrary) -> None:
    def from_cache(turn: Turn, call_next: Handler) -> Turn:
        return replace(turn, text="cached")

    kb = open_library(plugins=[from_cache])
    assert kb.ask("anything").text == "cached"


def test_no_plugins_is_the_default_chain(open_library: OpenLibrary) -> None:
    answered = open_library(plugins=[]).ask(QUESTION)
    assert answered.citations[0].verified
    assert "total" in answered.timings


def test_an_unknown_plugin_is_told_with_the_known_ones(open_library: OpenLibrary) -> None:
    with pytest.raises(BadRequest, match="no plugin 'retrive': did you mean 'retrieve'") as caught:
        open_library(plugins=["retrive"])
    assert all(name in str(caught.value) for name in DEFAULT_PLUGINS)


def test_the_chain_is_a_setting(open_library: OpenLibrary) -> None:
    settings = load_settings(plugins=["retrieve", "build_prompt", "cite_sources"])
    answered = open_library(settings=settings).ask("Which team won the World Cup?")
    assert not answered.abstained  # without require_evidence it says what it has
