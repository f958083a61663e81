"""How a base answers: its plugins around the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

from ingest.errors import BadRequest
from qa.chain import Teller, before_model, build_chain
from qa.configured import chat_model_of, handler_of
from qa.extractive import answer_extractively
from qa.images import Pictured, images_of
from qa.layers import chain_of, made
from qa.models import ChatModel
from qa.parts import Parts, WithParts
from qa.prompting import Prompts
from qa.settings import Settings
from qa.turn import Answer, Handler, Message, Plugin, Turn
from retrieval.embedding import Embedder
from retrieval.filters import Filters
from retrieval.hits import Hit
from retrieval.index import Index

MAX_QUESTION = 20_000  # characters


@dataclass(frozen=True, slots=True)
class Answering:
    """The chain of one version of a base. `ask` and `prompt` are those of `KnowledgeBase`."""

    plugins: Sequence[Plugin]
    handler: Handler

    @classmethod
    def of(
        cls,
        index: Index,
        embedder: Embedder,
        settings: Settings,
        prompts: Prompts,
        *,
        model: str | Sequence[str] | ChatModel,
        plugins: Sequence[str | Plugin | WithParts],
    ) -> Self:
        """The plugins, made for that index, around the model. Raises BadRequest, NotConfigured."""
        named = chat_model_of(model, settings)
        chain = made(chain_of(plugins), Parts(index, embedder, settings, prompts, named))
        innermost = handler_of(model, named, answer_extractively(index, embedder))
        return cls(chain, build_chain(chain, innermost))

    def ask(
        self,
        question: str,
        on_token: Callable[[str], None] | None,
        *,
        history: Sequence[Message],
        filters: Filters | None,
        images: Sequence[Pictured],
        on_hits: Callable[[tuple[Hit, ...]], None] | None,
    ) -> Answer:
        """The answer of the chain, told to `on_token` to its last character."""
        teller = Teller(on_token)
        turn = replace(_turn(question, history, filters), images=images_of(images))
        turn = self.handler(replace(turn, on_token=teller.on_token, on_hits=on_hits))
        teller.tell_all(turn.text)
        return Answer.of(turn)

    def before_model(
        self, question: str, *, history: Sequence[Message], filters: Filters | None
    ) -> Turn | None:
        """The turn with which the model would be called."""
        return before_model(self.plugins, _turn(question, history, filters))


def _turn(question: str, history: Sequence[Message], filters: Filters | None) -> Turn:
    return Turn(checked(question), history=tuple(history), filters=filters)


def checked(question: str) -> str:
    """A question without blanks around it. Raises BadRequest if it is empty or too long."""
    question = question.encode("utf-8", "replace").decode().strip()  # a lone surrogate: no text
    if not question:
        raise BadRequest("the question is empty")
    if len(question) > MAX_QUESTION:
        raise BadRequest(
            f"the question has {len(question):,} characters; the limit is {MAX_QUESTION:,}"
        )
    return question
