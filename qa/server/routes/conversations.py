"""`/v1/knowledge-bases/{kb}/conversations`: questions in a row. Each key has its own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response, status
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from ingest.errors import BadRequest
from qa.answering import MAX_QUESTION
from qa.conversation import Conversation, Conversations
from qa.kept import exchange_json
from qa.knowledge_base import KnowledgeBase
from qa.server.access import BaseName, ReadBase
from qa.server.ask_forms import AnswerItem, CitationItem, StatementItem
from qa.server.models import Form
from qa.server.problems import NotFound, scrubbed
from qa.server.routes.ask import replied
from qa.server.routes.replies import EVENT_STREAM, problems
from qa.server.service import service_of
from qa.server.streaming import Emit
from qa.turn import Answer
from retrieval.filter_text import MAX_FILTER

PAGE_SIZE, MAX_PAGE_SIZE = 100, 1000

router = APIRouter(prefix="/v1/knowledge-bases/{kb}/conversations", tags=["conversations"])

Id = Annotated[str, Path(pattern="^[0-9a-f]{16}$", examples=["9f1c2b3a4d5e6f70"])]


class ConversationItem(BaseModel):
    """A conversation in a list: `title` is its first question, `changed` seconds since 1970."""

    id: str = Field(examples=["9f1c2b3a4d5e6f70"])
    title: str = Field(examples=["How many days of leave do I have?"])
    exchanges: int
    changed: float


class ConversationList(BaseModel):
    """The conversations of this key with a base, the last one first; `next` is the `after` of the
    following page, null at the end."""

    conversations: list[ConversationItem]
    next: str | None = None


class NewConversation(BaseModel):
    """A conversation in which nothing has been asked yet."""

    id: str = Field(examples=["9f1c2b3a4d5e6f70"])


class ExchangeItem(BaseModel):
    """A question and its answer, without the passages that were found for it."""

    question: str
    asked: float
    text: str
    abstained: bool
    evidence: float | None = None
    doubtful: bool = False
    query: str = ""
    citations: list[CitationItem]
    statements: list[StatementItem]
    model: str
    notes: list[str]
    model_config = ConfigDict(extra="allow")


class ConversationText(BaseModel):
    """What was said, in order."""

    id: str
    exchanges: list[ExchangeItem]


class Further(Form):
    """A question that may lean on those before it."""

    question: str = Field(min_length=1, max_length=MAX_QUESTION, examples=["And in winter?"])
    filter: str = Field("", max_length=MAX_FILTER, examples=["lang:en"])


@router.post("", status_code=status.HTTP_201_CREATED, responses=problems(404))
def begin_conversation(request: Request, kb: BaseName, _: ReadBase) -> NewConversation:
    """Begin a conversation. It is kept until it is deleted."""
    return NewConversation(id=_kept(request).begin(_scope(request, kb)))


@router.get("", responses=problems(404))
def list_conversations(
    request: Request,
    kb: BaseName,
    _: ReadBase,
    after: Annotated[
        str, Query(pattern="^([0-9a-f]{16})?$", description="`next` of the page before")
    ] = "",
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE)] = PAGE_SIZE,
) -> ConversationList:
    """The conversations of this key with a base."""
    try:
        found = _kept(request).list(_scope(request, kb), after=after, limit=limit + 1)
    except BadRequest as exc:
        raise NotFound(f"there is no conversation '{after}'") from exc
    following = found[limit - 1].id if len(found) > limit else None
    return ConversationList.model_validate(
        {"conversations": found[:limit], "next": following}, from_attributes=True
    )


@router.get("/{id}", responses=problems(404))
def get_conversation(request: Request, kb: BaseName, id: Id, _: ReadBase) -> ConversationText:
    """What was said in a conversation."""
    said = _loaded(request, kb, id)
    exchanges = [_told(exchange_json(exchange)) for exchange in said.exchanges]
    return ConversationText.model_validate({"id": id, "exchanges": exchanges})


@router.delete("/{id}", status_code=status.HTTP_204_NO_CONTENT, responses=problems(404))
def delete_conversation(request: Request, kb: BaseName, id: Id, _: ReadBase) -> None:
    """Forget a conversation."""
    _loaded(request, kb, id)
    _kept(request).delete(id, _scope(request, kb))


@router.post(
    "/{id}/ask",
    response_model=AnswerItem,
    responses={
        200: {
            "description": "as of `/ask`, whole or with `Accept: text/event-stream` as events",
            "content": EVENT_STREAM,
        },
        **problems(404, 502, 504),
    },
)
async def ask_further(
    request: Request, kb: BaseName, id: Id, base: ReadBase, form: Further
) -> Response:
    """Ask within a conversation. The answer is kept when it is complete."""
    said = await run_in_threadpool(_loaded, request, kb, id)
    count = service_of(request).metrics.answer
    return await replied(request, partial(_answered, said, base, form, count))


def _answered(
    said: Conversation,
    base: KnowledgeBase,
    form: Further,
    count: Callable[[Answer], None],
    emit: Emit,
) -> Answer:
    answer = said.ask(
        base,
        form.question,
        lambda token: emit("token", token),
        filters=form.filter or None,
        on_hits=lambda hits: emit("hits", hits),
    )
    count(answer)
    return answer


def _loaded(request: Request, kb: str, id_: str) -> Conversation:
    try:
        return _kept(request).load(id_, _scope(request, kb))
    except BadRequest as exc:
        raise NotFound(f"there is no conversation '{id_}'") from exc


def _kept(request: Request) -> Conversations:
    return service_of(request).conversations


def _scope(request: Request, kb: str) -> str:
    """Whose conversations: those of a key with a base."""
    return f"{kb}/{request.state.caller}"


def _told(kept: dict[str, Any]) -> dict[str, Any]:
    return {**kept, "notes": [scrubbed(note) for note in kept["notes"]]}
