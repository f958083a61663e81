"""Any chat model that LangChain knows as a `ChatModel`, through its `init_chat_model`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, cast

import openai

from ingest.errors import BadRequest, KbqaError, NotConfigured, Unreachable
from qa.models import ModelOptions, Reply, Stored
from qa.openai_model import message_json, reply_of
from qa.reply_text import ReplyText
from qa.turn import Message
from retrieval.openai_client import PATIENCE
from retrieval.openai_errors import (
    NO_KEY,
    Endpoint,
    check,
    mapped,
    one_line,
    status_error,
    timed_out,
)

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage

INSTALL = "pip install 'kbqa[langchain]'"

# LangChain's names of the three counts -> OpenAI's
COUNTS = {
    "input_tokens": "prompt_tokens",
    "output_tokens": "completion_tokens",
    "total_tokens": "total_tokens",
}


def open_langchain_model(
    spec: str, settings: ModelOptions, *, environ: Mapping[str, str], stored: Stored
) -> LangChainChatModel:
    """The model that `langchain:PROVIDER:MODEL` names.

    The key is `PROVIDER_API_KEY` of `environ`, or the one `stored` for `langchain:PROVIDER`; where
    there is neither, the provider's package looks for its own variables. Raises BadRequest for an
    unknown provider, NotConfigured when LangChain, the provider's package or the key is missing.
    """
    _, _, provider_and_model = spec.partition(":")
    provider, _, model = provider_and_model.partition(":")
    if not (provider and model):
        raise BadRequest(f"model '{spec}' lacks a part: write langchain:PROVIDER:MODEL")
    variable = f"{provider.upper()}_API_KEY"
    endpoint = Endpoint(
        name=spec,
        base_url=settings.base_url or "",
        api_key=_key(provider, variable, settings, environ, stored) or NO_KEY,
        key_variable=variable,
        timeout=settings.timeout,
    )
    if settings.base_url:
        check(endpoint)
    options: dict[str, Any] = {
        "temperature": settings.temperature,
        "timeout": settings.timeout,
        "max_retries": 0,
    }
    if settings.max_tokens is not None:
        options["max_tokens"] = settings.max_tokens
    if settings.base_url:
        options["base_url"] = settings.base_url
    if settings.base_url or endpoint.api_key != NO_KEY:
        options["api_key"] = endpoint.api_key
    return LangChainChatModel(_init(endpoint, provider, model, options), endpoint)


def _key(
    provider: str,
    variable: str,
    settings: ModelOptions,
    environ: Mapping[str, str],
    stored: Stored,
) -> str:
    key = (settings.api_key or environ.get(variable, "")).strip()
    if key or settings.base_url:
        return key
    return stored(f"langchain:{provider}") or ""


def _init(
    endpoint: Endpoint, provider: str, model: str, options: Mapping[str, Any]
) -> BaseChatModel:
    try:
        from langchain.chat_models import init_chat_model
    except ImportError as exc:
        raise NotConfigured(f"model '{endpoint.name}' needs LangChain: {INSTALL}") from exc
    try:
        chat_model: BaseChatModel = init_chat_model(model, model_provider=provider, **options)
    except ImportError as exc:  # LangChain's message tells what to install
        raise NotConfigured(f"model '{endpoint.name}': {one_line(str(exc), endpoint)}") from exc
    except openai.OpenAIError as exc:
        raise NotConfigured(_no_key(endpoint)) from exc
    except Exception as exc:  # each package has its own; pydantic's, for one, names the key
        if "key" in str(exc).lower():
            raise NotConfigured(_no_key(endpoint)) from exc
        reason = one_line(str(exc), endpoint)
        raise BadRequest(f"model '{endpoint.name}' cannot be opened: {reason}") from exc
    return chat_model


def _no_key(endpoint: Endpoint) -> str:
    return f"model '{endpoint.name}' needs a key: set {endpoint.key_variable}"


class LangChainChatModel:
    """A `ChatModel` around one of LangChain's. LangSmith's tracing is off while it answers."""

    def __init__(self, chat_model: BaseChatModel, endpoint: Endpoint) -> None:
        self._chat_model = chat_model
        self._endpoint = endpoint

    @property
    def name(self) -> str:
        """The spec as the user wrote it."""
        return self._endpoint.name

    def generate(
        self, messages: Sequence[Message], *, on_token: Callable[[str], None] | None = None
    ) -> Reply:
        """The answer to `messages`; with `on_token`, streamed to it piece by piece.

        Raises the same errors as `OpenAIChatModel.generate`.
        """
        text, whole = ReplyText(on_token), None
        with closing(self._pieces(messages, stream=on_token is not None)) as pieces:
            for piece in pieces:
                text.add(str(piece.text))
                whole = piece if whole is None else whole + piece
        return self._reply(text.close(), whole)

    def _pieces(self, messages: Sequence[Message], *, stream: bool) -> Generator[Any, None, None]:
        """The message, or its chunks. A generator, so that errors of its reader stay unmapped."""
        from langsmith import tracing_context

        prompt = [message_json(message) for message in messages]
        ends = time.monotonic() + self._endpoint.timeout * PATIENCE
        try:
            with tracing_context(enabled=False):
                if not stream:
                    yield self._chat_model.invoke(prompt)
                    return
                chunks = cast(Generator[Any, None, None], self._chat_model.stream(prompt))
                with closing(chunks):  # and the connection with them
                    for chunk in chunks:
                        if time.monotonic() > ends:
                            raise timed_out(self._endpoint)
                        yield chunk
        except KbqaError:
            raise
        except Exception as exc:  # the providers' packages have no root in common
            raise _mapped(exc, self._endpoint) from exc

    def _reply(self, answer: str, whole: AIMessage | None) -> Reply:
        metadata = whole.response_metadata if whole is not None else {}
        finish = str(metadata.get("finish_reason") or metadata.get("stop_reason") or "")
        return reply_of(self._endpoint.label, answer, _usage(whole), finish)


def _usage(message: AIMessage | None) -> Mapping[str, int]:
    told: Mapping[str, Any] = (message.usage_metadata if message else None) or {}
    return {ours: told[theirs] for theirs, ours in COUNTS.items() if theirs in told}


def _mapped(exc: Exception, endpoint: Endpoint) -> KbqaError:
    """The error of kbqa for one of a provider's package: by the SDK's type, LangChain's, status."""
    from langchain_core import exceptions as known

    status = getattr(exc, "status_code", None)
    match exc:
        case openai.OpenAIError() | json.JSONDecodeError():
            return mapped(exc, endpoint)
        case known.ModelTimeoutError() | TimeoutError():
            return timed_out(endpoint)
        case _ if isinstance(status, int):
            headers = getattr(getattr(exc, "response", None), "headers", None)
            return status_error(status, str(exc), endpoint, headers=headers)
        case known.ModelAuthenticationError() | known.ModelPermissionDeniedError():
            return status_error(401, "", endpoint)
        case known.ModelNotFoundError():
            return status_error(404, str(exc), endpoint)
        case known.ModelRateLimitError():
            return status_error(429, str(exc), endpoint)
        case known.ModelInvalidRequestError() | known.ContextOverflowError():
            return status_error(400, str(exc), endpoint)
        case _:
            words = one_line(str(exc), endpoint)
            return Unreachable(f"{endpoint.label} failed ({type(exc).__name__}: {words})")
