"""What the server costs: searches against the library's own, a hundred streams, and while it reads.

python -m bench.serve [--chunks N] [--seconds N] [--documents N]

The server is a process of its own, its clients are in this one; both share the machine.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import httpx2

from bench.common import a_folder, parser, quantiles, report, timed
from bench.corpus import chunk_texts
from bench.served import served
from bench.synthetic import TEXTS, grow
from bench.synthetic import questions as questions_of
from qa import KnowledgeBase
from qa.settings import load_settings
from tests.scripted_server import ScriptedServer

CLIENTS = (1, 8, 32)
STREAMS = 100
K = 10
LIMITS = {
    "overhead_ms": "< 3, p50 with one client less p50 in process",
    "lost": "0",
    "times_idle": "<= 3, p99 while reading over p99 before",
}
BASE = "/v1/knowledge-bases/kb"


def main() -> None:
    """Fill a base, measure it in process and behind a server, and print."""
    arguments = parser(__doc__)
    arguments.add_argument("--chunks", type=int, default=10_000)
    arguments.add_argument("--seconds", type=float, default=10)
    arguments.add_argument("--documents", type=int, default=1000)
    arguments.add_argument("--folder", type=a_folder, default=Path("sample_docs"))
    given = arguments.parse_args()
    questions = questions_of(given.folder)
    with tempfile.TemporaryDirectory(prefix="kbqa-bench-") as name:
        folder = Path(name)
        rows = [_in_process(folder, given.folder, given.chunks, questions, given.seconds)]
        inside = rows[0]["p50_ms"]
        docs = _documents(folder / "docs", given.documents)
        model = ScriptedServer(lambda messages: "It is so. [1] " * 20)
        with model, served(folder, docs, model.base_url) as (url, _):
            for clients in CLIENTS:
                rows.append(asyncio.run(_searches(url, clients, questions, given.seconds)))
            rows[1]["overhead_ms"] = round(rows[1]["p50_ms"] - inside, 3)
            rows.append(asyncio.run(_streams(url, questions)))
            rows.append(asyncio.run(_while_reading(url, questions, rows[1]["p99_ms"])))
    report("serve", rows, as_json=given.json, limits=LIMITS)


def _in_process(
    folder: Path, docs: Path, chunks: int, questions: Sequence[str], seconds: float
) -> dict[str, Any]:
    with KnowledgeBase.open(folder / "kb", settings=load_settings(data_dir=folder)) as base:
        grow(base, chunk_texts(docs, base._embedder, TEXTS), chunks)
        for question in questions:  # warm
            base.explain(question, K)
        taken = []
        until = time.monotonic() + seconds
        for question in cycle(questions):
            taken.append(timed(partial(base.explain, question, K))[0])
            if time.monotonic() > until:
                break
    return {
        "what": "search in process",
        "per_s": round(len(taken) / seconds, 1),
        **quantiles(taken),
    }


async def _searches(
    url: str, clients: int, questions: Sequence[str], seconds: float
) -> dict[str, Any]:
    taken: list[float] = []
    async with _client(url) as http:
        for question in questions:  # warm
            await _search(http, question)
        until = time.monotonic() + seconds

        async def one(first: int) -> None:
            for question in islice(cycle(questions), first, None):
                if time.monotonic() > until:
                    return
                taken.append(await _search(http, question))

        await asyncio.gather(*(one(number) for number in range(clients)))
    return {
        "what": f"search, {clients} client(s)",
        "per_s": round(len(taken) / seconds, 1),
        **quantiles(taken),
    }


async def _streams(url: str, questions: Sequence[str]) -> dict[str, Any]:
    """So many answers at once; one is lost if its stream does not end as it should."""
    async with _client(url) as http:

        async def one(question: str) -> tuple[bool, float]:
            started = time.perf_counter()
            reply = await http.post(
                f"{BASE}/ask", json={"question": question}, headers={"Accept": "text/event-stream"}
            )
            return "event: done" in reply.text, time.perf_counter() - started

        asked = islice(cycle(questions), STREAMS)
        ended = await asyncio.gather(*(one(question) for question in asked))
    lost = sum(not done for done, _ in ended)
    taken = [seconds for _, seconds in ended]
    return {"what": f"{STREAMS} streams at once", "lost": lost, **quantiles(taken)}


async def _while_reading(url: str, questions: Sequence[str], idle_p99: float) -> dict[str, Any]:
    async with _client(url) as http:
        job = (await http.post(f"{BASE}/ingest-jobs", json={"folder": "docs"})).json()
        taken: list[float] = []
        for question in cycle(questions):
            taken.append(await _search(http, question))
            if len(taken) % 20 == 0:
                seen = (await http.get(f"{BASE}/ingest-jobs/{job['id']}")).json()
                if seen["state"] not in ("queued", "running"):
                    break
        assert seen["state"] == "done", seen
    found = quantiles(taken)
    times = round(found["p99_ms"] / idle_p99, 2)
    what = f"search while reading {seen['report']['added']} documents"
    return {"what": what, "per_s": round(len(taken) / sum(taken), 1), **found, "times_idle": times}


def _documents(folder: Path, count: int) -> Path:
    """Small texts that differ."""
    folder.mkdir()
    for number in range(count):
        text = f"# Device {number}\n\n" + "".join(
            f"Part {number * 7 + line} of device {number} is checked every {line + 3} weeks.\n\n"
            for line in range(12)
        )
        (folder / f"{number}.md").write_text(text, "utf-8")
    return folder


async def _search(http: httpx2.AsyncClient, question: str) -> float:
    started = time.perf_counter()
    reply = await http.post(f"{BASE}/search", json={"query": question, "k": K})
    reply.raise_for_status()
    return time.perf_counter() - started


def _client(url: str) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=url, timeout=300, limits=httpx2.Limits(max_connections=None))


if __name__ == "__main__":
    main()
