"""`/v1/knowledge-bases/{kb}/ask`: an answer, whole or as it is written."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from ingest.errors import KbqaError
from qa.knowledge_base import KnowledgeBase
from qa.rendering import citation_json
from qa.server.access import ReadBase
from qa.server.ask_forms import AnswerItem, QuestionForm, answer_dict, hits_json
from qa.server.problems import problem_of
from qa.server.routes.replies import EVENT_STREAM, problems
from qa.server.service import service_of
from qa.server.streaming import (
    EVENTS,
    STREAM_HEADERS,
    Done,
    Emit,
    Piece,
    sign_of_life,
    sse,
)
from qa.turn import Answer

router = APIRouter(prefix="/v1/knowledge-bases/{kb}", tags=["search and ask"])


@router.post(
    "/ask",
    response_model=AnswerItem,
    responses={
        200: {
            "description": "the answer; with `Accept: text/event-stream` as events: `hits`, "
            "`token`s, `citations`, `done` with the whole answer, or `error` with a problem",
            "content": EVENT_STREAM,
        },
        **problems(404, 502, 504),
    },
)
async def ask(request: Request, base: ReadBase, form: QuestionForm) -> Response:
    """Answer a question from the documents, with citations, or say that they do not answer it."""
    return await replied(request, partial(answered, base, form, service_of(request).metrics.answer))


async def replied(request: Request, work: Callable[[Emit], Answer]) -> Response:
    """The answer of `work`, as the client wants it: whole, or as events."""
    if EVENTS in request.headers.get("accept", ""):
        events = _events(request, work)
        return StreamingResponse(events, media_type=EVENTS, headers=STREAM_HEADERS)
    return JSONResponse(answer_dict(await service_of(request).threads.value_of(request, work)))


def answered(
    base: KnowledgeBase, form: QuestionForm, count: Callable[[Answer], None], emit: Emit
) -> Answer:
    """Ask in this thread; hits and tokens are emitted on the way."""
    answer = base.ask(
        form.question,
        lambda token: emit("token", token),
        history=form.messages,
        filters=form.filter or None,
        on_hits=lambda hits: emit("hits", hits),
    )
    count(answer)
    return answer


async def _events(request: Request, work: Callable[[Emit], Answer]) -> AsyncIterator[bytes]:
    try:
        async for piece in service_of(request).threads.pieces_of(work):
            for event in _encoded(piece):
                yield event
    except KbqaError as exc:
        problem = problem_of(exc, request.state.request_id)
        yield sse("error", problem.model_dump(exclude_none=True))


def _encoded(piece: Piece | Done[Answer]) -> list[bytes]:
    if isinstance(piece, Done):
        answer = piece.value
        citations = [citation_json(citation) for citation in answer.citations]
        return [sse("citations", {"citations": citations}), sse("done", answer_dict(answer))]
    if not piece.event:
        return [sign_of_life()]
    said: dict[str, Any] = (
        {"text": piece.value} if piece.event == "token" else {"hits": hits_json(piece.value)}
    )
    return [sse(piece.event, said)]
