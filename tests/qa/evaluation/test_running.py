from __future__ import annotations

import importlib
import inspect
from dataclasses import replace
from pathlib import Path

import pytest

from ingest.documents import Document
from ingest.errors import BadRequest
from qa.evaluation import Evaluation, QuestionSet, evaluate, load_questions, parse_measure
from qa.evaluation.questions import question_of
from qa.evaluation.spending import NOTHING, Latency, Spending
from qa.knowledge_base import KnowledgeBase
from tests.fakes import HashEmbedder
from tests.qa.evaluation.test_questions import folder_of

pytestmark = pytest.mark.integration


def test_figures_of_a_small_base(evaluation: Evaluation) -> None:
    assert len(evaluation.outcomes) == 5
    assert evaluation.languages == ["en", "zh"]
    assert evaluation.problems == []
    recall = evaluation.figure("recall@5")
    assert recall is not None
    assert (recall.mean, recall.count) == (1.0, 4)  # the unanswerable one has nothing to find
    chinese = evaluation.figure("recall@5", "zh")
    assert chinese is not None
    assert chinese.count == 1
    refusals = evaluation.figure("refusal_recall")
    assert refusals is not None
    assert (refusals.mean, refusals.count) == (1.0, 1)
    assert evaluation.measures[:2] == ("ndcg@10", "recall@1")
    assert "citation_precision" in evaluation.measures


def test_times_and_places_are_kept(evaluation: Evaluation) -> None:
    search, answer = evaluation.latency(), evaluation.latency(answers=True)
    assert search is not None
    assert answer is not None
    assert 0 < search.p50 <= search.p95 <= search.p99
    assert 0 < answer.p50 <= answer.p95 <= answer.p99
    assert evaluation.latency(answers=True, language="zh") == Latency.of(
        [o.answer_seconds or 0 for o in evaluation.outcomes if o.question.language == "zh"]
    )
    first = evaluation.outcomes[1]
    assert first.found[0][0] == "furnace.pdf"
    assert first.answer
    assert not first.abstained


def test_quotations_are_borne_out(evaluation: Evaluation) -> None:
    for measure in ("support", "supported"):
        figure = evaluation.figure(measure)
        assert figure is not None
        assert figure.mean > 0.9
        assert figure.count == sum(not outcome.abstained for outcome in evaluation.outcomes)
    assert evaluation.spent() == evaluation.spent(judge=True) == NOTHING
    assert evaluation.notes == []


def test_tokens_and_cost_add_up(evaluation: Evaluation) -> None:
    spent = [Spending(10, 2, 0.5), Spending(1, 1, None, estimated=True)]
    outcomes = [
        replace(outcome, spent=spending)
        for outcome, spending in zip(evaluation.outcomes[1:3], spent, strict=True)
    ]
    known = replace(evaluation, outcomes=tuple(outcomes))
    assert known.spent() == Spending(11, 3, 0.5, estimated=True)
    assert known.spent("zh") == spent[1]
    assert known.spent("fr") == NOTHING


def test_a_measure_of_answers_asks_and_one_of_a_judge_needs_one(
    kb: KnowledgeBase, questions: QuestionSet
) -> None:
    one = replace(questions, questions=questions.questions[:1])
    found = evaluate(kb, one, measures=[parse_measure("support")])
    assert found.figure("support") is not None
    with pytest.raises(BadRequest, match="'judge_answer' needs a model that judges: --judge MODEL"):
        evaluate(kb, one, measures=[parse_measure("judge_answer")], answers=True)


def test_without_answers_nothing_is_asked(kb: KnowledgeBase, questions: QuestionSet) -> None:
    done: list[tuple[int, int]] = []
    found = evaluate(kb, questions, on_progress=lambda *counts: done.append(counts))
    assert found.latency(answers=True) is None
    assert {outcome.answer for outcome in found.outcomes} == {None}
    assert not any(name.startswith("refusal") for name in found.measures)
    assert done == [(number, 5) for number in range(1, 6)]


def test_chosen_measures_and_level(kb: KnowledgeBase, questions: QuestionSet) -> None:
    measures = [parse_measure("hit@3"), parse_measure("map")]
    found = evaluate(kb, questions, measures=measures, level="document", base="mine")
    assert found.measures == ("hit@3", "map")
    assert found.base == "mine"


def test_documents_that_are_missing_are_misses(kb: KnowledgeBase, questions: QuestionSet) -> None:
    extra = question_of({"question": "leave?", "document": "gone.md"}, "line 1")
    known = replace(questions, questions=(*questions.questions, extra))
    found = evaluate(kb, known)
    assert found.problems == ["leave?: no document 'gone.md' in the base"]
    assert found.outcomes[-1].scores["recall@10"] == 0
    with pytest.raises(BadRequest, match=r"no document that the questions .*gone\.md.*furnace"):
        evaluate(kb, replace(questions, questions=(extra,)))


def test_an_empty_base(tmp_path: Path, questions: QuestionSet) -> None:
    with (
        KnowledgeBase.open(tmp_path / "kb", embedder=HashEmbedder()) as base,
        pytest.raises(BadRequest, match="holds no documents"),
    ):
        evaluate(base, questions)


def test_a_folder_is_judged_by_documents(tmp_path: Path) -> None:
    found = load_questions(folder_of(tmp_path / "set"))
    with KnowledgeBase.open(tmp_path / "kb", embedder=HashEmbedder()) as base:
        base.ingest_documents(found.documents)
        figures = evaluate(base, found)
    recall = figures.figure("recall@10")
    assert recall is not None
    assert (recall.mean, recall.count) == (1.0, 2)
    assert figures.values("answer@10") == {"q1": 1.0}


def test_many_passages_of_one_document_take_one_place(tmp_path: Path) -> None:
    long = "\n\n".join(f"Pump pump {n}. " + "The pump is oiled. " * 30 for n in range(30))
    question = question_of({"question": "pump", "document": "short"}, "line 1")
    with KnowledgeBase.open(tmp_path / "kb", embedder=HashEmbedder()) as base:
        base.ingest_documents(
            [Document.from_text(long, uri="long"), Document.from_text("A pump.", uri="short")]
        )
        found = evaluate(base, QuestionSet("q", (question,)), measures=[parse_measure("recall@2")])
    assert found.outcomes[0].scores == {"recall@2": 1.0}


def test_the_same_twice(kb: KnowledgeBase, questions: QuestionSet) -> None:
    one, other = evaluate(kb, questions), evaluate(kb, questions)
    assert [o.scores for o in one.outcomes] == [o.scores for o in other.outcomes]
    assert one.figure("mrr") == other.figure("mrr")


def test_exported_names_are_complete_and_sorted() -> None:
    module = importlib.import_module("qa.evaluation")
    public = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert module.__all__ == sorted(public)
