"""An embedded base at 10^4, 10^5 and 10^6 chunks: building, disk, memory, search, recall, change.

python -m bench.scale [--chunks N ...] [--queries N] [--keep FOLDER]

Texts are passages of sample_docs with their words shuffled; vectors are those of real passages
plus noise that has the covariance of real ones. Each size is built in one process and searched in
another, so that memory is that of a reader. 10^6 takes the better part of an hour:
--chunks 1000000.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

from bench.common import parser, peak_memory_mb, quantiles, report, timed
from bench.corpus import chunk_texts
from bench.query import _documents, _questions
from ingest.documents import Prepared
from qa import KnowledgeBase
from qa.settings import load_settings
from retrieval.edge_store import EdgeStore
from retrieval.embedding import Embedder, Vectors
from retrieval.fusion import CANDIDATES
from retrieval.store import VECTOR
from retrieval.terms import analyse_query

LIMITS = {
    "p50 ms": "at 10^6 under 4 times that at 10^5",
    "recall": ">= .97",
    "resident MB": "< 2500 at 10^6",
    "replace ms": "the same at any size",
}
SPREAD = 0.6  # length of the noise added to a real vector: its cosine to it is about .86
BATCH = 50  # documents of 20 chunks


def main() -> None:
    """Build each size, search it in a process of its own, and print."""
    arguments = parser(__doc__)
    arguments.add_argument("--chunks", type=int, nargs="+", default=[10_000, 100_000])
    arguments.add_argument("--queries", type=int, default=200)
    arguments.add_argument("--folder", type=Path, default=Path("sample_docs"))
    arguments.add_argument("--keep", type=Path, help="build here, and leave it")
    arguments.add_argument("--stage", choices=["build", "search"], help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.stage:
        run = _build if given.stage == "build" else _search
        print(json.dumps(run(given.keep, given.folder, given.chunks[0], given.queries)))
        return
    rows = []
    for chunks in given.chunks:
        with tempfile.TemporaryDirectory(prefix="kbqa-scale-") as temporary:
            base = (given.keep or Path(temporary)) / f"kb-{chunks}"
            row: dict[str, Any] = {"chunks": chunks}
            stages = ["search"] if EdgeStore.exists(base) else ["build", "search"]
            for stage in stages:
                row |= _in_a_process(stage, base, chunks, given)
            rows.append(row)
            print(json.dumps(row), file=sys.stderr)
    report("scale", rows, as_json=given.json, limits=LIMITS)


def _in_a_process(stage: str, base: Path, chunks: int, given: Any) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.scale", "--stage", stage, "--keep", str(base)]
    options = ["--chunks", str(chunks), "--queries", str(given.queries)]
    done = subprocess.run(
        [*command, *options, "--folder", str(given.folder)], capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _build(place: Path, folder: Path, count: int, queries: int) -> dict[str, Any]:
    with KnowledgeBase.open(place, settings=load_settings()) as base:
        texts = chunk_texts(folder, base._embedder, 120)
        synthetic = Synthetic(base._embedder, texts)
        index = base._index
        index._embedder = synthetic

        def fill() -> None:
            documents = _documents(texts, count)
            while batch := list(islice(documents, BATCH)):
                index.replace(batch)

        filling, _ = timed(fill)
        indexing, _ = timed(index.optimize)
        index._embedder = base._embedder
    blocks = sum(path.stat().st_blocks for path in place.rglob("*"))
    return {
        "build s": round(filling + indexing),
        "of it the last index s": round(indexing, 1),
        "build peak MB": peak_memory_mb(),
        "disk MB": blocks * 512 // 2**20,
    }


def _search(place: Path, folder: Path, count: int, queries: int) -> dict[str, Any]:
    settings = load_settings()
    opening, base = timed(lambda: KnowledgeBase.open(place, settings=settings))
    with base:
        questions = list(islice(cycle(_questions(folder)), queries))
        texts = chunk_texts(folder, base._embedder, 120)
        synthetic = Synthetic(base._embedder, texts, seed=8)
        vectors = synthetic.embed(questions)
        store = base._opened.store
        assert isinstance(store, EdgeStore)
        asked = list(zip(vectors, (" ".join(analyse_query(q)) for q in questions), strict=True))
        for vector, terms in asked:  # warm: the files are mapped into memory
            store.search(vector, terms, limit=CANDIDATES)
        search = partial(store.search, limit=CANDIDATES)
        both = [timed(partial(search, vector, terms))[0] for vector, terms in asked]
        dense = [timed(partial(search, vector, ""))[0] for vector, _ in asked]
        words = [timed(partial(search, None, terms))[0] for _, terms in asked]
        memory = _memory()
        recall = _recall(store, vectors[:50])
        replacing = [_replace_one(base, synthetic, texts, number) for number in range(10)]
        with store._engine() as shard:
            segments = shard.info().segments_count
    return {
        "open s": round(opening, 2),
        "segments": segments,
        "p50 ms": quantiles(both)["p50_ms"],
        "p99 ms": quantiles(both)["p99_ms"],
        "dense p50": quantiles(dense)["p50_ms"],
        "words p50": quantiles(words)["p50_ms"],
        "recall": round(recall, 4),
        **memory,
        "replace ms": round(1000 * float(np.median(replacing)), 1),
    }


def _recall(store: EdgeStore, vectors: Vectors) -> float:
    """Share of the ten nearest that the index finds."""
    from qdrant_edge import Query, QueryRequest, SearchParams

    shares = []
    for vector in vectors:
        query = Query.Nearest(vector.tolist(), using=VECTOR)
        exact = SearchParams(exact=True)
        with store._engine() as shard:
            near = shard.query(
                QueryRequest(query=query, limit=10, params=exact, with_payload=False)
            )
        found = store.search(vector, "", limit=10)[0]
        shares.append(len({point.id for point in near} & {item.id for item in found}) / 10)
    return float(np.mean(shares))


def _replace_one(
    base: KnowledgeBase, embedder: Synthetic, texts: Sequence[str], number: int
) -> float:
    """Seconds to replace one document of 20 chunks, embedding left out."""
    index = base._index
    index._embedder = embedder
    document = next(_numbered(texts, number))
    seconds, _ = timed(partial(index.replace, [document]))
    index._embedder = base._embedder
    return seconds


def _numbered(texts: Sequence[str], number: int) -> Iterator[Prepared]:
    documents = _documents([*texts[number:], *texts[:number]], 20 * (number + 1))
    return islice(documents, number, None)


def _memory() -> dict[str, int]:
    """Resident memory now, and the part of it that is no page of a file."""
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    said = dict(line.split(":", 1) for line in lines)
    return {
        "resident MB": int(said["VmRSS"].split()[0]) // 1024,
        "of it own MB": int(said["RssAnon"].split()[0]) // 1024,
    }


class Synthetic:
    """Vectors near real ones: each a real passage's plus noise with the covariance of them all."""

    def __init__(self, embedder: Embedder, texts: Sequence[str], *, seed: int = 7) -> None:
        self.name, self.dimension = embedder.name, embedder.dimension
        self.max_tokens = embedder.max_tokens
        self._real = embedder
        self._vectors = embedder.embed(texts)
        centred = self._vectors - self._vectors.mean(axis=0)
        # rows of `centred` combined at random have its covariance; a little in all directions too
        self._directions = centred / np.sqrt(len(centred))
        self._random = np.random.default_rng(seed)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One vector a text, whatever it says."""
        count = len(texts)
        rows = self._random.integers(0, len(self._vectors), count)
        mixed = self._random.normal(size=(count, len(self._directions))).astype(np.float32)
        noise = mixed @ self._directions
        noise += 0.01 * self._random.normal(size=noise.shape).astype(np.float32)
        noise *= SPREAD / np.linalg.norm(noise, axis=1, keepdims=True)
        near = self._vectors[rows] + noise
        unit: Vectors = (near / np.linalg.norm(near, axis=1, keepdims=True)).astype(np.float32)
        return unit

    def embed_query(self, text: str) -> Vectors:
        """As the real one."""
        return self._real.embed_query(text)

    def token_starts(self, text: str) -> list[int]:
        """As the real one."""
        return self._real.token_starts(text)

    def known_share(self, text: str) -> float:
        """As the real one."""
        return self._real.known_share(text)

    def close(self) -> None:
        """Nothing of its own."""


if __name__ == "__main__":
    main()
