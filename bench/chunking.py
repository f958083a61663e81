"""Long documents: characters found by the top 5, against RecursiveCharacterTextSplitter(200, 0).

python -m bench.chunking SET_FOLDER [--queries N] [--dense] [--speed DOCUMENTS_FOLDER]

The set's queries have `doc_id` and `spans` of characters. Per way to cut and to search: recall
(share of the spans' characters that the top 5 hold), precision (share of the top 5 that is in a
span) and IoU (what is in both over what is in either), mean over the queries. The peer is
`langchain-text-splitters`, sized in the same embedder's tokens, searched by the same vectors.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from bench.common import a_folder, parser, report, temporary_base, timed
from ingest.chunking import split
from ingest.documents import Chunk, Document
from ingest.loaders import load
from ingest.walking import walk
from qa.settings import load_settings
from retrieval.embedding import Embedder, open_embedder

TOP = 5
PEER_TOKENS = 200
LIMITS = {"recall, precision, IoU of ours": "above those of the peer"}

Spans = list[tuple[int, int]]


def main() -> None:
    """Measure and print."""
    arguments = parser(__doc__)
    arguments.add_argument("folder", type=a_folder, help="a set whose queries have spans")
    arguments.add_argument("--queries", type=int, default=10_000, help="the first N")
    arguments.add_argument("--dense", action="store_true", help="leave out the search of a base")
    arguments.add_argument("--speed", type=a_folder, help="also time the loading of this folder")
    given = arguments.parse_args()
    embedder = open_embedder(cache_dir=load_settings().cache_dir)
    documents = [
        Document.from_text(row["text"], uri=row["id"], title=row.get("title") or "")
        for row in _rows(given.folder / "corpus.jsonl")
    ]
    queries = list(_rows(given.folder / "queries.jsonl"))[: given.queries]
    ours = [c for d in documents for c in split(d, token_starts=embedder.token_starts)]
    rows = [
        {"cut by": "kbqa", "search": "dense", **_dense(ours, queries, embedder)},
        {"cut by": "recursive 200/0", "search": "dense", **_peer(documents, queries, embedder)},
    ]
    if not given.dense:
        rows.insert(0, {"cut by": "kbqa", "search": "kbqa", **_base(documents, queries)})
    report("chunking, characters of the top 5", rows, as_json=given.json, limits=LIMITS)
    if given.speed:
        report("cutting", [_speed(given.speed, embedder)], as_json=given.json)


def _base(documents: Sequence[Document], queries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The whole product: chunks in a base, searched as a user searches."""
    with temporary_base() as base:
        base.ingest_documents(documents)
        chunks = base.status().chunks
        found = [[hit.chunk for hit in base.search(query["text"], TOP)] for query in queries]
    places = [[(c.uri, c.start, c.end) for c in hits] for hits in found]
    return {"chunks": chunks, **_figures(places, queries)}


def _dense(
    chunks: Sequence[Chunk], queries: Sequence[dict[str, Any]], embedder: Embedder
) -> dict[str, Any]:
    places = [(chunk.uri, chunk.start, chunk.end) for chunk in chunks]
    return _by_vectors(places, [chunk.embedded_text for chunk in chunks], queries, embedder)


def _peer(
    documents: Sequence[Document], queries: Sequence[dict[str, Any]], embedder: Embedder
) -> dict[str, Any]:
    try:
        peer = import_module("langchain_text_splitters")
    except ImportError as exc:
        raise SystemExit("the peer is missing: pip install langchain-text-splitters") from exc
    splitter = peer.RecursiveCharacterTextSplitter(
        chunk_size=PEER_TOKENS,
        chunk_overlap=0,
        length_function=lambda text: len(embedder.token_starts(text)),
        add_start_index=True,
    )
    places, texts = [], []
    for document in documents:
        for piece in splitter.create_documents([document.text]):
            start = piece.metadata["start_index"]
            places.append((document.uri, start, start + len(piece.page_content)))
            texts.append(piece.page_content)
    return _by_vectors(places, texts, queries, embedder)


def _by_vectors(
    places: Sequence[tuple[str, int, int]],
    texts: Sequence[str],
    queries: Sequence[dict[str, Any]],
    embedder: Embedder,
) -> dict[str, Any]:
    vectors = embedder.embed(texts)
    asked = embedder.embed([query["text"] for query in queries])
    best = np.argsort(-(asked @ vectors.T), axis=1)[:, :TOP]
    found = [[places[column] for column in row] for row in best.tolist()]
    return {"chunks": len(places), **_figures(found, queries)}


def _figures(
    found: Sequence[Sequence[tuple[str, int, int]]], queries: Sequence[dict[str, Any]]
) -> dict[str, float]:
    recalls, precisions, ious = [], [], []
    for places, query in zip(found, queries, strict=True):
        wanted = [(start, end) for start, end in query["spans"]]
        total = sum(end - start for start, end in wanted)
        right = [(start, end) for uri, start, end in places if uri == query["doc_id"]]
        size = sum(end - start for _, start, end in places)
        both = sum(max(0, min(b, d) - max(a, c)) for a, b in wanted for c, d in right)
        recalls.append(both / total)
        precisions.append(both / size if size else 0.0)
        ious.append(both / (total + size - both))
    return {"recall": mean(recalls), "precision": mean(precisions), "IoU": mean(ious)}


def _speed(folder: Path, embedder: Embedder) -> dict[str, Any]:
    """Milliseconds a chunk for reading, tokenising and cutting."""
    root = str(folder.resolve())
    paths = [(Path(entry.path), entry.uri) for entry in walk(root, root).entries]
    loading, documents = timed(lambda: [load(path, uri=uri) for path, uri in paths])
    tokenising, starts = timed(lambda: [embedder.token_starts(d.text) for d in documents])
    known = {document.text: found for document, found in zip(documents, starts, strict=True)}
    cutting, cut = timed(lambda: [split(d, token_starts=known.__getitem__) for d in documents])
    chunks = sum(map(len, cut))
    return {
        "files": len(paths),
        "chunks": chunks,
        "load ms": 1000 * loading / chunks,
        "tokenise ms": 1000 * tokenising / chunks,
        "cut ms": 1000 * cutting / chunks,
    }


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


if __name__ == "__main__":
    main()
