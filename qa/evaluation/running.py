"""Ask a knowledge base every question of a set, and score what it finds and answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING

from ingest.errors import BadRequest
from qa.evaluation.answers import score_answer
from qa.evaluation.judging import UNJUDGED, Judge, Judgement
from qa.evaluation.measures import (
    ANSWERED,
    JUDGED,
    UNRANKED,
    Measure,
    check_judged,
    default_measures,
    score_rankings,
)
from qa.evaluation.questions import Level, Question, QuestionSet
from qa.evaluation.spending import NOTHING, Latency, Spending
from qa.evaluation.statistics import SEED, Figure, mean_with_interval
from qa.evaluation.targets import ANSWER, Aim, Finder
from qa.models import ChatModel
from qa.prompting import Prompts
from qa.turn import Answer
from retrieval.hits import Hit

if TYPE_CHECKING:
    from qa.client import RemoteKnowledgeBase
    from qa.knowledge_base import KnowledgeBase

    Base = KnowledgeBase | RemoteKnowledgeBase

DEPTH = 100  # passages searched for: enough for ten documents of several passages each
SHOWN = 3  # places of the best hits that are kept for the report


@dataclass(frozen=True, slots=True)
class Outcome:
    """One question and what came of it. `scores` lacks the measures that do not apply.

    `found` are the best places as (uri, page); `seconds` is the search, `answer_seconds` the
    answer, `answer` None where none was asked for; `spent` is what the answer took, `judge_spent`
    the judge, and `note` why the judge said nothing.
    """

    question: Question
    scores: Mapping[str, float]
    seconds: float
    found: tuple[tuple[str, int | None], ...] = ()
    answer: str | None = None
    abstained: bool = False
    answer_seconds: float | None = None
    spent: Spending = NOTHING
    judge_spent: Spending = NOTHING
    note: str = ""
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
            for outcome in self._of(language)
            if measure in outcome.scores
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

    @property
    def notes(self) -> list[str]:
        """What was not judged and why, with the number of questions."""
        counts = Counter(outcome.note for outcome in self.outcomes if outcome.note)
        return [f"{note} ({count} questions)" for note, count in counts.items()]

    def latency(self, *, answers: bool = False, language: str | None = None) -> Latency | None:
        """Of searches or of answers; None where there were none."""
        outcomes = self._of(language)
        seconds = [o.answer_seconds if answers else o.seconds for o in outcomes]
        known = [value for value in seconds if value is not None]
        return Latency.of(known) if known else None

    def spent(self, language: str | None = None, *, judge: bool = False) -> Spending:
        """What all answers, or all that the judge said, took."""
        outcomes = self._of(language)
        return sum((o.judge_spent if judge else o.spent for o in outcomes), NOTHING)

    def _of(self, language: str | None) -> list[Outcome]:
        return [o for o in self.outcomes if language in (None, o.question.language)]


def evaluate(
    kb: Base,
    questions: QuestionSet,
    *,
    measures: Sequence[Measure] | None = None,
    level: Level | None = None,
    answers: bool = False,
    judge: ChatModel | None = None,
    prompts: Prompts | None = None,
    seed: int = SEED,
    base: str = "",
    on_progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Search for (and with `answers` ask) every question, and score it.

    `measures` are `default_measures(10)` if not given; one of answers has them asked for too.
    `level` is what counts as found; by default the finest place that a question names, documents
    for a folder of questions. `judge` is a model that judges the answers; where it fails there is a
    note; its `prompts` are by default those of `kb`. `base` is what the report calls the knowledge
    base, by default its location. `on_progress` gets questions done and in all. Raises BadRequest
    when no document that the questions name is there, and for a measure that needs a judge where
    there is none.
    """
    wanted = tuple(measures or default_measures(10))
    check_judged(wanted, has_judge=judge is not None)
    answers = answers or any(measure.name in UNRANKED for measure in wanted)
    judges = Judge(judge, prompts or kb.prompts) if judge and answers else None
    aims = _aims(kb, questions, level)
    kb.search(aims[0].question.text, 1)  # opens what is opened once
    asked = []
    for number, aim in enumerate(aims, 1):
        asked.append(_ask(kb, aim, answers=answers, judge=judges))
        if on_progress:
            on_progress(number, len(aims))
    ranked = [measure for measure in wanted if measure.name not in UNRANKED]
    scores = _rank_scores(ranked, asked)
    outcomes = tuple(item.outcome(scores.get(item.aim.question.id, {})) for item in asked)
    names = dict.fromkeys(str(measure) for measure in wanted)
    if answers:
        names |= dict.fromkeys([*ANSWERED, *(JUDGED if judges else ())])
    applicable = [n for n in names if any(n in outcome.scores for outcome in outcomes)]
    base = base or kb.status().location
    return Evaluation(questions.name, base, tuple(applicable), outcomes, seed)


@dataclass(frozen=True, slots=True)
class _Asked:
    aim: Aim
    hits: Sequence[Hit]
    seconds: float
    answer: Answer | None = None
    answer_seconds: float | None = None
    judgement: Judgement = UNJUDGED

    def outcome(self, scores: Mapping[str, float]) -> Outcome:
        found = Outcome(
            question=self.aim.question,
            scores=scores,
            seconds=self.seconds,
            found=tuple((hit.uri, hit.chunk.page) for hit in self.hits[:SHOWN]),
            problem=self.aim.problem,
        )
        if self.answer is None:
            return found
        return replace(
            found,
            scores={**scores, **score_answer(self.aim, self.answer), **self.judgement.scores},
            answer=self.answer.text,
            abstained=self.answer.abstained,
            answer_seconds=self.answer_seconds,
            spent=Spending.of(self.answer.usage, self.answer.cost),
            judge_spent=self.judgement.spent,
            note=self.judgement.note,
        )


def _aims(kb: Base, questions: QuestionSet, level: Level | None) -> list[Aim]:
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


def _ask(kb: Base, aim: Aim, *, answers: bool, judge: Judge | None) -> _Asked:
    question = aim.question
    started = perf_counter()
    hits = kb.search(question.text, DEPTH)
    seconds = perf_counter() - started
    if not answers:
        return _Asked(aim, hits, seconds)
    started = perf_counter()
    answer = kb.ask(question.text)
    answer_seconds = perf_counter() - started
    judgement = judge.judge(question, answer) if judge else UNJUDGED
    return _Asked(aim, hits, seconds, answer, answer_seconds, judgement)


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
