from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qa.evaluation.answers import exact_match, score_answer, token_f1
from qa.evaluation.targets import Aim, Target
from qa.turn import Answer, Citation, Statement
from tests.qa.evaluation.test_targets import asked


def said(text: str, *places: tuple[str, int, int], abstained: bool = False) -> Answer:
    citations = tuple(
        Citation(number, uri, None, start, end, "the quote says 25 days", True)
        for number, (uri, start, end) in enumerate(places, 1)
    )
    return Answer(text, citations, (), abstained, "extractive", {}, {})


@pytest.mark.parametrize(
    ("text", "expected", "same"),
    [
        ("The 25 days. [1]", "25 days", 1),
        ("25 Days", "25 days!", 1),
        ("36 个月。", "36个月", 1),
        ("E-17, «d'Azur»", "e17 dazur", 1),
        ("1,200 mm", "1200 mm", 1),
        ("3：2", "3:2", 1),
        ("26 days", "25 days", 0),
        ("", "25 days", 0),
    ],
)
def test_exact_match(text: str, expected: str, same: float) -> None:
    assert exact_match(text, expected) == same


def test_f1_by_words_and_by_characters() -> None:
    assert token_f1("you have 25 days", "25 days") == pytest.approx(2 / 3)
    assert token_f1("保修三年", "三年") == pytest.approx(2 * 0.5 / 1.5)
    assert token_f1("nothing", "25 days") == 0
    assert token_f1("", "") == 1


@given(st.text(max_size=40), st.text(max_size=40))
def test_f1_is_symmetric_and_bounded(one: str, other: str) -> None:
    assert token_f1(one, other) == pytest.approx(token_f1(other, one))
    assert 0 <= token_f1(one, other) <= 1
    assert token_f1(one, one) == 1


def test_scores_of_an_answer() -> None:
    aim = Aim(asked(answer="25 days", document="a"), "document", (Target("a", "a"),))
    scores = score_answer(aim, said("You have 25 days. [1]", ("a", 0, 5), ("b", 0, 5)))
    assert scores["answer_recall"] == 1
    assert scores["exact_match"] == 0
    assert scores["citation_precision"] == 0.5
    assert scores["citation_recall"] == 1
    assert not {"refusal_precision", "refusal_recall"} & scores.keys()


def test_the_best_of_several_expected_answers_counts() -> None:
    aim = Aim(asked(answer=["twenty-five", "25 days"]), "answer")
    scores = score_answer(aim, said("25 days", ("a", 0, 5)))
    assert scores["exact_match"] == 1
    assert scores["citation_precision"] == 1  # the quote holds the answer


def test_a_refusal_of_an_answerable_question() -> None:
    aim = Aim(asked(answer="not"), "answer")
    scores = score_answer(aim, said("The documents do not answer", abstained=True))
    assert scores == dict.fromkeys(
        ("refusal_precision", "exact_match", "f1", "answer_recall", "citation_recall"), 0
    )


def test_unanswerable_questions() -> None:
    aim = Aim(asked(unanswerable=True), "answer")
    assert score_answer(aim, said("no", abstained=True)) == {
        "refusal_precision": 1,
        "refusal_recall": 1,
    }
    assert score_answer(aim, said("yes [1]", ("a", 0, 1))) == {
        "refusal_recall": 0,
        "citation_precision": 0,
    }


def test_an_answer_without_citations_cites_nothing() -> None:
    aim = Aim(asked(document="a"), "document", (Target("a", "a"),))
    assert score_answer(aim, said("You have 25 days.")) == {"citation_recall": 0}


def test_a_citation_beside_the_span_is_none_of_it() -> None:
    aim = Aim(asked(document="a", span=[10, 20]), "passage", (Target("a 10..20", "a", 10, 20),))
    scores = score_answer(aim, said("Yes [1] [2]", ("a", 12, 40), ("a", 20, 30)))
    assert scores == {"citation_recall": 1, "citation_precision": 0.5}


def test_support_is_that_of_the_statements_that_were_judged() -> None:
    aim = Aim(asked(unanswerable=True), "answer")
    statements = (
        Statement(0, 1, "a", support=0.9, supported=True),
        Statement(1, 2, "b", support=0.2, supported=False),
        Statement(2, 3, "c"),  # in another language than its quotes
    )
    answer = replace(said("abc"), statements=statements)
    scores = score_answer(aim, answer)
    assert scores["support"] == pytest.approx(0.55)
    assert scores["supported"] == 0.5
    assert "support" not in score_answer(aim, replace(answer, statements=statements[2:]))
    assert "support" not in score_answer(aim, replace(answer, abstained=True))
