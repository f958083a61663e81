"""The forms of the OpenAI API, as far as a knowledge base can fill them.

Requests may hold anything that API knows; what has no meaning here (temperature, tools...) is
ignored. Replies hold more fields: those of `BEYOND_OPENAI`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from ingest.errors import BadRequest
from qa.answering import MAX_QUESTION, checked
from qa.language import language_of
from qa.rendering import answer_json, place
from qa.server.ask_forms import MAX_HISTORY, CitationItem, StatementItem
from qa.tokens import estimate_tokens
from qa.turn import Answer, Message

MAX_INPUTS, LONGEST_INPUT = 2048, 20_000  # texts to embed (as OpenAI takes them), characters
OWNER = "kbqa"
BEYOND_OPENAI = ("citations", "statements", "abstained", "evidence", "doubtful")
_SOURCES = {"en": "Sources:", "zh": "来源："}


class Part(BaseModel):
    """A part of a message; only texts, refusals among them, have a meaning here."""

    type: str = Field(examples=["text"])
    text: str = ""
    refusal: str = ""
    model_config = ConfigDict(extra="allow")


class ChatMessage(BaseModel):
    """A message of the conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None
    model_config = ConfigDict(extra="allow")

    @property
    def said(self) -> str:
        """Its text."""
        if not isinstance(self.content, list):
            return self.content or ""
        return "".join(part.text or part.refusal for part in self.content)

    def require_text(self) -> None:
        """Raise BadRequest for an image or the like."""
        for part in self.content if isinstance(self.content, list) else ():
            if part.type != "text":
                raise BadRequest(f"a part of a message is of type '{part.type}'; only text is read")


class StreamOptions(BaseModel):
    """What a stream ends with."""

    include_usage: StrictBool | None = False
    model_config = ConfigDict(extra="allow")


class ChatForm(BaseModel):
    """A conversation with a knowledge base, which is the `model`. Its last message is the question;
    those of the system are not for the documents to follow, and are left out."""

    model: str = Field(min_length=1, max_length=100, examples=["handbook"])
    messages: list[ChatMessage] = Field(
        min_length=1,
        description=f"of those before the question, the last {MAX_HISTORY} are read",
        examples=[[{"role": "user", "content": "How many days of leave do I have?"}]],
    )
    stream: StrictBool | None = False
    stream_options: StreamOptions | None = None
    model_config = ConfigDict(extra="allow")

    def turn(self) -> tuple[str, tuple[Message, ...]]:
        """The question and what was said before. Raises BadRequest if it is no question."""
        last = self.messages[-1]
        if last.role != "user":
            raise BadRequest(f"the last message is of the {last.role}; it should be the question")
        last.require_text()
        history: list[Message] = []
        for message in self.messages[-1 - MAX_HISTORY : -1]:
            if message.role == "user" or message.role == "assistant":
                history.append(Message(message.role, message.said[:MAX_QUESTION]))
        return checked(last.said), tuple(history)


class Usage(BaseModel):
    """Tokens, as the model counts them, or as kbqa guesses where it does not."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int

    @classmethod
    def of(cls, question: str, answer: Answer) -> Usage:
        """Of an answer."""
        prompt = answer.usage.get("prompt_tokens", estimate_tokens(question))
        completion = answer.usage.get("completion_tokens", estimate_tokens(answer.text))
        return cls(
            prompt_tokens=prompt,
            completion_tokens=completion,
            total_tokens=prompt + completion,
        )


class ChatReply(BaseModel):
    """The message of an answer."""

    role: Literal["assistant"] = "assistant"
    content: str


class Choice(BaseModel):
    """The one answer."""

    index: int = 0
    message: ChatReply
    finish_reason: Literal["stop"] = "stop"
    logprobs: None = None


class ChatCompletion(BaseModel):
    """An answer, its sources at the end of its text and in `citations`; `statements` are its
    sentences, each with what it rests on."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: Usage
    citations: list[CitationItem]
    statements: list[StatementItem]
    abstained: bool = Field(description="the documents do not answer the question")
    evidence: float | None = Field(description="probability that they do, 0 to 1")
    doubtful: bool = Field(description="answered on weak evidence: check the quotes")

    @classmethod
    def of(cls, id_: str, form: ChatForm, answer: Answer) -> ChatCompletion:
        """Of an answer."""
        content = answer.text + sources_text(answer)
        return cls.model_validate({
            "id": id_,
            "created": int(time.time()),
            "model": form.model,
            "choices": [Choice(message=ChatReply(content=content))],
            "usage": Usage.of(form.messages[-1].said, answer),
            **beyond_openai(answer),
        })  # fmt: skip


class Model(BaseModel):
    """A knowledge base."""

    id: str = Field(examples=["handbook"])
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = OWNER


class ModelList(BaseModel):
    """The bases that the key is for."""

    object: Literal["list"] = "list"
    data: list[Model]


class EmbeddingForm(BaseModel):
    """Texts to be embedded as the passages of a base are."""

    model: str = Field(min_length=1, max_length=100, examples=["handbook"])
    input: str | list[str] | list[int] | list[list[int]] = Field(
        description="texts; the tokens of another model's tokenizer are refused",
        examples=[["annual leave"]],
    )
    encoding_format: Literal["float", "base64"] | None = "float"
    dimensions: int | None = Field(None, description="only that of the base's embedder")
    model_config = ConfigDict(extra="allow")

    def texts(self) -> Sequence[str]:
        """What is to be embedded. Raises BadRequest for too much or nothing of it."""
        given = [self.input] if isinstance(self.input, str) else self.input
        texts = [text for text in given if isinstance(text, str)]
        if len(texts) < len(given):
            raise BadRequest(
                "input holds tokens, which are those of another model: send texts (in LangChain "
                "by check_embedding_ctx_length=False)"
            )
        if not 1 <= len(texts) <= MAX_INPUTS:
            raise BadRequest(f"input has {len(texts)} texts; 1 to {MAX_INPUTS} can be embedded")
        if any(not text or len(text) > LONGEST_INPUT for text in texts):
            raise BadRequest(f"a text of input is empty or has over {LONGEST_INPUT:,} characters")
        return texts


class Embedding(BaseModel):
    """A vector of length 1."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str = Field(description="base64: little-endian float32")


class EmbeddingList(BaseModel):
    """The vectors, in the order of the texts."""

    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: dict[str, int]


def chunk(id_: str, form: ChatForm, delta: dict[str, str], **more: Any) -> dict[str, Any]:
    """A piece of a streamed answer; `finish_reason` and `more` on the last one."""
    finish = more.pop("finish_reason", None)
    return {
        "id": id_,
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": form.model,
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        **more,
    }


def sources_text(answer: Answer) -> str:
    """The numbered sources, to stand below an answer; "" where there are none."""
    if not answer.citations:
        return ""
    lines = [f"[{c.number}] {place(c.uri, c.page, c.heading)}" for c in answer.citations]
    return "\n\n" + "\n".join([_SOURCES[language_of(answer.text)], *lines])


def beyond_openai(answer: Answer) -> dict[str, Any]:
    """What of an answer that API has no field for, as all of kbqa gives it."""
    told = answer_json(answer)
    return {name: told[name] for name in BEYOND_OPENAI}
