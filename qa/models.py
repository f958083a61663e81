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
    """

    text: str
    usage: Mapping[str, int] = field(default_factory=dict)


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
PROVIDERS = (*PRESETS, "langchain")


def open_model(
    spec: str,
    *,
    base_url: str | None = None,
    api_key: str | None = None,
    timeout: float = 60.0,
    max_tokens: int | None = None,
    temperature: float = 0.0,
    environ: Mapping[str, str],
) -> ChatModel:
    """The model that `spec` names: `PROVIDER:MODEL`, or `langchain:PROVIDER:MODEL`.

    `base_url` and `api_key` override what the preset and `environ` say; a server at a `base_url`
    of one's own needs no key. `timeout` is seconds of silence; a streamed answer may last five
    times as long. `max_tokens` limits an answer. Opening connects to nothing.

    Raises BadRequest for a spec or URL of another form, NotConfigured for a missing key or extra.
    """
    provider, _, model = spec.partition(":")
    if provider not in PROVIDERS:
        raise BadRequest(_unknown(spec, provider))
    if not model.strip():
        preset = PRESETS.get(provider)
        example = preset.example if preset else "anthropic:claude-sonnet-4-5"
        raise BadRequest(f"model '{spec}' lacks its name: write for instance {provider}:{example}")
    if provider == "langchain":
        from qa.langchain_model import open_langchain_model

        return open_langchain_model(
            spec,
            base_url=base_url,
            api_key=api_key,
            timeout=timeout,
            max_tokens=max_tokens,
            temperature=temperature,
            environ=environ,
        )
    preset = PRESETS[provider]
    key = _key(spec, preset, base_url, api_key, environ)
    from qa.openai_model import OpenAIChatModel
    from retrieval.openai_errors import NO_KEY, Endpoint

    endpoint = Endpoint(
        name=spec,
        base_url=base_url or preset.base_url,
        api_key=key or NO_KEY,
        key_variable=preset.key_variable or "",
        hint=preset.hint,
        key_hint=_key_hint(preset, base_url),
        timeout=timeout,
    )
    return OpenAIChatModel(endpoint, model, max_tokens=max_tokens, temperature=temperature)


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
