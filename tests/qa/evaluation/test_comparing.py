from __future__ import annotations

from dataclasses import replace

import pytest

from ingest.errors import BadRequest
from qa.evaluation import Evaluation, compare
from qa.evaluation.comparing import Gate, failures, parse_gate


def lowered(evaluation: Evaluation, measure: str, count: int = 1) -> Evaluation:
    """The same with `measure` at 0 for the first questions."""
    outcomes = [
        replace(o, scores={**o.scores, measure: 0.0}) if n < count else o
        for n, o in enumerate(evaluation.outcomes)
    ]
    return replace(evaluation, outcomes=tuple(outcomes))


def test_what_got_worse_is_named(evaluation: Evaluation) -> None:
    found = compare(evaluation, lowered(evaluation, "ndcg@10"))
    first = found.differences[0]
    assert (first.measure, first.better, first.worse) == ("ndcg@10", 0, 1)
    assert first.difference == pytest.approx(-0.25)
    assert [(c.question.text, c.before, c.after) for c in found.changes] == [
        (evaluation.outcomes[0].question.text, 1.0, 0.0)
    ]
    assert found.worse == []  # one question of four is chance


def test_more_than_chance(evaluation: Evaluation) -> None:
    many = tuple(
        replace(o, question=replace(o.question, id=f"{o.question.id} {n}"))
        for n in range(5)
        for o in evaluation.outcomes[:4]
    )
    before = replace(evaluation, outcomes=many)
    found = compare(before, lowered(before, "mrr", 20))
    assert [d.measure for d in found.worse] == ["mrr"]


def test_the_same_run_has_no_difference(evaluation: Evaluation) -> None:
    found = compare(evaluation, evaluation)
    assert {d.difference for d in found.differences} == {0.0}
    assert found.changes == ()


def test_nothing_in_common(evaluation: Evaluation) -> None:
    with pytest.raises(BadRequest, match="share no question and measure"):
        compare(evaluation, replace(evaluation, outcomes=()))


def test_gates(evaluation: Evaluation) -> None:
    assert parse_gate("Recall@5=.9") == Gate("recall@5", 0.9)
    assert failures(evaluation, [parse_gate("recall@5=1"), parse_gate("refusal_recall=1")]) == []
    worse = lowered(evaluation, "recall@5")
    assert failures(worse, [parse_gate("recall@5=.9")]) == ["recall@5 is 0.7500, below 0.9"]
    with pytest.raises(BadRequest, match=r"no question .* can be judged by it; there are ndcg@10"):
        failures(evaluation, [Gate("recall@7", 0.5)])


@pytest.mark.parametrize("text", ["recall@5", "recall@5=", "recall@5=x", "recall@5=2", "mrr=-1",
                                  "mrr=nan"])  # fmt: skip
def test_bad_gates(text: str) -> None:
    with pytest.raises(BadRequest, match="MEASURE=LIMIT"):
        parse_gate(text)
