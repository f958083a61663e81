"""Texts to measure with."""

from __future__ import annotations

from itertools import cycle, islice
from pathlib import Path

from ingest.chunking import split
from ingest.errors import Unsupported
from ingest.loaders import load
from ingest.walking import walk
from retrieval.embedding import Embedder


def chunk_texts(folder: Path, embedder: Embedder, count: int) -> list[str]:
    """What is embedded of the documents in `folder`: the first `count` chunks, repeated if few."""
    texts = []
    for entry in walk(str(folder.resolve()), str(folder.resolve())).entries:
        try:
            document = load(Path(entry.path), uri=entry.uri)
        except Unsupported:  # an archive
            continue
        chunks = split(document, token_starts=embedder.token_starts, max_tokens=embedder.max_tokens)
        texts += [chunk.embedded_text for chunk in chunks]
        if len(texts) >= count:
            break
    if not texts:
        raise SystemExit(f"no documents in {folder}")
    return list(islice(cycle(texts), count))
