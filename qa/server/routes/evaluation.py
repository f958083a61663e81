"""`/v1/knowledge-bases/{kb}/eval`."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter, Request

from qa.evaluation import QuestionSet, evaluate, parse_measure
from qa.evaluation.questions import question_of
from qa.evaluation.saving import figures_json, latency_json, outcome_json, spending_json
from qa.knowledge_base import KnowledgeBase
from qa.server.access import BaseName, KeptBase
from qa.server.ask_forms import EvalForm, Figures
from qa.server.routes.replies import problems
from qa.server.service import service_of
from qa.server.streaming import Emit

router = APIRouter(prefix="/v1/knowledge-bases/{kb}", tags=["evaluation"])


@router.post("/eval", responses=problems(404, 502, 504))
async def evaluate_knowledge_base(
    request: Request, kb: BaseName, base: KeptBase, form: EvalForm
) -> Figures:
    """Measure how well questions with known answers are found and answered, as `kbqa eval` does.

    Ends when the client leaves.
    """
    return await service_of(request).threads.value_of(request, partial(_measured, kb, base, form))


def _measured(kb: str, base: KnowledgeBase, form: EvalForm, emit: Emit) -> Figures:
    questions = tuple(
        question_of(trial.model_dump(exclude_none=True), f"question {number}")
        for number, trial in enumerate(form.questions, 1)
    )
    evaluation = evaluate(
        base,
        QuestionSet("request", questions),
        measures=[parse_measure(measure) for measure in form.measures] or None,
        answers=form.answers,
        base=kb,
        on_progress=lambda done, total: emit("progress", done),
    )
    return Figures(
        figures=figures_json(evaluation),
        latency=latency_json(evaluation),
        spent=spending_json(evaluation),
        outcomes=[outcome_json(outcome) for outcome in evaluation.outcomes],
    )
