from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import BadRequest
from qa.evaluation.calibrating import Calibration, Point, _point, calibrate
from qa.evaluation.questions import Question, QuestionSet
from qa.knowledge_base import KnowledgeBase

EVIDENCE = st.lists(st.floats(0, 1), min_size=1, max_size=20).map(lambda v: tuple(sorted(v)))


def questions(*texts: str, unanswerable: tuple[str, ...] = ()) -> QuestionSet:
    asked = [Question(text, text) for text in texts]
    asked += [Question(text, text, unanswerable=True) for text in unanswerable]
    return QuestionSet("mine", tuple(asked))


def test_a_threshold_between_both_kinds(kb: KnowledgeBase) -> None:
    asked = questions(
        "How many days of annual leave does an employee have?",
        "备用密封件多少钱？",
        unanswerable=("How long should I boil an ostrich egg?", "红烧肉要炖多长时间？"),
    )
    steps: list[tuple[int, int]] = []
    found = calibrate(kb, asked, on_progress=lambda *step: steps.append(step))
    assert steps[-1] == (4, 4)
    assert found.auroc == 1
    assert (found.chosen.false_refusals, found.chosen.refused) == (0, 1)
    assert found.unanswerable[-1] < found.chosen.min_score <= found.answerable[0]
    assert found.chosen in found.curve


@pytest.mark.parametrize(
    ("asked", "share", "message"),
    [
        (questions("leave?"), 0.05, "unanswerable"),
        (questions(unanswerable=("leave?",)), 0.05, "with an answer"),
        (questions("leave?"), 1.5, "1.5"),
    ],
)
def test_what_cannot_be_calibrated(
    kb: KnowledgeBase, asked: QuestionSet, share: float, message: str
) -> None:
    with pytest.raises(BadRequest, match=message):
        calibrate(kb, asked, false_refusals=share)


@given(EVIDENCE, EVIDENCE, st.floats(0, 0.99))
def test_no_more_false_refusals_than_allowed(
    answerable: tuple[float, ...], unanswerable: tuple[float, ...], allowed: float
) -> None:
    point = _point(answerable, unanswerable, allowed)
    assert point.false_refusals <= allowed
    assert 0 <= point.min_score <= 1


def test_the_curve_rises() -> None:
    answerable, unanswerable = (0.2, 0.4, 0.6, 0.8), (0.1, 0.3, 0.5)
    found = Calibration(answerable, unanswerable, _point(answerable, unanswerable, 0.25))
    assert found.chosen == Point(0.35, 0.25, 2 / 3)
    assert [point.min_score for point in found.curve] == [0.15, 0.35]
    assert found.auroc == pytest.approx(9 / 12)
