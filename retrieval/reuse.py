"""Vectors that need not be computed again: passages that an edited document has kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from retrieval.embedding import Embedder, Vectors
from retrieval.points import CHUNK_FIELDS, chunk_of, row_id
from retrieval.store import Store


def known_vectors(store: Store, uris: Sequence[str]) -> dict[str, Vectors]:
    """Embedded text -> vector of every passage that the documents `uris` have at the moment."""
    rows = store.read([row_id(uri) for uri in uris], fields=["document_id"])
    versions = [id_ for row in rows.values() if (id_ := row.payload["document_id"])]
    if not versions:
        return {}
    where = {"kind": "chunk", "document_id": versions}
    points = store.scan(where, fields=CHUNK_FIELDS, vectors=True)
    return {
        chunk_of(point).embedded_text: point.vector for point in points if point.vector is not None
    }


def embed_unknown(
    embedder: Embedder, texts: Sequence[str], known: Mapping[str, Vectors]
) -> Sequence[Vectors]:
    """A vector for each of `texts`; only those that are not `known` are embedded, each once."""
    new = list(dict.fromkeys(text for text in texts if text not in known))
    if len(new) == len(texts):
        return list(embedder.embed(texts))
    fresh = dict(zip(new, embedder.embed(new), strict=True)) if new else {}
    return [np.asarray(fresh[text] if text in fresh else known[text]) for text in texts]
