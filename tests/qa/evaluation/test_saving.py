from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ingest.errors import BadRequest
from qa.evaluation import Evaluation, compare, load, save
from qa.evaluation.spending import Spending


def test_saved_and_read_back(evaluation: Evaluation, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    save(evaluation, path)
    back = load(path)
    assert back.measures == evaluation.measures
    assert back.figure("mrr") == evaluation.figure("mrr")
    assert [o.question for o in back.outcomes] == [o.question for o in evaluation.outcomes]
    assert [o.scores for o in back.outcomes] == [o.scores for o in evaluation.outcomes]
    assert [o.found for o in back.outcomes] == [o.found for o in evaluation.outcomes]
    assert [o.answer for o in back.outcomes] == [o.answer for o in evaluation.outcomes]
    assert back.spent() == evaluation.spent()
    assert compare(back, evaluation).changes == ()
    assert json.loads(path.read_text("utf-8"))["figures"]["mrr"]["all"]["count"] == 4


def test_what_was_spent_and_not_judged_is_kept(evaluation: Evaluation, tmp_path: Path) -> None:
    outcome = replace(
        evaluation.outcomes[0], spent=Spending(9, 3, 0.1), judge_spent=Spending(5, 1), note="why"
    )
    save(replace(evaluation, outcomes=(outcome,)), tmp_path / "run.json")
    (back,) = load(tmp_path / "run.json").outcomes
    assert (back.spent, back.judge_spent, back.note) == (
        outcome.spent, outcome.judge_spent, "why",
    )  # fmt: skip


def test_values_that_do_not_end_are_kept(evaluation: Evaluation, tmp_path: Path) -> None:
    outcomes = (replace(evaluation.outcomes[0], scores={"ndcg@10": 1 / 3}),)
    third = replace(evaluation, outcomes=outcomes)
    save(third, tmp_path / "run.json")
    assert compare(load(tmp_path / "run.json"), third).changes == ()


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", "not json", '{"format": 1}', '{"format": 1, "questions": [3]}',
                '{"format": 1, "questions": 3, "measures": []}', "\udcff"],
)  # fmt: skip
def test_another_file(content: str, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(BadRequest, match="is not what `kbqa eval --save` writes"):
        load(path)


def test_a_later_format_and_a_missing_file(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    with pytest.raises(BadRequest, match="no such file"):
        load(path)
    path.write_text('{"format": 2}', "utf-8")
    with pytest.raises(BadRequest, match="format 2, this kbqa reads 1"):
        load(path)
