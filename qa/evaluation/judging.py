"""A second model that judges answers: the same as expected? borne out by what they cite?"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce

from ingest.errors import KbqaError
from qa.evaluation.questions import Question
from qa.evaluation.spending import NOTHING, Spending
from qa.language import language_of
from qa.models import ChatModel
from qa.neutral import between_dashes, printable
from qa.prompting import Prompts
from qa.turn import Answer, Citation, Message

GIVES_UP = 3  # failures in a row, each after the model's own attempts
PREVIEW = 60  # characters of a reply that is no verdict
_FIRST = re.compile(r"[\W_]*(yes|no|是(?!否)|否|不是)(?![a-z])", re.IGNORECASE)
_LAST = re.compile(r"(?<![A-Za-z])(YES|NO)[\W_]*\Z")  # of a judge that reasons first


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a judge says of one answer: `scores` by measure, 1 or 0, without those that failed.

    `note` is why one failed, the first if both did.
    """

    scores: Mapping[str, float] = field(default_factory=dict)
    spent: Spending = NOTHING
    note: str = ""


UNJUDGED = Judgement()


class Judge:
    """Asks `model` about each answer, with a template for each measure.

    What it cannot say is left out, with a note. After `GIVES_UP` failures in a row it asks no more.
    """

    def __init__(self, model: ChatModel, prompts: Prompts) -> None:
        self._model = model
        self._prompts = prompts
        self._failures = 0

    def judge(self, question: Question, answer: Answer) -> Judgement:
        """A refusal is not the expected answer, and an answer without citations not borne out."""
        if answer.abstained:
            return Judgement({"judge_answer": 0.0} if question.answers else {})
        given = {"question": question.text, "answer": answer.text}
        parts = []
        if question.answers:
            expected = "\n".join(question.answers)
            parts.append(self._asked("judge_answer", expected=expected, **given))
        if answer.citations:
            sources = "\n\n".join(dict.fromkeys(map(_shown, answer.citations)))
            parts.append(self._asked("judge_support", sources=sources, **given))
        else:
            parts.append(Judgement({"judge_support": 0.0}))
        return reduce(_joined, parts)

    def _asked(self, name: str, **values: str) -> Judgement:
        """The verdict on one template; `name` is its name and that of the measure."""
        if self._failures >= GIVES_UP:
            return Judgement(note="the judge was not asked: it failed too often")
        quoted = {place: between_dashes(value) for place, value in values.items()}
        prompt = self._prompts.fill(name, language_of(values["question"]), **quoted)
        try:
            reply = self._model.generate((Message("user", prompt),))
        except KbqaError as exc:
            self._failures += 1
            return Judgement(note=f"the judge failed: {exc}")
        self._failures = 0
        spent = Spending.of(reply.usage, reply.cost)
        verdict = verdict_of(reply.text)
        if verdict is None:
            said = " ".join(printable(reply.text).split())[:PREVIEW]
            return Judgement(spent=spent, note=f"the judge said neither YES nor NO but '{said}'")
        return Judgement({name: float(verdict)}, spent)


def verdict_of(reply: str) -> bool | None:
    """Whether a reply begins (or, in capitals, ends) with yes or no; None for neither."""
    found = _FIRST.match(reply) or _LAST.search(reply)
    return found[1].lower() in ("yes", "是") if found else None


def _shown(citation: Citation) -> str:
    place = " > ".join(filter(None, (citation.title or citation.uri, *citation.heading)))
    return f"[{citation.number}] {place}\n{citation.quote}"


def _joined(first: Judgement, second: Judgement) -> Judgement:
    scores = {**first.scores, **second.scores}
    return Judgement(scores, first.spent + second.spent, first.note or second.note)
