"""Searches by 16 threads against one: throughput and errors.

python -m bench.concurrency [--chunks N] [--seconds N] [--threads N]
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path

from bench.common import a_folder, parser, report, temporary_base
from bench.corpus import chunk_texts
from bench.synthetic import TEXTS, grow, questions
from qa import KnowledgeBase


def main() -> None:
    """Fill a base, search it from one thread and from many, and print."""
    arguments = parser(__doc__)
    arguments.add_argument("--chunks", type=int, default=10_000)
    arguments.add_argument("--seconds", type=float, default=10)
    arguments.add_argument("--threads", type=int, default=16)
    arguments.add_argument("--folder", type=a_folder, default=Path("sample_docs"))
    given = arguments.parse_args()
    with temporary_base() as base:
        grow(base, chunk_texts(given.folder, base._embedder, TEXTS), given.chunks)
        asked = questions(given.folder)
        _searches(base, asked, 1)  # warm
        rows = []
        for threads in (1, given.threads):
            with ThreadPoolExecutor(threads) as pool:
                each = [
                    pool.submit(_searches, base, asked[number:], given.seconds)
                    for number in range(threads)
                ]
                done = sum(future.result() for future in each)
            rows.append({"threads": threads, "searches/s": round(done / given.seconds, 1)})
    report("concurrency", rows, as_json=given.json)


def _searches(base: KnowledgeBase, asked: list[str], seconds: float) -> int:
    """Searches done in that time; an error ends the bench."""
    end = time.monotonic() + seconds
    for done, question in enumerate(cycle(asked), 1):
        base.search(question)
        if time.monotonic() > end:
            return done
    return 0


if __name__ == "__main__":
    main()
