"""The model that writes the answer: the `ChatModel` protocol and `open_model(spec)`.

`open_model` is the one seam to every LLM. Providers with an OpenAI-compatible endpoint are data
(`qa.presets`); the SDKs are imported when a model is opened, not before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Protocol, runtime_checkable

from ingest.errors import BadRequest, NotConfigured
from qa.presets import PRESETS, Preset
from qa.turn import Message


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model answered.

    `usage` holds `prompt_tokens`, `completion_tokens`, `total_tokens` as far as the server tells.
    `cost` is in the currency of the configured price, None without one. `model` is the spec of who
    answered where that is not the one asked, `notes` says what went wrong on the way.
    """

    text: str
    usage: Mapping[str, int] = field(default_factory=dict)
    cost: float | None = None
    model: str = ""
    notes: tuple[str, ...] = ()


@runtime_checkable
class ChatModel(Protocol):
    """Answers messages. Usable from several threads. A wrapper around one is one."""

    @property
    def name(self) -> str:
        """The spec as the user wrote it."""
        ...

    def generate(
        self, messages: Sequence[Message], *, on_token: Callable[[str], None] | None = None
    ) -> Reply:
        """The answer, never blank. The pieces given to `on_token` join to `Reply.text`."""
        ...


PROVIDERS = (*PRESETS, "hf", "langchain")
EXAMPLES = {
    **{name: preset.example for name, preset in PRESETS.items()},
    "hf": "Qwen/Qwen3-0.6B",
    "langchain": "anthropic:claude-sonnet-4-5",
}
Stored = Callable[[str], str | None]  # of the name of a provider: its key at rest
LONGEST_WAIT = 30.0  # seconds until a request is tried again


@dataclass(frozen=True, slots=True)
class Price:
    """What a million tokens cost, in any currency: of the prompt, of the answer."""

    input: float
    output: float


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """How models are opened and asked.

    `base_url` and `api_key` override what the preset and the environment say; a server at a
    `base_url` of one's own needs no key. `timeout` is seconds of silence; a streamed answer may
    last five times as long. `max_tokens` limits an answer. `attempts` on 429, 5xx and broken
    connections; `concurrency` requests at a time (None: any number). `prices`: what a million
    tokens of a spec's prompt and answer cost. `words_for_images`: a model that takes no images
    gets the text in them; without it, its refusal is an error.
    """

    base_url: str | None = None
    api_key: str | None = None
    timeout: float = 60.0
    max_tokens: int | None = None
    temperature: float = 0.0
    attempts: int = 3
    concurrency: int | None = None
    prices: Mapping[str, Price] = field(default_factory=dict)
    words_for_images: bool = True


def open_model(
    spec: str | Sequence[str],
    options: ModelOptions | None = None,
    *,
    environ: Mapping[str, str],
    stored: Stored = lambda provider: None,
) -> ChatModel:
    """The model that `spec` names: `PROVIDER:MODEL`, `langchain:PROVIDER:MODEL`, `hf:NAME`; of a
    list the first one that answers. Opening connects to nothing.

    Keys come from `options`, `environ` or `stored`, which is given the name of a provider (see
    `qa.keys`). A stored key goes to its provider's own address only.

    Raises BadRequest for a spec or URL of another form, NotConfigured for a missing key or extra.
    """
    from qa.model_wrappers import Fallback, Limited, Priced, Retrying, Sighted, Traced

    options = options or ModelOptions()

    def wrapped(name: str) -> ChatModel:
        opened = _open(name, options, environ, stored)
        model: ChatModel = Retrying(
            Sighted(opened, sees=sees(name)) if options.words_for_images else opened,
            attempts=options.attempts,
            longest_wait=min(LONGEST_WAIT, options.timeout),
        )
        if options.concurrency:
            model = Limited(model, limit=options.concurrency, timeout=options.timeout)
        return Traced(Priced(model, options.prices.get(name)))

    if isinstance(spec, str):
        return wrapped(spec)
    if not spec:
        raise BadRequest("the list of models is empty")
    models = [wrapped(name) for name in spec]
    return models[0] if len(models) == 1 else Fallback(models)


def _open(
    spec: str, options: ModelOptions, environ: Mapping[str, str], stored: Stored
) -> ChatModel:
    provider, _, model = spec.partition(":")
    if provider not in PROVIDERS:
        raise BadRequest(_unknown(spec, provider))
    if not model.strip():
        raise BadRequest(
            f"model '{spec}' lacks its name: write for instance {provider}:{EXAMPLES[provider]}"
        )
    if provider == "langchain":
        from qa.langchain_model import open_langchain_model

        return open_langchain_model(spec, options, environ=environ, stored=stored)
    if provider == "hf":
        from qa.hf_model import open_hf_model

        return open_hf_model(spec, options)
    preset = PRESETS[provider]
    key = _key(spec, preset, options, environ, stored)
    from qa.openai_model import OpenAIChatModel
    from retrieval.openai_errors import NO_KEY, Endpoint

    endpoint = Endpoint(
        name=spec,
        base_url=options.base_url or preset.base_url,
        api_key=key or NO_KEY,
        key_variable=preset.key_variable or "",
        hint=preset.hint,
        key_hint=_key_hint(preset, options.base_url),
        timeout=options.timeout,
    )
    return OpenAIChatModel(
        endpoint,
        model,
        max_tokens=options.max_tokens,
        temperature=options.temperature,
        omits=preset.omits,
    )


def sees(spec: str) -> bool:
    """Whether the model may take images; what its server says then counts."""
    provider = spec.partition(":")[0]
    return PRESETS[provider].sees if provider in PRESETS else provider == "langchain"


def _key(
    spec: str,
    preset: Preset,
    options: ModelOptions,
    environ: Mapping[str, str],
    stored: Stored,
) -> str:
    variable = preset.key_variable
    key = (options.api_key or (environ.get(variable, "") if variable else "")).strip()
    elsewhere = bool(options.base_url and variable)
    if not key and not elsewhere:
        key = stored(preset.name) or ""
    if not key and variable and not elsewhere:
        raise NotConfigured(
            f"model '{spec}' needs a key: set the environment variable {variable}, or run "
            f"`kbqa keys set {preset.name}`"
        )
    return key


def _key_hint(preset: Preset, base_url: str | None) -> str:
    if base_url or not preset.other_site:
        return ""
    return f"a key of {preset.name}'s other site goes with {preset.other_site}:MODEL"


def _unknown(spec: str, provider: str) -> str:
    if provider == "extractive":
        return "model 'extractive' is built in and is not opened: it answers without an LLM"
    known = f"write PROVIDER:MODEL, where PROVIDER is one of {', '.join(PROVIDERS)}"
    close = get_close_matches(provider.lower(), PROVIDERS, n=1)
    guess = f"did you mean '{close[0]}'? " if close else ""
    return f"unknown model '{spec}': {guess}{known}"
