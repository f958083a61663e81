"""Any OpenAI-compatible chat endpoint as a `ChatModel`, through the `openai` SDK."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from typing import Any

import openai

from ingest.errors import BadRequest, KbqaError, Unreachable
from qa.models import Reply
from qa.reply_text import ReplyText
from qa.turn import Message
from retrieval.openai_client import open_client
from retrieval.openai_errors import Endpoint, clear_errors, cut, malformed

NO_ROOM = ("length", "max_tokens")  # as OpenAI and Anthropic call it
FILTERED = "content_filter"
COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")


class OpenAIChatModel:
    """A `ChatModel` behind `endpoint`; `model` is its name there. Usable from several threads.

    `max_tokens` limits an answer (None: the server's own limit). `omits` names arguments that are
    known to be refused. A request is tried once: see
    `qa.model_wrappers.Retrying`. Optional arguments that a server refuses by name (reasoning models
    refuse `temperature`, some servers `stream_options`) are left out from then on.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        model: str,
        *,
        max_tokens: int | None = None,
        temperature: float = 0.0,
        omits: frozenset[str] = frozenset(),
    ) -> None:
        self._endpoint = endpoint
        self._options = {"model": model, "temperature": temperature}
        if max_tokens is not None:
            self._options["max_tokens"] = max_tokens
        self._refused = omits
        self._client = open_client(endpoint, retries=0)
        self._finalizer = weakref.finalize(self, self._client.close)

    @property
    def name(self) -> str:
        """The spec as the user wrote it."""
        return self._endpoint.name

    def generate(
        self, messages: Sequence[Message], *, on_token: Callable[[str], None] | None = None
    ) -> Reply:
        """The answer to `messages`; with `on_token`, streamed to it piece by piece.

        Raises the errors of `retrieval.openai_errors`, BadRequest for an answer that was filtered
        or had no room, Unreachable for an empty one.
        """
        if on_token is None:
            return self._ask(messages)
        return self._stream(messages, on_token)

    def close(self) -> None:
        """Close the connections; may be called twice."""
        self._finalizer()

    def _ask(self, messages: Sequence[Message]) -> Reply:
        with clear_errors(self._endpoint):
            completion = self._create(messages)
        choices = _choices(completion)
        if choices is None:
            raise malformed(self._endpoint)
        text, finish = ReplyText(), ""
        for choice in choices[:1]:
            text.add(_content(choice, "message"))
            finish = getattr(choice, "finish_reason", None) or ""
        return self._reply(text, _usage(completion), finish)

    def _stream(self, messages: Sequence[Message], on_token: Callable[[str], None]) -> Reply:
        text, finish = ReplyText(on_token), ""
        usage: Mapping[str, int] = {}
        seen = False
        with closing(self._chunks(messages)) as chunks:
            for chunk in chunks:
                seen = True
                usage = _usage(chunk) or usage
                for choice in (_choices(chunk) or ())[:1]:
                    text.add(_content(choice, "delta"))
                    finish = getattr(choice, "finish_reason", None) or finish
        if not finish:
            raise cut(self._endpoint) if seen else malformed(self._endpoint)
        return self._reply(text, usage, finish)

    def _chunks(self, messages: Sequence[Message]) -> Generator[Any, None, None]:
        """The events of a stream. A generator, so that errors of its reader stay unmapped."""
        arguments = {"stream": True, "stream_options": {"include_usage": True}}
        with clear_errors(self._endpoint), self._create(messages, **arguments) as stream:
            yield from stream

    def _create(self, messages: Sequence[Message], **arguments: Any) -> Any:
        """One request, and another one for each optional argument that the server refuses."""
        wanted = {**self._options, **arguments, "messages": [message_json(m) for m in messages]}
        refused = self._refused
        while True:
            sent = _without(wanted, refused)
            try:
                reply = self._client.chat.completions.create(**sent)
            except (openai.BadRequestError, openai.UnprocessableEntityError) as exc:
                culprit = _refused_argument(sent, exc)
                if culprit is None:
                    raise
                refused = refused | {culprit}
            else:
                self._refused = refused
                return reply

    def _reply(self, text: ReplyText, usage: Mapping[str, int], finish: str) -> Reply:
        return reply_of(self._endpoint.label, text.close(), usage, finish)


def reply_of(label: str, answer: str, usage: Mapping[str, int], finish: str) -> Reply:
    """What a model said, with a note where it was cut off; `finish` is the reason that the server
    gave for its end. Raises BadRequest or Unreachable for an answer without text."""
    if not answer.strip():
        raise _empty(label, finish)
    notes = {
        **dict.fromkeys(NO_ROOM, "it had no more room (answer_tokens, or the model's own limit)"),
        FILTERED: "the content filter withheld the rest",
    }
    why = notes.get(finish)
    return Reply(answer, usage, notes=(f"the answer of {label} is cut off: {why}",) if why else ())


def _empty(label: str, finish: str) -> KbqaError:
    if finish in NO_ROOM:
        return BadRequest(f"{label} used all its tokens before it answered: raise answer_tokens")
    if finish == FILTERED:
        return BadRequest(f"{label} withheld the answer (content filter)")
    return Unreachable(f"{label} sent an empty answer: ask again, or use another model")


def message_json(message: Message) -> dict[str, Any]:
    """A message as the API takes it: with images, in parts; lone surrogates become `?`."""
    text = message.content.encode("utf-8", "replace").decode()
    if not message.images:
        return {"role": message.role, "content": text}
    pictures = [{"type": "image_url", "image_url": {"url": i.url}} for i in message.images]
    return {"role": message.role, "content": [{"type": "text", "text": text}, *pictures]}


def _choices(reply: Any) -> list[Any] | None:
    """The choices of a reply; None if it is no such reply: the SDK does not check that."""
    choices = getattr(reply, "choices", None)
    return choices if isinstance(choices, list) else None


def _content(choice: Any, part: str) -> str:
    """The text of a choice's `message` or `delta`; reasoning comes in fields that are not read."""
    content = getattr(getattr(choice, part, None), "content", None)
    return content if isinstance(content, str) else ""


def _usage(reply: Any) -> Mapping[str, int]:
    usage = getattr(reply, "usage", None)
    counts = {name: getattr(usage, name, None) for name in COUNTS}
    return {name: count for name, count in counts.items() if isinstance(count, int)}


def _without(arguments: Mapping[str, Any], refused: frozenset[str]) -> dict[str, Any]:
    sent = {name: value for name, value in arguments.items() if name not in refused}
    if "max_tokens" in refused and "max_tokens" in arguments:
        sent["max_completion_tokens"] = arguments["max_tokens"]
    return sent


def _refused_argument(sent: Mapping[str, Any], exc: openai.APIStatusError) -> str | None:
    """Which optional argument of `sent` the server stumbled over, if it was one."""
    words = f"{exc.param} {exc.message}"
    if "temperature" in sent and "temperature" in words:
        return "temperature"
    if "max_tokens" in sent and "max_completion_tokens" in words:
        return "max_tokens"
    # older servers refuse what they do not know without naming it
    return "stream_options" if "stream_options" in sent else None
