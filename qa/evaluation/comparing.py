"""Two evaluations of the same questions: differences, who got better or worse, gates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ingest.errors import BadRequest
from qa.evaluation.measures import parse_measure
from qa.evaluation.questions import Question
from qa.evaluation.running import Evaluation
from qa.evaluation.statistics import Difference, paired_difference


@dataclass(frozen=True, slots=True)
class Change:
    """A question whose value of `measure` is not what it was."""

    question: Question
    measure: str
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """`differences` of each measure that both have; `changes` by the first of them, worst first."""

    first: Evaluation
    second: Evaluation
    differences: tuple[Difference, ...]
    changes: tuple[Change, ...]

    @property
    def worse(self) -> list[Difference]:
        """Measures that fell by more than chance."""
        return [d for d in self.differences if d.significant and d.difference < 0]


@dataclass(frozen=True, slots=True)
class Gate:
    """A measure that must not fall below `limit`."""

    measure: str
    limit: float


def compare(first: Evaluation, second: Evaluation) -> Comparison:
    """Second minus first on the questions that both have. Raises BadRequest if there are none."""
    differences = tuple(
        found
        for measure in second.measures
        if measure in first.measures
        if (
            found := paired_difference(
                measure, first.values(measure), second.values(measure), seed=second.seed
            )
        )
    )
    if not differences:
        raise BadRequest(
            f"{first.name} and {second.name} share no question and measure: nothing to compare"
        )
    return Comparison(first, second, differences, _changes(first, second, differences[0].measure))


def parse_gate(text: str) -> Gate:
    """`recall@5=.9` as a gate. Raises BadRequest for another form or an unknown measure."""
    name, equals, limit = text.partition("=")
    measure = parse_measure(name)
    try:
        value = float(limit)
    except ValueError:
        value = -1.0
    if not equals or not 0 <= value <= 1:
        raise BadRequest(f"--fail-under {text}: write MEASURE=LIMIT from 0 to 1, as in recall@5=.9")
    return Gate(str(measure), value)


def failures(evaluation: Evaluation, gates: Sequence[Gate]) -> list[str]:
    """What falls below its gate, one line each. Raises BadRequest for what was not measured."""
    lines = []
    for gate in gates:
        figure = evaluation.figure(gate.measure)
        if figure is None:
            raise BadRequest(
                f"--fail-under {gate.measure}: no question of {evaluation.name} can be judged by "
                f"it; there are {', '.join(evaluation.measures)}"
            )
        if figure.mean < gate.limit:
            lines.append(f"{gate.measure} is {figure.mean:.4f}, below {gate.limit:g}")
    return lines


def _changes(first: Evaluation, second: Evaluation, measure: str) -> tuple[Change, ...]:
    before, after = first.values(measure), second.values(measure)
    changes = [
        Change(outcome.question, measure, before[id_], after[id_])
        for outcome in second.outcomes
        if (id_ := outcome.question.id) in before
        if id_ in after and before[id_] != after[id_]
    ]
    return tuple(sorted(changes, key=lambda change: change.after - change.before))
