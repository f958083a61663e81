from __future__ import annotations

import pytest

from qa.follow_ups import is_follow_up, leant_on
from qa.turn import Message


@pytest.mark.parametrize(
    "question",
    [
        "And in winter?",
        "How high?",
        "What about part-timers?",
        "But what does the warranty cover?",
        "When does it expire?",
        "Is that allowed abroad?",
        "When do I pay?",
        "How much is the other one?",
        "那上海呢？",
        "最长多久？",
        "它的重量是多少？",
        "这种情况由谁批准？",
        "为什么要这么做？",
    ],
)
def test_leans_on_another(question: str) -> None:
    assert is_follow_up(question)


@pytest.mark.parametrize(
    "question",
    [
        "What is the capital of France?",
        "How many days of annual leave do employees get?",
        "Which documents prove how old I am?",
        "What does alarm E-17 mean?",
        "流明云的专业版可以免费试用多少天？",
        "出差住宿费的上限是多少？",
        "LS-200 的重量是多少？",
        "应该向谁报告其他事故？",
        "What is SNV?",
        "Who is Astrid?",
        "SNV 是什么？",
    ],
)
def test_stands_for_itself(question: str) -> None:
    assert not is_follow_up(question)


def test_leans_on_all_questions_back_to_one_that_stands_for_itself() -> None:
    asked = ["What is the capital of France?", "Who is Mina Saito?", "What is her phone number?"]
    history = [Message("user", question) for question in asked]

    assert leant_on("And to whom does she report?", history) == tuple(asked[1:])


def test_a_new_topic_leans_on_none() -> None:
    history = [Message("user", "Who is Mina Saito?"), Message("user", "And her phone number?")]

    assert leant_on("What does alarm E-17 mean?", history) == ()
