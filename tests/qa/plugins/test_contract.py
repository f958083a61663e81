"""Every plugin of ours in a real base, held to the contract."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from ingest.errors import NotConfigured
from qa.knowledge_base import KnowledgeBase
from qa.layers import OURS, made
from qa.parts import Parts
from qa.settings import load_settings
from qa.turn import Message, Plugin
from retrieval.embedding import Embedder
from tests.contracts.plugin_contract import PluginContract
from tests.qa.test_plugins import Model
from tests.sample_base import copy_base


def reply(messages: Sequence[Message]) -> str:
    """What an LLM may say to any of our prompts."""
    return "How much leave is there?\nWhen does leave expire?"


@pytest.fixture(scope="module")
def base(
    library: Path, embedder: Embedder, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KnowledgeBase]:
    """A base of the four files that nothing changes."""
    folder = copy_base(library, tmp_path_factory.mktemp("contract") / "kb")
    with KnowledgeBase.open(folder, embedder=embedder) as opened:
        yield opened


@pytest.fixture
def parts(base: KnowledgeBase, embedder: Embedder) -> Parts:
    return Parts(base._index, embedder, load_settings(), model=Model(reply))


@pytest.mark.parametrize("name", OURS)
class TestOurs(PluginContract):
    @pytest.fixture
    def plugin(self, name: str, parts: Parts) -> Plugin:
        return made([OURS[name]], parts)[0]


@pytest.mark.parametrize("name", [name for name, layer in OURS.items() if layer.needs_llm])
def test_what_needs_an_llm_says_so(name: str, parts: Parts) -> None:
    with pytest.raises(NotConfigured, match=f"'{name}' needs an LLM") as caught:
        made([OURS[name]], replace(parts, model=None))
    assert "\n" not in str(caught.value)
