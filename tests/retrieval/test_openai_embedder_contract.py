from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from retrieval.openai_embedder import OpenAIEmbedder
from tests.contracts.embedder_contract import EmbedderContract
from tests.scripted_server import ScriptedServer

pytestmark = pytest.mark.integration


class TestOpenAIEmbedder(EmbedderContract):
    @pytest.fixture
    def subject(self) -> Iterator[OpenAIEmbedder]:
        with (
            ScriptedServer(dimension=32) as server,
            closing(OpenAIEmbedder("m", base_url=server.base_url, api_key="")) as embedder,
        ):
            yield embedder
