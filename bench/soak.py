"""A server under mixed use for a while: does its memory stay where it was?

python -m bench.soak [--minutes 10] [--clients 4] [--chunks N]

Clients search, have answers streamed, leave amid some of them, converse, list, upload, replace and
remove documents. Each fifth of the time: requests, replies with 5xx, and of the server's process
the most private memory, and open files and threads (medians). Linux only. Exits 1 where a limit is
missed.

What was written lies in memory until it is enough to be indexed, so that memory rises for some
minutes and falls: the most of the last two fifths is held against the most of the three before, and
one round of it goes before the time begins.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import httpx2
import numpy as np

from bench.common import a_folder, parser, report
from bench.corpus import chunk_texts
from bench.served import served
from bench.synthetic import TEXTS, grow
from bench.synthetic import questions as questions_of
from qa import KnowledgeBase
from qa.settings import load_settings
from retrieval.edge_store import OPTIMIZE_FROM
from tests.scripted_server import ScriptedServer

PARTS = 5
SAMPLES = 2.0  # seconds
BEFORE = 3  # parts that the others are compared with
GROWTH = 1.05  # of the memory
MORE_FILES = 3  # open: a request more or less
UPLOADS = 40  # names
LINES = 60  # of a document
LONG = 600  # lines, when the server is warmed up
PASSAGES = 25  # that such a document gives, at least
LIMITS = {
    "5xx": "0",
    "memory_mb": f"the last {PARTS - BEFORE} <= {GROWTH} times those before",
    "files": f"the last {PARTS - BEFORE} <= those before + {MORE_FILES}",
}
BASE = "/v1/knowledge-bases/kb"

Step = Callable[[httpx2.AsyncClient, str, random.Random], Awaitable[int]]


def main() -> None:
    """Fill a base, use its server, and print."""
    arguments = parser(__doc__)
    arguments.add_argument("--minutes", type=float, default=10)
    arguments.add_argument("--clients", type=int, default=4)
    arguments.add_argument("--chunks", type=int, default=5000)
    arguments.add_argument("--folder", type=a_folder, default=Path("sample_docs"))
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="kbqa-bench-") as name:
        folder = Path(name)
        with KnowledgeBase.open(folder / "kb", settings=load_settings(data_dir=folder)) as base:
            grow(base, chunk_texts(given.folder, base._embedder, TEXTS), given.chunks)
        model = ScriptedServer(lambda messages: "It is so. [1] " * 20)
        with model, served(folder, folder, model.base_url) as (url, pid):
            use = _Use(url, pid, questions_of(given.folder), 60 * given.minutes)
            asyncio.run(use.run(given.clients))
    rows = use.rows()
    report("soak", rows, as_json=given.json, limits=LIMITS)
    most = {
        name: [max(row[name] for row in part) for part in (rows[:BEFORE], rows[BEFORE:])]
        for name in ("memory_mb", "files")
    }
    kept = {
        "5xx": not any(row["5xx"] for row in rows),
        "memory_mb": most["memory_mb"][1] <= GROWTH * most["memory_mb"][0],
        "files": most["files"][1] <= most["files"][0] + MORE_FILES,
    }
    if missed := [name for name, is_kept in kept.items() if not is_kept]:
        sys.exit(f"limit missed: {', '.join(missed)}")


class _Use:
    """The clients of a server, and what is seen of it meanwhile."""

    def __init__(self, url: str, pid: int, questions: Sequence[str], seconds: float) -> None:
        self._url, self._pid, self._questions, self._seconds = url, pid, questions, seconds
        self._replies: list[Counter[str]] = [Counter() for _ in range(PARTS)]
        self._samples: list[list[tuple[float, int, int]]] = [[] for _ in range(PARTS)]
        self._began = time.monotonic()

    async def run(self, clients: int) -> None:
        """Until the time is over."""
        async with httpx2.AsyncClient(base_url=self._url, timeout=120) as http:
            await _warm(http, self._questions)
            self._began = time.monotonic()
            await asyncio.gather(*(self._client(http, n) for n in range(clients)), self._watch())

    def rows(self) -> list[dict[str, Any]]:
        """Figures of each part."""
        found = []
        for number, (replies, samples) in enumerate(
            zip(self._replies, self._samples, strict=True), 1
        ):
            seen = np.array(samples)
            _, files, threads = np.median(seen, axis=0).tolist()
            found.append(
                {
                    "part": f"{number} of {PARTS}",
                    "requests": replies.total(),
                    "5xx": replies["5xx"],
                    "refused": replies["4xx"],
                    "memory_mb": round(float(seen[:, 0].max()), 1),
                    "files": int(files),
                    "threads": int(threads),
                }
            )
        return found

    @property
    def _part(self) -> int | None:
        share = (time.monotonic() - self._began) / self._seconds
        return int(share * PARTS) if share < 1 else None

    async def _client(self, http: httpx2.AsyncClient, number: int) -> None:
        chance = random.Random(number)
        steps, weights = zip(*STEPS.items(), strict=True)
        while (part := self._part) is not None:
            step = chance.choices(steps, weights)[0]
            status = await step(http, chance.choice(self._questions), chance)
            self._replies[part][f"{status // 100}xx"] += 1

    async def _watch(self) -> None:
        while (part := self._part) is not None:
            self._samples[part].append(_seen(self._pid))
            await asyncio.sleep(min(SAMPLES, self._seconds / PARTS / 4))


async def _search(http: httpx2.AsyncClient, question: str, _: random.Random) -> int:
    reply = await http.post(f"{BASE}/search", json={"query": question, "k": 10})
    return reply.status_code


async def _ask(http: httpx2.AsyncClient, question: str, _: random.Random) -> int:
    stream = {"Accept": "text/event-stream"}
    reply = await http.post(f"{BASE}/ask", json={"question": question}, headers=stream)
    return reply.status_code if "event: done" in reply.text else 599


async def _leave(http: httpx2.AsyncClient, question: str, _: random.Random) -> int:
    """Go away after the first bytes of an answer."""
    stream = {"Accept": "text/event-stream"}
    asked = {"question": question}
    async with http.stream("POST", f"{BASE}/ask", json=asked, headers=stream) as reply:
        async for _part in reply.aiter_bytes():
            break
    return reply.status_code


async def _converse(http: httpx2.AsyncClient, question: str, _: random.Random) -> int:
    begun = (await http.post(f"{BASE}/conversations")).json()["id"]
    for asked in (question, "And what else?"):
        reply = await http.post(f"{BASE}/conversations/{begun}/ask", json={"question": asked})
    await http.delete(f"{BASE}/conversations/{begun}")
    return reply.status_code


async def _list(http: httpx2.AsyncClient, _: str, chance: random.Random) -> int:
    reply = await http.get(f"{BASE}/documents", params={"limit": chance.choice((10, 100))})
    return reply.status_code


async def _upload(http: httpx2.AsyncClient, question: str, chance: random.Random) -> int:
    """A new document, or an old one with another text; one in five is removed."""
    uri = f"soak/{chance.randrange(UPLOADS)}.md"
    if chance.random() < 0.2:
        listed = (await http.get(f"{BASE}/documents", params={"path": uri})).json()["documents"]
        if listed:
            return (await http.delete(f"{BASE}/documents/{listed[0]['id']}")).status_code
    return await _put(http, uri, question, chance, LINES)


async def _put(
    http: httpx2.AsyncClient, uri: str, question: str, chance: random.Random, lines: int
) -> int:
    said = (f"Part {chance.randrange(1000)} is checked each week.\n" for _ in range(lines))
    text = f"# {question}\n\n{''.join(said)}"
    reply = await http.post(f"{BASE}/documents", params={"uri": uri}, content=text.encode())
    return reply.status_code


async def _warm(http: httpx2.AsyncClient, questions: Sequence[str]) -> None:
    """Upload until the engine has indexed it, and have it read."""
    chance = random.Random(0)
    for number in range(OPTIMIZE_FROM // PASSAGES):
        await _put(http, f"soak/{number % UPLOADS}.md", chance.choice(questions), chance, LONG)
    while True:
        jobs = (await http.get(f"{BASE}/ingest-jobs")).json()["jobs"]
        if all(job["finished"] for job in jobs):
            return
        await asyncio.sleep(SAMPLES)


STEPS: dict[Step, float] = {
    _search: 60, _ask: 20, _leave: 5, _converse: 5, _list: 5, _upload: 5,
}  # fmt: skip


def _seen(pid: int) -> tuple[float, int, int]:
    """Private memory in MB (2^20 bytes), open files, threads of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    said = dict(line.split(":", 1) for line in lines)
    files = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    return int(said["RssAnon"].split()[0]) / 2**10, files, int(said["Threads"])


if __name__ == "__main__":
    main()
