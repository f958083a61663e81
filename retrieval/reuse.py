"""Vectors that need not be computed again: passages that an edited document has kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from retrieval.embedding import Embedder, Vectors
from retrieval.points import CHUNK_FIELDS, chunk_of, row_id
from retrieval.store import Store

STEP = 64  # texts embedded at a time: a full batch of every runtime


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
    embedder: Embedder,
    texts: Sequence[str],
    known: Mapping[str, Vectors],
    waiting: Callable[[], None],
) -> Sequence[Vectors]:
    """A vector for each of `texts`; only those that are not `known` are embedded, each once.

    `waiting` is called before each `STEP` of them; what it raises ends it.
    """
    new = list(dict.fromkeys(text for text in texts if text not in known))
    new.sort(key=len)  # little padding in each step
    fresh: dict[str, Vectors] = {}
    for start in range(0, len(new), STEP):
        waiting()
        step = new[start : start + STEP]
        fresh.update(zip(step, embedder.embed(step), strict=True))
    return [np.asarray(fresh[text] if text in fresh else known[text]) for text in texts]
