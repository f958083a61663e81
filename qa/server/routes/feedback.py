"""`/v1/knowledge-bases/{kb}/feedback`: whether answers helped."""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response, status
from pydantic import BaseModel, Field, StrictBool, field_validator
from starlette.concurrency import run_in_threadpool

from ingest.errors import BadRequest
from qa.answering import MAX_QUESTION
from qa.knowledge_base import KnowledgeBase
from qa.server.access import BaseName, KeptBase, ReadBase
from qa.server.feedback import Cited, Verdict, now, questions
from qa.server.models import Form
from qa.server.routes.replies import problems
from qa.server.service import service_of

router = APIRouter(prefix="/v1/knowledge-bases/{kb}/feedback", tags=["feedback"])

MAX_ANSWER, MAX_CITED = 100_000, 100
LONGEST_QUOTE = 3000  # characters; a passage has 2,900 at most
LINES = "application/x-ndjson"


class CitedForm(Form):
    """A span of a document's text that the answer cites."""

    uri: str = Field(min_length=1, max_length=4000, examples=["handbook/leave.md"])
    page: int | None = Field(
        None, description="as citations have it; kept is the page on which the span begins"
    )
    start: int = Field(ge=0)
    end: int = Field(
        ge=0, description=f"of a longer span the first {LONGEST_QUOTE:,} characters are kept"
    )


class VerdictForm(Form):
    """Whether an answer helped the one who asked."""

    question: str = Field(
        min_length=1, max_length=MAX_QUESTION, examples=["How many days of leave do I have?"]
    )
    answer: str = Field(max_length=MAX_ANSWER, examples=["25 days a year. [1]"])
    helpful: StrictBool = Field(examples=[True])
    citations: list[CitedForm] = Field([], max_length=MAX_CITED)

    @field_validator("question")
    @classmethod
    def _says_something(cls, question: str) -> str:
        question = question.strip()
        if not question:
            raise ValueError("the question is empty")
        return question


class CitedItem(BaseModel):
    """A passage that the answer cited, in the version of the document that it had then."""

    uri: str
    page: int | None
    start: int
    end: int
    quote: str
    sha256: str


class VerdictItem(BaseModel):
    """What was said of an answer; `created` in seconds since 1970."""

    question: str
    answer: str
    helpful: bool
    citations: list[CitedItem]
    created: float


class VerdictList(BaseModel):
    """The verdicts, the newest first."""

    feedback: list[VerdictItem]


Limit = Annotated[int, Query(ge=1, le=10_000)]


@router.post("", status_code=status.HTTP_204_NO_CONTENT, responses=problems(404))
async def give_feedback(request: Request, kb: BaseName, base: ReadBase, form: VerdictForm) -> None:
    """Say whether an answer helped. It is kept with the passages that it cited."""
    caller = request.state.caller
    await run_in_threadpool(_keep, request, kb, caller, base, form)


@router.get("", responses=problems(404))
def list_feedback(request: Request, kb: BaseName, _: KeptBase, limit: Limit = 100) -> VerdictList:
    """What was said of the answers of a base."""
    found = service_of(request).feedback.list(kb, limit)
    return VerdictList.model_validate({"feedback": found}, from_attributes=True)


@router.get(
    "/questions",
    response_class=Response,
    responses={
        200: {
            "description": "one JSON object a line, for `kbqa eval` and `kbqa tune`",
            "content": {LINES: {"schema": {"type": "string"}}},
        },
        **problems(404),
    },
)
def get_feedback_questions(
    request: Request, kb: BaseName, _: KeptBase, limit: Limit = 10_000
) -> Response:
    """The questions whose answers helped, each with the passage that its answer rested on."""
    lines = questions(service_of(request).feedback.list(kb, limit))
    text = "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines)
    return Response(text, media_type=LINES)


def _keep(request: Request, kb: str, caller: str, base: KnowledgeBase, form: VerdictForm) -> None:
    cited = tuple(found for one in form.citations if (found := _cited(base, one)))
    verdict = Verdict(form.question, form.answer, form.helpful, cited, now())
    service_of(request).feedback.add(kb, caller, verdict)


def _cited(base: KnowledgeBase, form: CitedForm) -> Cited | None:
    """None if the document is gone, or has no such span any more, or nothing there."""
    try:
        document = base.document(form.uri)
    except BadRequest:
        return None
    start = form.start
    quote = document.text[start : min(form.end, start + LONGEST_QUOTE)]
    if not quote.strip():
        return None
    page = document.page_at(start)
    return Cited(form.uri, page, start, start + len(quote), quote, document.sha256)
