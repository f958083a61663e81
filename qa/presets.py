"""Providers with an OpenAI-compatible endpoint, as data. Addresses are those of their manuals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Preset:
    """A provider with an OpenAI-compatible endpoint.

    `key_variable` is the environment variable of its key, None for servers of one's own.
    `hint` says what to do when nothing answers. `other_site` is the preset of its other site
    (mainland or international): keys of one are refused by the other. `omits` names arguments
    that its models refuse, `sees` is false where none of them takes images.
    """

    name: str
    base_url: str
    key_variable: str | None
    example: str
    hint: str = ""
    other_site: str = ""
    omits: frozenset[str] = frozenset()
    sees: bool = True


# Kimi takes no temperature but its own (1 when it thinks, .6 when not) and fails on others
_OWN_TEMPERATURE = frozenset({"temperature"})

PRESETS: Mapping[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset("openai", "https://api.openai.com/v1", "OPENAI_API_KEY", "gpt-4o-mini"),
        Preset(
            "dashscope",
            "https://dashscope.aliyuncs.com/compatible-mode/v1",
            "DASHSCOPE_API_KEY",
            "qwen-plus",
            other_site="dashscope-intl",
        ),
        Preset(
            "dashscope-intl",
            "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
            "DASHSCOPE_API_KEY",
            "qwen-plus",
            other_site="dashscope",
        ),
        Preset(
            "zhipu",
            "https://open.bigmodel.cn/api/paas/v4",
            "ZHIPUAI_API_KEY",
            "glm-4-flash",
            other_site="zai",
        ),
        Preset(
            "zai",
            "https://api.z.ai/api/paas/v4",
            "ZAI_API_KEY",
            "glm-4.7",
            other_site="zhipu",
        ),
        Preset(
            "deepseek",
            "https://api.deepseek.com/v1",
            "DEEPSEEK_API_KEY",
            "deepseek-v4-flash",
            sees=False,
        ),
        Preset(
            "moonshot",
            "https://api.moonshot.cn/v1",
            "MOONSHOT_API_KEY",
            "kimi-k2.6",
            other_site="moonshot-intl",
            omits=_OWN_TEMPERATURE,
        ),
        Preset(
            "moonshot-intl",
            "https://api.moonshot.ai/v1",
            "MOONSHOT_API_KEY",
            "kimi-k2.6",
            other_site="moonshot",
            omits=_OWN_TEMPERATURE,
        ),
        Preset(
            "siliconflow",
            "https://api.siliconflow.cn/v1",
            "SILICONFLOW_API_KEY",
            "Qwen/Qwen3-8B",
            other_site="siliconflow-intl",
        ),
        Preset(
            "siliconflow-intl",
            "https://api.siliconflow.com/v1",
            "SILICONFLOW_API_KEY",
            "Qwen/Qwen3-8B",
            other_site="siliconflow",
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
