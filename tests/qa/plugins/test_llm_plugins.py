"""What plugins ask the LLM on the side: through a real server, in a real base."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from qa.asking import merged, questions_in
from qa.settings import Cost, load_settings
from qa.turn import Message
from tests.contracts.plugin_contract import HIT
from tests.qa.conftest import OpenLibrary
from tests.qa.test_plugins import Model
from tests.scripted_server import USAGE, ScriptedServer, status

pytestmark = pytest.mark.integration

BUILT = ["require_evidence", "build_prompt", "cite_sources"]
Messages = Sequence[Mapping[str, str]]
Asked = Callable[..., tuple[Any, list[str]]]


@pytest.fixture
def asked(open_library: OpenLibrary) -> Asked:
    """(answer, last message of each request) of a question in a chain with `plugins`."""

    def ask(
        question: str, replies: Mapping[str, str], *plugins: str, history: Sequence[Message] = ()
    ) -> tuple[Any, list[str]]:
        def answer(messages: Messages) -> str:
            prompt = messages[-1]["content"]
            return next((reply for begin, reply in replies.items() if begin in prompt), "Yes [1].")

        with ScriptedServer(answer) as server:
            settings = load_settings(
                model=["openai:m"],
                base_url=server.base_url,
                api_key="k",
                prices={"openai:m": Cost(input=1, output=2)},
            )
            base = open_library(settings=settings, plugins=list(plugins))
            found = base.ask(question, history=history)
            base.close()
            return found, [r.body["messages"][-1]["content"] for r in server.requests]

    return ask


def test_a_follow_up_is_written_out(asked: Asked) -> None:
    history = [Message("user", "How many days of annual leave?"), Message("assistant", "25 [1]")]
    replies = {"further question": 'Question: "When does annual leave expire?"\n'}
    answer, prompts = asked(
        "When does it expire?", replies, "rewrite_query", "retrieve", *BUILT, history=history
    )
    assert "user: How many days of annual leave?\nassistant: 25 [1]" in prompts[0]
    assert answer.hits[0].uri == "handbook.md"
    assert prompts[1].endswith("Question: When does it expire?")
    assert answer.usage["prompt_tokens"] == 2 * USAGE["prompt_tokens"]
    assert answer.cost == pytest.approx(2 * (12 * 1 + 3 * 2) / 1e6)
    assert answer.timings["rewrite_query"] > 0


def test_a_first_question_asks_nobody(asked: Asked) -> None:
    _, prompts = asked("How many days of leave?", {}, "rewrite_query", "retrieve", *BUILT)
    assert len(prompts) == 1


@pytest.mark.parametrize(
    ("plugin", "reply"),
    [
        ("multi_query", "1. How much annual leave does an employee have?\n2. Holidays a year?"),
        ("hyde", "Every employee has 30 days of annual leave a year."),
        ("decompose", "- How many days of annual leave are there?\n- What may a hotel cost?"),
    ],
)
def test_further_searches_find_what_the_question_does_not(
    asked: Asked, plugin: str, reply: str
) -> None:
    question = "Vacation entitlement?"
    before, _ = asked(question, {}, "retrieve", "build_prompt")
    answer, prompts = asked(question, {question: reply}, "retrieve", plugin, "build_prompt")
    assert len(prompts) == 2
    assert question in prompts[0]
    assert answer.hits[0].uri == "handbook.md"
    assert answer.hits[0].score > before.hits[0].score
    scores = [hit.score for hit in answer.hits]
    assert scores == sorted(scores, reverse=True)
    assert len({(hit.uri, hit.chunk.start) for hit in answer.hits}) == len(scores)


def test_a_model_that_is_gone_costs_a_note(open_library: OpenLibrary) -> None:
    with ScriptedServer(script=[status(401)]) as server:
        settings = load_settings(model=["openai:m"], base_url=server.base_url, api_key="k")
        base = open_library(settings=settings, plugins=["retrieve", "hyde", *BUILT])
        answer = base.ask("How many days of annual leave are there?")
        base.close()
    assert answer.text == "Paris [1]"
    assert answer.notes[0].startswith("hyde: ")


def test_an_answer_in_another_language_is_translated(open_library: OpenLibrary) -> None:
    def answer(messages: Sequence[Message]) -> str:
        if "-----" in messages[-1].content:
            return "密封件的寿命为两年 [1]，不是三年 [9]。"
        return "The seal of the pump lasts for two years and not for three [1]."

    tokens: list[str] = []
    plugins = ["retrieve", "build_prompt", "cite_sources", "translate_answer"]
    base = open_library(model=Model(answer), plugins=plugins)
    answered = base.ask("水泵密封件的寿命多长？", tokens.append)
    assert answered.text == "".join(tokens) == "密封件的寿命为两年 [1]，不是三年。"
    assert [citation.number for citation in answered.citations] == [1]
    assert answered.citations[0].verified


def test_an_answer_in_the_same_language_streams_through(open_library: OpenLibrary) -> None:
    asked: list[int] = []

    def answer(messages: Sequence[Message]) -> str:
        asked.append(len(messages))
        return "You have 25 days of annual leave a year, 见员工手册 [1]."

    tokens: list[str] = []
    base = open_library(
        model=Model(answer), plugins=["retrieve", "build_prompt", "translate_answer"]
    )
    answered = base.ask("How many days of leave?", tokens.append)
    assert "".join(tokens) == answered.text
    assert len(tokens) > 5
    assert len(asked) == 1


def test_lines_of_a_reply_are_questions() -> None:
    reply = '1. How?\n\n- "Why?"\n• How?\n（3）为什么？\n2.0 or "3. 1"?\nWhen?'
    assert questions_in(reply, most=4) == ["How?", "Why?", "为什么？", '2.0 or "3. 1"?']
    assert questions_in("", most=3) == []


def test_searches_take_turns() -> None:
    def hit(start: int, score: float) -> Any:
        return replace(HIT, chunk=replace(HIT.chunk, start=start), score=score)

    first = [hit(0, 0.9), hit(1, 0.8), hit(2, 0.7)]
    second = [hit(5, 0.3), hit(0, 0.95)]
    assert [(h.chunk.start, h.score) for h in merged([first, second], 3)] == [
        (0, 0.95), (1, 0.8), (5, 0.3),
    ]  # fmt: skip
    assert merged([[], []], 3) == ()
