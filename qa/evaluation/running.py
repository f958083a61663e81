"""Ask a knowledge base every question of a set, and score what it finds and answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from ingest.errors import BadRequest
from qa.evaluation.answers import score_answer
from qa.evaluation.measures import ANSWERED, Measure, default_measures, score_rankings
from qa.evaluation.questions import Level, Question, QuestionSet
from qa.evaluation.statistics import SEED, Figure, mean_with_interval
from qa.evaluation.targets import ANSWER, Aim, Finder
from retrieval.hits import Hit

if TYPE_CHECKING:
    from qa.knowledge_base import KnowledgeBase

DEPTH = 100  # passages searched for: enough for ten documents of several passages each
SHOWN = 3  # places of the best hits that are kept for the report


@dataclass(frozen=True, slots=True)
class Outcome:
    """One question and what came of it. `scores` lacks the measures that do not apply.

    `found` are the best places as (uri, page); `seconds` is the search, `answer_seconds` the
    answer, `answer` None where none was asked for.
    """

    question: Question
    scores: Mapping[str, float]
    seconds: float
    found: tuple[tuple[str, int | None], ...] = ()
    answer: str | None = None
    abstained: bool = False
    answer_seconds: float | None = None
    tokens: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Outcomes of one base on one set. `measures` are names in the order to show them."""

    name: str
    base: str
    measures: tuple[str, ...]
    outcomes: tuple[Outcome, ...]
    seed: int = SEED

    def values(self, measure: str, language: str | None = None) -> dict[str, float]:
        """Question -> value, for the questions to which the measure applies."""
        return {
            outcome.question.id: outcome.scores[measure]
            for outcome in self.outcomes
            if measure in outcome.scores and language in (None, outcome.question.language)
        }

    def figure(self, measure: str, language: str | None = None) -> Figure | None:
        """Mean and interval; None where the measure applies to no question."""
        values = list(self.values(measure, language).values())
        return mean_with_interval(values, seed=self.seed) if values else None

    @property
    def languages(self) -> list[str]:
        """Languages of the questions, sorted."""
        return sorted({outcome.question.language for outcome in self.outcomes})

    @property
    def problems(self) -> list[str]:
        """Why questions could only be missed."""
        return [f"{o.question.text}: {o.problem}" for o in self.outcomes if o.problem]

    def latency(self, *, answers: bool = False) -> tuple[float, float] | None:
        """Median and 99th percentile in seconds, of searches or of answers."""
        seconds = [o.answer_seconds if answers else o.seconds for o in self.outcomes]
        known = [value for value in seconds if value is not None]
        if not known:
            return None
        p50, p99 = np.percentile(known, [50, 99])
        return float(p50), float(p99)


def evaluate(
    kb: KnowledgeBase,
    questions: QuestionSet,
    *,
    measures: Sequence[Measure] | None = None,
    level: Level | None = None,
    answers: bool = False,
    seed: int = SEED,
    base: str = "",
    on_progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Search for (and with `answers` ask) every question, and score it.

    `measures` are `default_measures(10)` if not given. `level` is what counts as found; by default
    the finest place that a question names, documents for a folder of questions. `base` is what the
    report calls the knowledge base, by default its location. `on_progress` gets questions done and
    in all. Raises BadRequest when no document that the questions name is there.
    """
    wanted = tuple(measures or default_measures(10))
    aims = _aims(kb, questions, level)
    kb.search(aims[0].question.text, 1)  # opens what is opened once
    asked = []
    for number, aim in enumerate(aims, 1):
        asked.append(_ask(kb, aim, answers=answers))
        if on_progress:
            on_progress(number, len(aims))
    ranked = [measure for measure in wanted if measure.name not in ANSWERED]
    scores = _rank_scores(ranked, asked)
    outcomes = tuple(item.outcome(scores.get(item.aim.question.id, {})) for item in asked)
    names = dict.fromkeys(str(measure) for measure in wanted)
    if answers:
        names |= dict.fromkeys(ANSWERED)
    applicable = [n for n in names if any(n in outcome.scores for outcome in outcomes)]
    base = base or kb.status().location
    return Evaluation(questions.name, base, tuple(applicable), outcomes, seed)


@dataclass(frozen=True, slots=True)
class _Asked:
    aim: Aim
    hits: Sequence[Hit]
    seconds: float
    answer_scores: Mapping[str, float]
    answer: str | None = None
    abstained: bool = False
    answer_seconds: float | None = None
    tokens: int = 0

    def outcome(self, scores: Mapping[str, float]) -> Outcome:
        return Outcome(
            question=self.aim.question,
            scores={**scores, **self.answer_scores},
            seconds=self.seconds,
            found=tuple((hit.uri, hit.chunk.page) for hit in self.hits[:SHOWN]),
            answer=self.answer,
            abstained=self.abstained,
            answer_seconds=self.answer_seconds,
            tokens=self.tokens,
            problem=self.aim.problem,
        )


def _aims(kb: KnowledgeBase, questions: QuestionSet, level: Level | None) -> list[Aim]:
    records = kb.documents()
    if not records:
        raise BadRequest(f"{kb.status().location} holds no documents: `kbqa ingest FOLDER`")
    finder = Finder((record.uri for record in records), kb.document)
    aims = [finder.aim(question, level or questions.level) for question in questions.questions]
    named = [aim for aim in aims if aim.targets]
    if named and all(aim.problem for aim in named):
        raise BadRequest(
            f"no document that the questions of {questions.name} name is in "
            f"{kb.status().location} ({named[0].problem}); it has for instance "
            f"'{records[0].uri}': is it the right base?"
        )
    return aims


def _ask(kb: KnowledgeBase, aim: Aim, *, answers: bool) -> _Asked:
    started = perf_counter()
    hits = kb.search(aim.question.text, DEPTH)
    seconds = perf_counter() - started
    if not answers:
        return _Asked(aim, hits, seconds, {})
    started = perf_counter()
    answer = kb.ask(aim.question.text)
    return _Asked(
        aim,
        hits,
        seconds,
        score_answer(aim, answer),
        answer=answer.text,
        abstained=answer.abstained,
        answer_seconds=perf_counter() - started,
        tokens=answer.usage.get("total_tokens", 0),
    )


def _rank_scores(
    measures: Sequence[Measure], asked: Sequence[_Asked]
) -> dict[str, dict[str, float]]:
    """Question -> measure -> value."""
    places = [measure for measure in measures if measure.name != ANSWER]
    held = [measure for measure in measures if measure.name == ANSWER]
    by_measure = score_rankings(
        places,
        {a.aim.question.id: a.aim.relevant for a in asked if a.aim.relevant},
        {a.aim.question.id: a.aim.ranking(a.hits) for a in asked},
    )
    by_measure |= score_rankings(
        held,
        {a.aim.question.id: {ANSWER: 1} for a in asked if a.aim.question.answers},
        {a.aim.question.id: a.aim.answer_ranking(a.hits) for a in asked},
    )
    scores: dict[str, dict[str, float]] = {}
    for name, id_, value in _flat(by_measure):
        scores.setdefault(id_, {})[name] = value
    return scores


def _flat(scores: Mapping[str, Mapping[str, float]]) -> Iterator[tuple[str, str, float]]:
    for name, values in scores.items():
        for id_, value in values.items():
            yield name, id_, value
