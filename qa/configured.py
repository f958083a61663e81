"""The models that the settings name, opened: those that answer, judge and describe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ingest.errors import BadRequest
from qa.chain import call_model, fall_back
from qa.extractive import NAME as EXTRACTIVE
from qa.keys import StoredKeys
from qa.model_wrappers import FALLS, Traced
from qa.models import ChatModel, ModelOptions, Price, open_model, sees
from qa.settings import Settings, environ, keys_file
from qa.turn import Handler

if TYPE_CHECKING:
    from qa.describing import Describer


def chat_model_of(model: str | Sequence[str] | ChatModel, settings: Settings) -> ChatModel | None:
    """The model, or the first of a list that answers; None for `extractive` alone.

    Raises BadRequest for an empty list or one that goes on after `extractive`.
    """
    if isinstance(model, ChatModel):
        return Traced(model)
    specs = [model] if isinstance(model, str) else model
    if not specs or EXTRACTIVE in specs[:-1]:
        raise BadRequest(f"model {list(specs)}: 'extractive' always answers, so it comes last")
    return model_of(specs, settings)


def handler_of(
    model: str | Sequence[str] | ChatModel, named: ChatModel | None, extractive: Handler
) -> Handler:
    """The innermost layer: `named`, the model of that setting; `extractive` where it is last."""
    if named is None:
        return extractive
    asked = call_model(named)
    falls = isinstance(model, Sequence) and not isinstance(model, str) and model[-1] == EXTRACTIVE
    return fall_back(asked, extractive, on=FALLS) if falls else asked


def has_llm(specs: Sequence[str]) -> bool:
    """Whether a model other than `extractive` is among them."""
    return any(spec != EXTRACTIVE for spec in specs)


def model_of(specs: Sequence[str], settings: Settings) -> ChatModel | None:
    """The first model of `specs` that answers; None where only `extractive` is among them."""
    named = [spec for spec in specs if spec != EXTRACTIVE]
    return _opened(named, _options(settings)) if named else None


def judge_of(settings: Settings) -> ChatModel | None:
    """Who judges answers, always in the same way; None for nobody."""
    if not settings.judge:
        return None
    return _opened([settings.judge], replace(_options(settings), temperature=0.0, max_tokens=None))


def describer_of(spec: str, settings: Settings) -> Describer:
    """The model `spec` as the one who describes images inside documents.

    Raises BadRequest for a model that takes no images.
    """
    from qa.describing import Describer  # whose image library is not on the path of a question

    if not sees(spec):
        raise BadRequest(f"describe_images '{spec}' takes no images: name a vision model")
    options = replace(_options(settings), words_for_images=False)
    return Describer(_opened([spec], options), settings.cache_dir / "descriptions")


def _options(settings: Settings) -> ModelOptions:
    return ModelOptions(
        base_url=settings.base_url,
        api_key=settings.api_key.get_secret_value() if settings.api_key else None,
        timeout=settings.timeout,
        max_tokens=settings.answer_tokens,
        temperature=settings.temperature,
        attempts=settings.model_attempts,
        concurrency=settings.model_concurrency,
        prices={spec: Price(p.input, p.output) for spec, p in settings.prices.items()},
    )


def _opened(specs: Sequence[str], options: ModelOptions) -> ChatModel:
    return open_model(specs, options, environ=environ(), stored=StoredKeys(keys_file()).get)
