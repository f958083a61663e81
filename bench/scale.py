"""An embedded base at 10^4, 10^5 and 10^6 chunks: building, disk, memory, search, recall, change.

python -m bench.scale [--chunks N ...] [--queries N] [--keep FOLDER]

Texts are passages of sample_docs with their words shuffled; vectors are those of real passages
plus noise that has the covariance of real ones. One base grows from size to size; each is built in
one process and searched in another, so that memory is that of a reader. 10^6 takes an hour or more:
--chunks 100000 1000000 --keep FOLDER, and the same command again goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

from bench.common import a_folder, parser, peak_memory_mb, quantiles, report, timed
from bench.corpus import chunk_texts
from bench.synthetic import TEXTS, document, grow, questions, scattered
from qa import KnowledgeBase
from qa.settings import load_settings
from retrieval.edge_store import EdgeStore
from retrieval.embedding import Vectors, open_embedder
from retrieval.fusion import CANDIDATES
from retrieval.store import VECTOR
from retrieval.terms import analyse_query

LIMITS = {
    "p50 ms": "at 10^6 under 4 times that at 10^5",
    "recall": ">= .97",
    "resident MB": "< 2500 at 10^6",
    "replace ms": "the same at any size",
}
EXACT_QUERIES = 50  # compared with exact search


def main() -> None:
    """Build each size, search it in a process of its own, and print."""
    arguments = parser(__doc__)
    arguments.add_argument("--chunks", type=int, nargs="+", default=[10_000, 100_000])
    arguments.add_argument("--queries", type=int, default=200)
    arguments.add_argument("--folder", type=a_folder, default=Path("sample_docs"))
    arguments.add_argument("--keep", type=Path, help="build here, leave it, go on with it")
    arguments.add_argument("--stage", choices=["build", "search"], help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.stage:
        run = _build if given.stage == "build" else _search
        print(json.dumps(run(given.keep, given.chunks[0], given.queries, given.folder)))
        return
    with tempfile.TemporaryDirectory(prefix="kbqa-scale-") as temporary:
        place = given.keep or Path(temporary)
        place.mkdir(parents=True, exist_ok=True)
        _note_texts(place, given.folder)
        rows = [_measure(place, chunks, given) for chunks in sorted(given.chunks)]
    report("scale", rows, as_json=given.json, limits=LIMITS)


def _note_texts(place: Path, folder: Path) -> None:
    """Reads the documents here: what their formats need would count as memory of a reader."""
    embedder = open_embedder(cache_dir=load_settings().cache_dir)
    (place / "texts.json").write_text(json.dumps(chunk_texts(folder, embedder, TEXTS)), "utf-8")
    embedder.close()


def _measure(place: Path, chunks: int, given: argparse.Namespace) -> dict[str, Any]:
    row = {"chunks": chunks}
    for stage in ("build", "search"):
        row |= _in_a_process(stage, place, chunks, given)
        print(json.dumps(row), file=sys.stderr)
    return row


def _in_a_process(stage: str, place: Path, chunks: int, given: Any) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.scale", "--stage", stage, "--keep", str(place)]
    options = ["--chunks", str(chunks), "--queries", str(given.queries)]
    done = subprocess.run(
        [*command, *options, "--folder", str(given.folder)], capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _build(place: Path, chunks: int, queries: int, folder: Path) -> dict[str, Any]:
    with KnowledgeBase.open(place / "kb", settings=load_settings()) as base:
        there = base._index.count()[1]
        seconds, _ = timed(partial(grow, base, _texts(place), chunks))
    blocks = sum(path.stat().st_blocks for path in place.rglob("*"))
    cpu = sum(os.times()[:2])
    return {
        "built": chunks - there,
        "build s": round(seconds),
        "CPU s": round(cpu),
        "build peak MB": peak_memory_mb(),
        "disk MB": blocks * 512 // 2**20,
    }


def _search(place: Path, chunks: int, queries: int, folder: Path) -> dict[str, Any]:
    settings = load_settings()
    opening, base = timed(lambda: KnowledgeBase.open(place / "kb", settings=settings))
    texts = _texts(place)
    with base, scattered(base, texts, seed=8) as embedder:
        asked = list(islice(cycle(questions(folder)), queries))
        vectors = embedder.embed(asked)
        store = base._opened.store
        assert isinstance(store, EdgeStore)
        pairs = list(zip(vectors, (" ".join(analyse_query(q)) for q in asked), strict=True))
        for vector, terms in pairs:  # warm: the files are mapped into memory
            store.search(vector, terms, limit=CANDIDATES)
        search = partial(store.search, limit=CANDIDATES)
        cpu = [_processor(partial(search, vector, terms)) for vector, terms in pairs]
        both = [timed(partial(search, vector, terms))[0] for vector, terms in pairs]
        dense = [timed(partial(search, vector, ""))[0] for vector, _ in pairs]
        words = [timed(partial(search, None, terms))[0] for _, terms in pairs]
        whole = [timed(partial(base.search, question))[0] for question in asked]
        memory = _memory()
        recall = _recall(store, vectors[:EXACT_QUERIES])
        replacing = [
            timed(partial(base._index.replace, [document(texts, number, version=1)]))[0]
            for number in range(10)
        ]
        with store._engine() as shard:
            segments = shard.info().segments_count
    return {
        "open s": round(opening, 2),
        "segments": segments,
        "p50 ms": quantiles(both)["p50_ms"],
        "p99 ms": quantiles(both)["p99_ms"],
        "CPU p50": quantiles(cpu)["p50_ms"],
        "dense p50": quantiles(dense)["p50_ms"],
        "words p50": quantiles(words)["p50_ms"],
        "kbqa search p50": quantiles(whole)["p50_ms"],
        "recall": round(recall, 4),
        **memory,
        "replace ms": round(1000 * float(np.median(replacing)), 1),
    }


def _processor(call: Callable[[], object]) -> float:
    """Seconds of processor time, of all threads; the clock tells how busy a machine is, too."""
    before = time.process_time()
    call()
    return time.process_time() - before


def _texts(place: Path) -> list[str]:
    texts: list[str] = json.loads((place / "texts.json").read_text("utf-8"))
    return texts


def _recall(store: EdgeStore, vectors: Vectors) -> float:
    """Share of the ten nearest that the index finds."""
    from qdrant_edge import QuantizationSearchParams, Query, QueryRequest, SearchParams

    exact = SearchParams(exact=True, quantization=QuantizationSearchParams(ignore=True))
    shares = []
    for vector in vectors:
        query = Query.Nearest(vector.tolist(), using=VECTOR)
        with store._engine() as shard:
            near = shard.query(
                QueryRequest(query=query, limit=10, params=exact, with_payload=False)
            )
        found = store.search(vector, "", limit=CANDIDATES)[0][:10]
        shares.append(len({point.id for point in near} & {item.id for item in found}) / 10)
    return float(np.mean(shares))


def _memory() -> dict[str, int]:
    """Resident memory now, and the part of it that is no page of a file."""
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    said = dict(line.split(":", 1) for line in lines)
    return {
        "resident MB": int(said["VmRSS"].split()[0]) // 1024,
        "of it own MB": int(said["RssAnon"].split()[0]) // 1024,
    }


if __name__ == "__main__":
    main()
