"""An ingest killed with -9 at random moments, again and again, against one that was not.

python -m bench.kills [--kills 50] [--seed 1]

Between kills the folder changes: files are edited, renamed, removed, broken and repaired, archives
rewritten. At the end the ledger, the passages and the answers to searches must be those of a fresh
base of the same folder.
"""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from bench.common import parser, report
from qa import KnowledgeBase
from retrieval.embedding import Vectors

WORDS = ("alpha", "beta", "gamma", "delta", "manual", "pump", "furnace", "水泵", "手册", "年假")
LIMITS = {"lost, doubled or stale": "0", "left over after the end": "0"}


class WordEmbedder:
    """An embedder that costs nothing: a text is the sum of its words' directions.

    `delay` seconds for each text make an ingest long enough to be hit.
    """

    name, dimension, max_tokens = "words:16", 16, 256

    def __init__(self, delay: float = 0.0) -> None:
        self._delay = delay

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Rows of length 1."""
        time.sleep(self._delay * len(texts))
        return (
            np.stack([self.embed_query(text) for text in texts])
            if texts
            else np.zeros((0, 16), np.float32)
        )

    def embed_query(self, text: str) -> Vectors:
        """The direction of a text."""
        total = np.full(16, 1e-3, np.float32)
        for word in text.split():
            total += np.random.default_rng(list(word.encode())).standard_normal(16, np.float32)
        unit: Vectors = total / np.float32(np.linalg.norm(total))
        return unit

    def token_starts(self, text: str) -> list[int]:
        """A token every five characters."""
        return list(range(0, len(text), 5))

    def known_share(self, text: str) -> float:
        """All is known."""
        return 1.0

    def close(self) -> None:
        """Nothing to release."""


def main() -> None:
    """Kill, compare, print."""
    arguments = parser(__doc__)
    arguments.add_argument("--kills", type=int, default=50)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--child", nargs=2, type=Path, metavar=("FOLDER", "BASE"))
    given = arguments.parse_args()
    if given.child:
        folder, base = given.child
        ingest(folder, base, 0.002)
        return
    with tempfile.TemporaryDirectory(prefix="kbqa-kills-") as temporary:
        row = run(Path(temporary), given.kills, given.seed)
    report("kills", [row], as_json=given.json, limits=LIMITS)
    sys.exit(bool(row["lost, doubled or stale"] or row["left over after the end"]))


def run(work: Path, kills: int, seed: int) -> dict[str, Any]:
    """Ingest a changing folder in processes that are killed; what is wrong in the end, counted."""
    some = random.Random(seed)
    docs, base = work / "docs", work / "kb"
    docs.mkdir()
    for _ in range(60):
        change(docs, some)
    took = 1.0
    killed = 0
    started = time.monotonic()
    while killed < kills:
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.kills", "--child", str(docs), str(base)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        before = time.monotonic()
        try:
            process.wait(some.uniform(0.25, 1.0) * took)
            took = 0.7 * took + 0.3 * (time.monotonic() - before)  # it was quicker than thought
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            killed += 1
            took = min(30.0, took * 1.1)
        if some.random() < 0.7:  # else the same again, as after a restart
            for _ in range(some.randint(1, 12)):
                change(docs, some)
    ingest(docs, base)
    found, expected = known(base), fresh(docs, work / "fresh")
    wrong = differing(found, expected)
    return {
        "kills": killed,
        "seconds": round(time.monotonic() - started, 1),
        "documents": len(expected["ledger"]),
        "chunks": expected["chunks"],
        "lost, doubled or stale": len(wrong),
        "which": ", ".join(sorted(wrong)[:5]),
        "left over after the end": len(found["findings"]),
    }


def ingest(docs: Path, base: Path, delay: float = 0.0) -> None:
    """One ingest, removals included."""
    with KnowledgeBase.open(base, embedder=WordEmbedder(delay)) as kb:
        kb.ingest(docs, prune=True)


def fresh(docs: Path, base: Path) -> dict[str, Any]:
    """What a base holds that has seen only the folder as it is now."""
    shutil.rmtree(base, ignore_errors=True)
    ingest(docs, base)
    return known(base)


def known(base: Path) -> dict[str, Any]:
    """All that a reader can see of a base, in a comparable form."""
    with KnowledgeBase.open(base, embedder=WordEmbedder()) as kb:
        rows = {row.uri: asdict(row) for row in kb.documents()}
        texts = {uri: kb.document(uri).text for uri, row in rows.items() if row["chunks"]}
        searches = {
            word: sorted((hit.uri, hit.chunk.start, hit.text) for hit in kb.search(word, 1000))
            for word in WORDS
        }
        findings = [item for item in kb.diagnose() if item.kind == "base"]
        return {
            "ledger": {uri: {**row, "ingested_ns": 0} for uri, row in rows.items()},
            "texts": texts,
            "searches": searches,
            "chunks": kb.status().chunks,
            "findings": findings,
        }


def differing(found: Mapping[str, Any], expected: Mapping[str, Any]) -> set[str]:
    """Uris and words under which the two are not the same."""
    wrong = set()
    # the last good version of a file that is broken now answers here, and never existed there
    failed = {uri for uri, row in found["ledger"].items() if row["state"] == "failed"}
    kept = failed | {uri for uri, row in found["ledger"].items() if row["container"] in failed}
    for part in ("ledger", "texts"):
        for uri in found[part].keys() | expected[part].keys():
            if uri not in kept and found[part].get(uri) != expected[part].get(uri):
                wrong.add(uri)
    wrong |= failed ^ {uri for uri, row in expected["ledger"].items() if row["state"] == "failed"}
    for word in WORDS:
        hits = [hit for hit in found["searches"][word] if hit[0] not in kept]
        if set(hits) != set(expected["searches"][word]) or len(hits) != len(set(hits)):
            wrong.add(word)
    return wrong


def change(docs: Path, some: random.Random) -> None:
    """One thing that people do to a folder."""
    files = sorted(path for path in docs.rglob("*") if path.is_file())
    act = some.choice(("write", "write", "write", "edit", "rename", "remove", "break", "archive"))
    if act in ("write", "archive") or not files:
        folder = docs / some.choice(("", "a", "b", "a/c"))
        folder.mkdir(parents=True, exist_ok=True)
        if act == "archive":
            _archive(folder / f"{some.randrange(5)}.zip", some)
        else:
            (folder / f"{some.randrange(40)}.md").write_text(_text(some), "utf-8")
        return
    path = some.choice(files)
    if act == "edit" and path.suffix == ".md":
        path.write_text(
            path.read_text("utf-8", "replace") + f"\n\nAdded {_words(some, 30)}.", "utf-8"
        )
    elif act == "rename":
        path.rename(path.with_name(f"{some.randrange(40, 80)}{path.suffix}"))
    elif act == "remove":
        path.unlink()
    elif act == "break":
        path.write_bytes(some.choice((b"", b"\x89PNG\r\n\x1a\n\0\0")))


def _archive(path: Path, some: random.Random) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for number in some.sample(range(8), some.randint(1, 5)):
            archive.writestr(f"in/{number}.md", _text(some))


def _text(some: random.Random) -> str:
    parts = [f"# {_words(some, 3)} {some.random()}"]
    parts += [f"{_words(some, 60)} {some.random()}." for _ in range(some.randint(1, 30))]
    return "\n\n".join(parts)


def _words(some: random.Random, count: int) -> str:
    return " ".join(some.choice(WORDS) for _ in range(count))


if __name__ == "__main__":
    main()
