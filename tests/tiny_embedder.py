"""An embedding model of random weights for sentence-transformers, two layers, built here."""

from __future__ import annotations

import shutil
from pathlib import Path

from retrieval.minilm import package_folder

PROMPTS = {"query": "question: ", "document": "passage: "}


def build(folder: Path) -> Path:
    """Write it to `folder`; it has the vocabulary of the default embedder, and prompts."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules.transformer import Transformer
    from sentence_transformers.sentence_transformer.modules.pooling import Pooling
    from transformers import BertConfig, BertModel

    bert = folder / "bert"
    torch.set_num_threads(1)  # on matrices this small, threads wait for each other
    torch.manual_seed(7)
    config = BertConfig(
        vocab_size=30522,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=128,
        initializer_range=0.5,
    )
    BertModel(config).save_pretrained(bert)
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        shutil.copy(package_folder() / name, bert)
    word = Transformer(str(bert), max_seq_length=64)
    pooling = Pooling(word.get_embedding_dimension())
    SentenceTransformer(modules=[word, pooling], prompts=PROMPTS).save(str(folder / "model"))
    return folder / "model"
