"""The model that writes the answer: the `ChatModel` protocol and `open_model(spec)`.

`open_model` is the one seam to every LLM. Providers with an OpenAI-compatible endpoint are data
(`PRESETS`); the SDKs are imported when a model is opened, not before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Protocol, runtime_checkable

from ingest.errors import BadRequest, NotConfigured
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


@dataclass(frozen=True, slots=True)
class Preset:
    """A provider with an OpenAI-compatible endpoint.

    `key_variable` is the environment variable of its key, None for servers of one's own.
    `hint` says what to do when nothing answers. `other_url` is the endpoint of its other site
    (mainland or international): keys of one are refused by the other.
    """

    name: str
    base_url: str
    key_variable: str | None
    example: str
    hint: str = ""
    other_url: str = ""


PRESETS: Mapping[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset("openai", "https://api.openai.com/v1", "OPENAI_API_KEY", "gpt-4o-mini"),
        Preset(
            "dashscope",
            "https://dashscope.aliyuncs.com/compatible-mode/v1",
            "DASHSCOPE_API_KEY",
            "qwen-plus",
            other_url="https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        ),
        Preset(
            "zhipu",
            "https://open.bigmodel.cn/api/paas/v4",
            "ZHIPUAI_API_KEY",
            "glm-4-flash",
            other_url="https://api.z.ai/api/paas/v4",
        ),
        Preset("deepseek", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY", "deepseek-chat"),
        Preset(
            "moonshot",
            "https://api.moonshot.cn/v1",
            "MOONSHOT_API_KEY",
            "kimi-latest",
            other_url="https://api.moonshot.ai/v1",
        ),
        Preset(
            "siliconflow",
            "https://api.siliconflow.cn/v1",
            "SILICONFLOW_API_KEY",
            "Qwen/Qwen3-8B",
            other_url="https://api.siliconflow.com/v1",
        ),
        Preset(
            "openrouter",
            "https://openrouter.ai/api/v1",
            "OPENROUTER_API_KEY",
            "qwen/qwen3-8b",
        ),
        Preset(
            "ollama",
            "http://127.0.0.1:11434/v1",
            None,
            "qwen3",
            hint="is Ollama running? start it with `ollama serve`",
        ),
        Preset(
            "vllm",
            "http://127.0.0.1:8000/v1",
            None,
            "Qwen/Qwen3-8B",
            hint="is vLLM running? start it with `vllm serve MODEL`",
        ),
        Preset(
            "lmstudio",
            "http://127.0.0.1:1234/v1",
            None,
            "qwen3-8b",
            hint="is LM Studio's server running? start it with `lms server start`",
        ),
        Preset(
            "llamacpp",
            "http://127.0.0.1:8080/v1",
            None,
            "default",
            hint="is llama.cpp running? start it with `llama-server -m MODEL.gguf`",
        ),
    )
}
PROVIDERS = (*PRESETS, "hf", "langchain")
EXAMPLES = {
    **{name: preset.example for name, preset in PRESETS.items()},
    "hf": "Qwen/Qwen3-0.6B",
    "langchain": "anthropic:claude-sonnet-4-5",
}
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
    tokens of a spec's prompt and answer cost.
    """

    base_url: str | None = None
    api_key: str | None = None
    timeout: float = 60.0
    max_tokens: int | None = None
    temperature: float = 0.0
    attempts: int = 3
    concurrency: int | None = None
    prices: Mapping[str, Price] = field(default_factory=dict)


def open_model(
    spec: str | Sequence[str],
    options: ModelOptions | None = None,
    *,
    environ: Mapping[str, str],
) -> ChatModel:
    """The model that `spec` names: `PROVIDER:MODEL`, `langchain:PROVIDER:MODEL`, `hf:NAME`; of a
    list the first one that answers. Opening connects to nothing.

    Raises BadRequest for a spec or URL of another form, NotConfigured for a missing key or extra.
    """
    from qa.model_wrappers import Fallback, Limited, Priced, Retrying

    options = options or ModelOptions()

    def wrapped(name: str) -> ChatModel:
        model: ChatModel = Retrying(
            _open(name, options, environ),
            attempts=options.attempts,
            longest_wait=min(LONGEST_WAIT, options.timeout),
        )
        if options.concurrency:
            model = Limited(model, limit=options.concurrency, timeout=options.timeout)
        return Priced(model, options.prices.get(name))

    if isinstance(spec, str):
        return wrapped(spec)
    if not spec:
        raise BadRequest("the list of models is empty")
    models = [wrapped(name) for name in spec]
    return models[0] if len(models) == 1 else Fallback(models)


def _open(spec: str, options: ModelOptions, environ: Mapping[str, str]) -> ChatModel:
    provider, _, model = spec.partition(":")
    if provider not in PROVIDERS:
        raise BadRequest(_unknown(spec, provider))
    if not model.strip():
        raise BadRequest(
            f"model '{spec}' lacks its name: write for instance {provider}:{EXAMPLES[provider]}"
        )
    if provider == "langchain":
        from qa.langchain_model import open_langchain_model

        return open_langchain_model(spec, options, environ=environ)
    if provider == "hf":
        from qa.hf_model import open_hf_model

        return open_hf_model(spec, options)
    preset = PRESETS[provider]
    key = _key(spec, preset, options.base_url, options.api_key, environ)
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
        endpoint, model, max_tokens=options.max_tokens, temperature=options.temperature
    )


def _key(
    spec: str,
    preset: Preset,
    base_url: str | None,
    api_key: str | None,
    environ: Mapping[str, str],
) -> str:
    variable = preset.key_variable
    key = (api_key or (environ.get(variable, "") if variable else "")).strip()
    if not key and variable and not base_url:
        raise NotConfigured(f"model '{spec}' needs a key: set the environment variable {variable}")
    return key


def _key_hint(preset: Preset, base_url: str | None) -> str:
    if base_url or not preset.other_url:
        return ""
    return f"a key of {preset.name}'s other site needs the base URL {preset.other_url}"


def _unknown(spec: str, provider: str) -> str:
    if provider == "extractive":
        return "model 'extractive' is built in and is not opened: it answers without an LLM"
    known = f"write PROVIDER:MODEL, where PROVIDER is one of {', '.join(PROVIDERS)}"
    close = get_close_matches(provider.lower(), PROVIDERS, n=1)
    guess = f"did you mean '{close[0]}'? " if close else ""
    return f"unknown model '{spec}': {guess}{known}"
