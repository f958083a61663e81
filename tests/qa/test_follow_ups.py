from __future__ import annotations

import pytest

from qa.follow_ups import asks_nothing, is_follow_up, leant_on
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


@pytest.mark.parametrize(
    "said",
    [
        "thanks", "Thank you very much!", "OK, got it. Thanks a lot", "...", "👍", "Great!",
        "hello", "谢谢", "好的，谢谢您！", "明白了", "非常感谢", "你好", "ok，谢谢",
    ],
)  # fmt: skip
def test_a_courtesy_asks_nothing(said: str) -> None:
    assert asks_nothing(said)


@pytest.mark.parametrize(
    "said",
    [
        "How high?", "winter", "Why?", "yes", "no", "OK, and in winter?", "Thanks. How high?",
        "Goods", "okra", "上海", "最长多久？", "好处", "谢谢，那上海呢？", "为什么", "了解更多",
    ],
)  # fmt: skip
def test_other_turns_ask_something(said: str) -> None:
    assert not asks_nothing(said)


def test_what_was_said_out_of_courtesy_is_not_leant_on() -> None:
    asked = ["What is the capital of France?", "Thanks!"]
    history = [Message("user", question) for question in asked]
    assert leant_on("And of Spain?", history) == (asked[0],)
