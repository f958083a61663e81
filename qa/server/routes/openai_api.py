"""`/v1/chat/completions`, `/v1/models`, `/v1/embeddings`: a knowledge base as an OpenAI model."""

from __future__ import annotations

import base64
import secrets
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from fastapi.sse import format_sse_event

from ingest.errors import BadRequest, KbqaError
from qa.knowledge_base import KnowledgeBase
from qa.server.access import Reader
from qa.server.bases import NAME
from qa.server.openai_forms import (
    ChatCompletion,
    ChatForm,
    Embedding,
    EmbeddingForm,
    EmbeddingList,
    Model,
    ModelList,
    Usage,
    beyond_openai,
    chunk,
    sources_text,
)
from qa.server.problems import NotFound, openai_error, problem_of
from qa.server.routes.replies import EVENT_STREAM, problems
from qa.server.service import Service, service_of
from qa.server.streaming import EVENTS, STREAM_HEADERS, Done, Emit, sign_of_life, sse
from qa.tokens import estimate_tokens
from qa.turn import Answer

router = APIRouter(prefix="/v1", tags=["OpenAI API"])

STEP = 64  # texts embedded at a time
ModelName = Annotated[str, Path(pattern=NAME, max_length=100, examples=["handbook"])]


@router.get("/models", responses=problems())
def list_models(who: Reader) -> ModelList:
    """Each knowledge base that the key is for is a model."""
    return ModelList(data=[Model(id=name) for name in who.names()])


@router.get("/models/{model}", responses=problems(404))
def get_model(model: ModelName, who: Reader) -> Model:
    """A knowledge base as a model."""
    who.require(model)
    if model not in who.bases.names():
        raise NotFound(f"there is no knowledge base '{model}'")
    return Model(id=model)


@router.post(
    "/chat/completions",
    response_model=ChatCompletion,
    responses={
        200: {
            "description": "the answer; with `stream` as chunks, the last of which has `citations`",
            "content": EVENT_STREAM,
        },
        **problems(404, 502, 504),
    },
)
async def chat_completions(request: Request, who: Reader, form: ChatForm) -> Response:
    """Answer the last message from the documents of the base that is the `model`."""
    form.turn()
    base = await who.open(form.model)
    service = service_of(request)
    work = partial(_answered, service, base, form)
    id_ = f"chatcmpl-{secrets.token_hex(12)}"
    if form.stream:
        chunks = _chunks(request, form, id_, work)
        return StreamingResponse(chunks, media_type=EVENTS, headers=STREAM_HEADERS)
    answer = await service.threads.value_of(request, work)
    return JSONResponse(ChatCompletion.of(id_, form, answer).model_dump())


@router.post("/embeddings", responses=problems(404, 502, 504))
async def embeddings(request: Request, who: Reader, form: EmbeddingForm) -> EmbeddingList:
    """Vectors of texts, by the embedder of a base."""
    texts = form.texts()
    base = await who.open(form.model)
    work = partial(_embedded, base, form, texts)
    return await service_of(request).threads.value_of(request, work)


def _answered(service: Service, base: KnowledgeBase, form: ChatForm, emit: Emit) -> Answer:
    question, history = form.turn()
    answer = base.ask(question, lambda token: emit("token", token), history=history)
    service.metrics.answer(answer)
    return answer


async def _chunks(
    request: Request, form: ChatForm, id_: str, work: partial[Answer]
) -> AsyncIterator[bytes]:
    yield sse("", chunk(id_, form, {"role": "assistant", "content": ""}))
    try:
        async for piece in service_of(request).threads.pieces_of(work):
            if isinstance(piece, Done):
                for event in _ending(id_, form, piece.value):
                    yield sse("", event)
            else:
                text = {"content": str(piece.value)}
                yield sse("", chunk(id_, form, text)) if piece.event else sign_of_life()
    except KbqaError as exc:
        problem = problem_of(exc, request.state.request_id)
        yield sse("", {"error": openai_error(problem)})
        return
    yield format_sse_event(data_str="[DONE]")


def _ending(id_: str, form: ChatForm, answer: Answer) -> list[dict[str, object]]:
    sources = sources_text(answer)
    events = [chunk(id_, form, {"content": sources})] if sources else []
    events.append(chunk(id_, form, {}, finish_reason="stop", **beyond_openai(answer)))
    if form.stream_options and form.stream_options.include_usage:
        usage = Usage.of(form.messages[-1].said, answer).model_dump()
        events.append({**chunk(id_, form, {}), "choices": [], "usage": usage})
    return events


def _embedded(
    base: KnowledgeBase, form: EmbeddingForm, texts: Sequence[str], emit: Emit
) -> EmbeddingList:
    steps = []
    for start in range(0, len(texts), STEP):
        emit("step", start)  # does anybody wait for it?
        steps.append(base.embed(texts[start : start + STEP]))
    vectors = np.concatenate(steps)
    if form.dimensions not in (None, vectors.shape[1]):
        raise BadRequest(f"dimensions is {form.dimensions}; the embedder has {vectors.shape[1]}")
    rows = [
        base64.b64encode(vector.astype("<f4").tobytes()).decode()
        if form.encoding_format == "base64"
        else vector.tolist()
        for vector in vectors
    ]
    tokens = sum(map(estimate_tokens, texts))
    return EmbeddingList(
        data=[Embedding(index=index, embedding=row) for index, row in enumerate(rows)],
        model=form.model,
        usage={"prompt_tokens": tokens, "total_tokens": tokens},
    )
