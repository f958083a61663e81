"""What is wanted of every model, whoever serves it: each a `ChatModel` around a `ChatModel`.

Sighted    gives a model that takes no images what is written in them
Retrying   asks again after 429, 5xx and broken connections, with back-off
Fallback   asks the next model when one does not answer
Limited    lets so many requests run at a time
Traced     has a span for each request
Priced     counts tokens where the server does not, and what they cost

None of them starts over once a token has gone to the reader.
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from ingest.errors import (
    BadRequest,
    KbqaError,
    NotAuthorised,
    NotConfigured,
    RateLimited,
    TimedOut,
    Unreachable,
)
from qa.images import in_words
from qa.models import LONGEST_WAIT, ChatModel, Price, Reply
from qa.tokens import estimate_tokens
from qa.tracing import span
from qa.turn import Message

ATTEMPTS = 3
FIRST_WAIT = 0.5  # seconds; doubled from one attempt to the next
JITTER = 0.25  # share taken off at random, so that many clients do not come back at once
PER_MILLION = 1e6

# what servers say of images they do not take: OpenRouter, llama.cpp, vLLM, DeepSeek
_IMAGES = re.compile(r"image|multi-?modal|vision", re.IGNORECASE)

OnToken = Callable[[str], None]


class _Watched:
    """Passes tokens on and remembers that one came."""

    def __init__(self, on_token: OnToken | None) -> None:
        self._on_token = on_token
        self.started = False

    @property
    def reader(self) -> OnToken | None:
        """What to give to the model; None when nobody reads along."""
        return self._pass_on if self._on_token else None

    def _pass_on(self, token: str) -> None:
        assert self._on_token is not None
        self.started = True
        self._on_token(token)


class Around:
    """What stands around a model and has its name."""

    def __init__(self, model: ChatModel) -> None:
        self._model = model

    @property
    def name(self) -> str:
        """That of the model."""
        return self._model.name


class Sighted(Around):
    """Gives a model that takes no images what is written in them, and says so in the notes.

    `sees`: whether it may take some; if its server then refuses them, it gets the words.
    """

    def __init__(self, model: ChatModel, *, sees: bool) -> None:
        super().__init__(model)
        self._sees = sees

    def generate(
        self, messages: Sequence[Message], *, on_token: Callable[[str], None] | None = None
    ) -> Reply:
        """The model's reply."""
        if not any(message.images for message in messages):
            return self._model.generate(messages, on_token=on_token)
        if self._sees:
            watched = _Watched(on_token)
            try:
                return self._model.generate(messages, on_token=watched.reader)
            except (BadRequest, Unreachable) as exc:
                if watched.started or not self._is_about_images(exc):
                    raise
        reply = self._model.generate([_in_words(m) for m in messages], on_token=on_token)
        note = f"{self.name} takes no images: it was given the text in them"
        return replace(reply, notes=(*reply.notes, note))

    def _is_about_images(self, exc: KbqaError) -> bool:
        return bool(_IMAGES.search(str(exc).replace(self.name, "")))


def _in_words(message: Message) -> Message:
    return replace(message, content=in_words(message.content, message.images), images=())


class Retrying(Around):
    """Asks up to `attempts` times. A wait that would exceed `longest_wait` is not begun."""

    def __init__(
        self,
        model: ChatModel,
        *,
        attempts: int = ATTEMPTS,
        first_wait: float = FIRST_WAIT,
        longest_wait: float = LONGEST_WAIT,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(model)
        self._attempts = attempts
        self._first_wait, self._longest_wait = first_wait, longest_wait
        self._sleep = sleep

    def generate(
        self, messages: Sequence[Message], *, on_token: Callable[[str], None] | None = None
    ) -> Reply:
        """The model's reply; the error of the last attempt when none succeeds."""
        for attempt in range(1, self._attempts + 1):
            watched = _Watched(on_token)
            try:
                return self._model.generate(messages, on_token=watched.reader)
            except (RateLimited, Unreachable) as exc:
                wait = self._wait(attempt, exc)
                hopeless = isinstance(exc, Unreachable) and not exc.transient
                last = attempt == self._attempts
                if last or hopeless or watched.started or wait > self._longest_wait:
                    raise
                self._sleep(wait)
        raise AssertionError("attempts is below 1")

    def _wait(self, attempt: int, exc: RateLimited | Unreachable) -> float:
        if exc.retry_after is not None:
            return max(0.0, exc.retry_after)
        wait = min(self._longest_wait, self._first_wait * 2.0 ** (attempt - 1))
        return wait * random.uniform(1 - JITTER, 1)


class Fallback:
    """Asks the models in turn until one answers. `Reply.notes` tells which did not, and why."""

    def __init__(self, models: Sequence[ChatModel]) -> None:
        self._models = tuple(models)

    @property
    def name(self) -> str:
        """The names of all, between commas."""
        return ", ".join(model.name for model in self._models)

    def generate(
        self, messages: Sequence[Message], *, on_token: Callable[[str], None] | None = None
    ) -> Reply:
        """The first reply. Raises the last model's error when none answers.

        A request that one refuses (no such model, too long, filtered) may be fine for the next.
        """
        notes: list[str] = []
        for model in self._models[:-1]:
            watched = _Watched(on_token)
            try:
                reply = model.generate(messages, on_token=watched.reader)
            except FALLS as exc:
                if watched.started:
                    raise
                notes.append(str(exc))
            else:
                return _noted(reply, model, notes)
        return _noted(
            self._models[-1].generate(messages, on_token=on_token), self._models[-1], notes
        )


FALLS: tuple[type[KbqaError], ...] = (
    BadRequest,
    NotAuthorised,
    NotConfigured,
    RateLimited,
    TimedOut,
    Unreachable,
)
"""Errors of a model that another one may not have."""


def _noted(reply: Reply, model: ChatModel, notes: Sequence[str]) -> Reply:
    return replace(reply, model=reply.model or model.name, notes=(*notes, *reply.notes))


class Limited(Around):
    """Lets `limit` requests run at a time; a further one waits up to `timeout` seconds."""

    def __init__(self, model: ChatModel, *, limit: int, timeout: float) -> None:
        super().__init__(model)
        self._slots = threading.BoundedSemaphore(limit)
        self._limit, self._timeout = limit, timeout

    def generate(
        self, messages: Sequence[Message], *, on_token: Callable[[str], None] | None = None
    ) -> Reply:
        """The model's reply. Raises TimedOut when no slot gets free."""
        if not self._slots.acquire(timeout=self._timeout):
            raise TimedOut(
                f"{self.name} was busy with {self._limit} other request(s) for "
                f"{self._timeout:g} s: raise model_concurrency, or ask again"
            )
        try:
            return self._model.generate(messages, on_token=on_token)
        finally:
            self._slots.release()


class Traced(Around):
    """Has a span for each request, without what was asked or answered."""

    def generate(
        self, messages: Sequence[Message], *, on_token: Callable[[str], None] | None = None
    ) -> Reply:
        """The model's reply."""
        provider, _, model = self.name.partition(":")
        with span(
            f"chat {model or provider}",
            "client",
            gen_ai__operation__name="chat",
            gen_ai__provider__name=provider,
            gen_ai__request__model=model or provider,
            gen_ai__request__stream=True if on_token else None,
        ) as told:
            reply = self._model.generate(messages, on_token=on_token)
            told.note(
                gen_ai__response__model=reply.model or None,
                gen_ai__usage__input_tokens=reply.usage.get("prompt_tokens"),
                gen_ai__usage__output_tokens=reply.usage.get("completion_tokens"),
            )
        return reply


class Priced(Around):
    """Completes `Reply.usage` by an estimate where the server counted nothing, and its cost.

    `usage["estimated"]` is 1 then. `Reply.cost` stays None without a price.
    """

    def __init__(self, model: ChatModel, price: Price | None = None) -> None:
        super().__init__(model)
        self._price = price

    def generate(
        self, messages: Sequence[Message], *, on_token: Callable[[str], None] | None = None
    ) -> Reply:
        """The model's reply with its usage and cost."""
        reply = self._model.generate(messages, on_token=on_token)
        usage = _counted(reply.usage) or _estimated(messages, reply.text)
        return replace(reply, usage=usage, cost=self._cost(usage))

    def _cost(self, usage: Mapping[str, int]) -> float | None:
        if self._price is None:
            return None
        prompt, completion = usage["prompt_tokens"], usage["completion_tokens"]
        return (prompt * self._price.input + completion * self._price.output) / PER_MILLION


def _counted(usage: Mapping[str, int]) -> Mapping[str, int]:
    return usage if {"prompt_tokens", "completion_tokens"} <= usage.keys() else {}


def _estimated(messages: Sequence[Message], answer: str) -> Mapping[str, int]:
    prompt = sum(estimate_tokens(message.content) for message in messages)
    completion = estimate_tokens(answer)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "estimated": 1,
    }
