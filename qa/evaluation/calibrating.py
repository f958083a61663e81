"""The threshold of `evidence` from questions that a base answers and questions that it does not.

Evidence is a probability learned on other documents; where they are of another kind, the share of
questions that `min_score` refuses is another too. Here it is set so that at most a given share of
the answerable questions is refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ingest.errors import BadRequest
from qa.evaluation.questions import QuestionSet

if TYPE_CHECKING:
    from qa.evaluation.running import Base

FALSE_REFUSALS = 0.05  # share of the answerable questions that may be refused
SHOWN = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3)  # shares of false refusals that the curve has
DIGITS = 3


@dataclass(frozen=True, slots=True)
class Point:
    """A threshold, and the shares of answerable and unanswerable questions that it refuses."""

    min_score: float
    false_refusals: float
    refused: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """Evidence of the questions, ascending, and the threshold `chosen` from it."""

    answerable: tuple[float, ...]
    unanswerable: tuple[float, ...]
    chosen: Point

    @property
    def curve(self) -> list[Point]:
        """Thresholds from the most cautious to the strictest, none twice."""
        points = (_point(self.answerable, self.unanswerable, allowed) for allowed in SHOWN)
        return sorted({*points, self.chosen}, key=lambda point: point.min_score)

    @property
    def auroc(self) -> float:
        """Chance that an answerable question has more evidence than an unanswerable one."""
        pairs = [(a > u) + (a == u) / 2 for a in self.answerable for u in self.unanswerable]
        return sum(pairs) / len(pairs)


def calibrate(
    kb: Base,
    questions: QuestionSet,
    *,
    false_refusals: float = FALSE_REFUSALS,
    on_progress: Callable[[int, int], None] | None = None,
) -> Calibration:
    """Search for every question, and choose the threshold that refuses most of the unanswerable
    and at most `false_refusals` of the others.

    Raises BadRequest for a share that is none, and unless there are questions of both kinds.
    """
    if not 0 <= false_refusals < 1:
        raise BadRequest(f"the share of false refusals is {false_refusals}: give 0 to 1")
    found: dict[bool, list[float]] = {True: [], False: []}
    for number, question in enumerate(questions.questions, 1):
        found[question.unanswerable].append(kb.explain(question.text).evidence)
        if on_progress:
            on_progress(number, len(questions.questions))
    if not all(found.values()):
        missing = "with an answer" if found[True] else '{"question": ..., "unanswerable": true}'
        raise BadRequest(f"{questions.name} has no question {missing}: calibration needs both")
    answerable, unanswerable = (tuple(sorted(found[kind])) for kind in (False, True))
    chosen = _point(answerable, unanswerable, false_refusals)
    return Calibration(answerable, unanswerable, chosen)


def _point(answerable: Sequence[float], unanswerable: Sequence[float], allowed: float) -> Point:
    """The threshold that refuses most of the unanswerable at `allowed` false refusals.

    Of those that refuse the same questions the one in the middle.
    """
    limit = answerable[math.floor(allowed * len(answerable))]  # the first that must be answered
    refused = [evidence for evidence in (0.0, *answerable, *unanswerable) if evidence < limit]
    middle = (max(refused, default=0.0) + limit) / 2
    rounded = round(middle, DIGITS)
    threshold = rounded if max(refused, default=0.0) < rounded <= limit else middle
    return Point(threshold, _below(answerable, threshold), _below(unanswerable, threshold))


def _below(values: Sequence[float], threshold: float) -> float:
    return sum(value < threshold for value in values) / len(values)
