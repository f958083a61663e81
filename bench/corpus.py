"""Texts to measure with."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

from ingest.chunking import split
from ingest.documents import Document
from ingest.loaders.members import load_all
from ingest.walking import walk
from retrieval.embedding import Embedder


def chunk_texts(folder: Path, embedder: Embedder, count: int) -> list[str]:
    """What is embedded of the documents in `folder`: the first `count` chunks, repeated if few."""
    texts: list[str] = []
    for document in _documents(folder.resolve()):
        chunks = split(document, token_starts=embedder.token_starts, max_tokens=embedder.max_tokens)
        texts += [chunk.embedded_text for chunk in chunks]
        if len(texts) >= count:
            break
    if not texts:
        raise SystemExit(f"no documents in {folder}")
    return list(islice(cycle(texts), count))


def _documents(folder: Path) -> Iterator[Document]:
    """Every document that can be read, those in archives among them."""
    for entry in walk(str(folder), str(folder)).entries:
        for piece in load_all(Path(entry.path), uri=entry.uri):
            if isinstance(piece, Document):
                yield piece
