"""The cross-encoder's seam on a real, tiny model with random weights, built here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ingest.errors import BadRequest, NotConfigured
from retrieval.cross_encoder import CrossEncoderReranker
from retrieval.reranking import Reranker, open_reranker
from tests.contracts.reranker_contract import RerankerContract

pytestmark = pytest.mark.torch


def build(folder: Path, labels: int) -> Path:
    """A BERT of two small layers with a classification head, saved in `folder`."""
    import transformers

    kinds: Any = transformers  # its names are made at run time
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "restart", "router", "how", "x", "."]
    (folder / "vocab.txt").write_text("\n".join(words), "utf-8")
    tokenizer = kinds.BertTokenizerFast(vocab=dict(zip(words, range(len(words)), strict=True)))
    tokenizer.model_max_length = 32
    tokenizer.save_pretrained(folder)
    config = kinds.BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        num_labels=labels,
    )
    kinds.BertForSequenceClassification(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("cross"), labels=1)


class TestCrossEncoder(RerankerContract):
    @pytest.fixture
    def subject(self, folder: Path) -> Iterator[Reranker]:
        reranker = open_reranker(f"cross:{folder}")
        yield reranker
        reranker.close()


def test_a_classifier_is_no_reranker(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="3 classes"):
        CrossEncoderReranker(str(build(tmp_path, labels=3)))


def test_a_name_that_is_not_here_is_told() -> None:
    with pytest.raises(NotConfigured, match="`hf download nobody/reranker`"):
        open_reranker("cross:nobody/reranker")


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="cannot open the reranker"):
        CrossEncoderReranker(str(tmp_path))
