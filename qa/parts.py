"""What a plugin may be made of, and how one says that it needs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ingest.errors import NotConfigured
from qa.prompting import Prompts
from qa.settings import Settings
from qa.turn import Plugin
from retrieval.embedding import Embedder
from retrieval.index import Index

if TYPE_CHECKING:
    from qa.models import ChatModel


@dataclass(frozen=True, slots=True)
class Parts:
    """The base that a plugin stands in: its passages, its settings, the LLM (None: extractive)."""

    index: Index
    embedder: Embedder
    settings: Settings
    prompts: Prompts = field(default_factory=Prompts)
    model: ChatModel | None = None

    def llm(self, plugin: str) -> ChatModel:
        """The LLM. Raises NotConfigured, for the plugin of that name, where there is none."""
        if self.model is None:
            raise NotConfigured(
                f"the plugin '{plugin}' needs an LLM, and the setting model names none: write "
                f"model = 'ollama:qwen3' for instance, or take '{plugin}' out of plugins"
            )
        return self.model


@dataclass(frozen=True, slots=True)
class WithParts:
    """Marks a function that makes a plugin from the `Parts` of the base.

    >>> @WithParts
    ... def of_today(parts: Parts) -> Plugin: ...
    """

    make: Callable[[Parts], Plugin]
