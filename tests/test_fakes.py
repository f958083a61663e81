from __future__ import annotations

import pytest

from tests.contracts.embedder_contract import EmbedderContract
from tests.fakes import HashEmbedder


class TestHashEmbedder(EmbedderContract):
    @pytest.fixture
    def subject(self) -> HashEmbedder:
        return HashEmbedder()


def test_texts_that_share_words_are_near() -> None:
    embedder = HashEmbedder(dim=64)
    query = embedder.embed_query("annual leave")
    near, far = embedder.embed(["fifteen days of annual leave", "the router restarts itself"])
    assert float(query @ near) > float(query @ far) + 0.2
