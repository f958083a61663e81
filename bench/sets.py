"""Retrieval sets on disk: corpus.jsonl (id, title, text), queries.jsonl (id, text), qrels.tsv."""

from __future__ import annotations

import json
import math
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.common import a_folder
from ingest.documents import Document


@dataclass(frozen=True, slots=True)
class RetrievalSet:
    """`relevant` maps a query's id to document ids with their grades."""

    name: str
    documents: tuple[Document, ...]
    queries: tuple[dict[str, Any], ...]
    relevant: Mapping[str, Mapping[str, float]]


def read_sets(folder: Path, *, only: Sequence[str] = (), queries: int = 400) -> list[RetrievalSet]:
    """The sets below `folder` (or `folder` itself), with their first `queries` judged queries."""
    found = sorted(path.parent for path in folder.glob("**/qrels.tsv"))
    if not found:
        raise SystemExit(f"no retrieval set below {folder}: corpus.jsonl, queries.jsonl, qrels.tsv")
    names = {path.name for path in found}
    if unknown := sorted({*only} - names):
        raise SystemExit(f"no set '{unknown[0]}' below {folder}: {', '.join(sorted(names))}")
    return [_read_set(path, queries) for path in found if not only or path.name in only]


def given_sets(arguments: ArgumentParser) -> tuple[list[RetrievalSet], bool]:
    """The sets that the command line names, and whether it wants JSON."""
    arguments.add_argument("folder", type=a_folder, help="folder of retrieval sets")
    arguments.add_argument("--set", action="append", default=[], dest="sets", metavar="NAME")
    arguments.add_argument("--queries", type=int, default=400, help="of each set, the first N")
    given = arguments.parse_args()
    return read_sets(given.folder, only=given.sets, queries=given.queries), given.json


def _read_set(folder: Path, limit: int) -> RetrievalSet:
    relevant: dict[str, dict[str, float]] = {}
    for line in (folder / "qrels.tsv").read_text("utf-8").splitlines():
        query, document, grade = line.split("\t")[:3]
        relevant.setdefault(query, {})[document] = float(grade)
    documents = tuple(
        Document.from_text(row["text"], uri=row["id"], title=row.get("title") or "")
        for row in _lines(folder / "corpus.jsonl")
    )
    queries = [row for row in _lines(folder / "queries.jsonl") if row["id"] in relevant]
    return RetrievalSet(folder.name, documents, tuple(queries[:limit]), relevant)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def ndcg(ranking: Sequence[str], relevant: Mapping[str, float], k: int = 10) -> float:
    """nDCG@k with gains 2^grade - 1 (Burges et al. 2005)."""
    gain = sum(
        (2 ** relevant.get(id_, 0.0) - 1) / math.log2(rank + 1)
        for rank, id_ in enumerate(ranking[:k], 1)
    )
    grades = sorted(relevant.values(), reverse=True)[:k]
    best = sum((2**grade - 1) / math.log2(rank + 1) for rank, grade in enumerate(grades, 1))
    return gain / best if best else 0.0


def recall(ranking: Sequence[str], relevant: Mapping[str, float], k: int = 10) -> float:
    """Share of the relevant documents among the first `k`."""
    return len(set(ranking[:k]) & set(relevant)) / len(relevant)


def reciprocal_rank(ranking: Sequence[str], relevant: Mapping[str, float]) -> float:
    """1 / rank of the first relevant document, 0 if there is none."""
    return next((1 / rank for rank, id_ in enumerate(ranking, 1) if id_ in relevant), 0.0)
