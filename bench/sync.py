"""A run over a folder in which little or nothing changed.

python -m bench.sync [DOCUMENTS_FOLDER]

The base is filled with random vectors under the name of the default embedder: only what comes after
is measured. A copy of the folder is used, so that files can be edited and renamed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from bench.common import a_folder, parser, report, timed
from qa import KnowledgeBase
from qa.command import PARTLY_DONE
from qa.opening import open_base
from qa.settings import load_settings
from retrieval.embedding import DEFAULT_EMBEDDER, Vectors
from retrieval.minilm import WEIGHTS_SHA256

LIMITS = {
    "unchanged / bare walk": "<= 5, of a base just opened too",
    "unchanged, seconds": "< 1",
    "one edited file, the whole process": "< 1.5 s",
    "embedded after a rename": "0",
}
EDITED = 5000  # bytes that a file to be edited has at least
RUNS, PROCESSES = 5, 4  # the first process reads the embedder from the disk


class RandomEmbedder:
    """Vectors that cost nothing, under the name of the default embedder; counts its texts."""

    name, dimension, max_tokens = DEFAULT_EMBEDDER, 384, 256
    revision = WEIGHTS_SHA256  # the command must take the base for its own

    def __init__(self) -> None:
        self.embedded = 0
        self._random = np.random.default_rng(1)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Rows of length 1."""
        self.embedded += len(texts)
        rows = self._random.standard_normal((len(texts), self.dimension), np.float32)
        unit: Vectors = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return unit

    def embed_query(self, text: str) -> Vectors:
        """Some direction."""
        row: Vectors = self.embed([text])[0]
        return row

    def token_starts(self, text: str) -> list[int]:
        """A token every four characters."""
        return list(range(0, len(text), 4))

    def known_share(self, text: str) -> float:
        """All is known."""
        return 1.0

    def close(self) -> None:
        """Nothing to release."""


def main() -> None:
    """Fill a base, then measure runs over its folder."""
    arguments = parser(__doc__)
    arguments.add_argument("folder", type=a_folder, nargs="?", default=Path("sample_docs"))
    given = arguments.parse_args()
    if not any(path.stat().st_size > EDITED for path in given.folder.rglob("*.md")):
        arguments.error(f"{given.folder} has no .md file of more than {EDITED} bytes to edit")
    with tempfile.TemporaryDirectory(prefix="kbqa-bench-") as temporary:
        docs = Path(temporary) / "docs"
        shutil.copytree(given.folder, docs)
        rows = measure(docs, Path(temporary) / "kb")
    report("sync", rows, as_json=given.json, limits=LIMITS)


def measure(docs: Path, base: Path) -> list[dict[str, object]]:
    """One row for each kind of run."""
    embedder = RandomEmbedder()
    with KnowledgeBase.open(base, embedder=embedder) as kb:
        first = kb.ingest(docs)
        walk = min(timed(lambda: bare_walk(docs))[0] for _ in range(RUNS))
        runs = [timed(lambda: kb.ingest(docs)) for _ in range(RUNS)]
        unchanged = min(seconds for seconds, _ in runs)
        found = runs[-1][1]
    anew = min(just_opened(base, embedder, lambda kb: kb.ingest(docs)) for _ in range(RUNS))
    ledger = min(just_opened(base, embedder, KnowledgeBase.documents) for _ in range(RUNS))
    rows: list[dict[str, object]] = [
        {"run": "first", "seconds": first.seconds, "files": first.added, "failed": first.failed},
        {"run": "bare walk with stat", "seconds": walk, "files": bare_walk(docs)},
        {"run": "unchanged", "seconds": unchanged, "files": found.unchanged,
         "/ bare walk": unchanged / walk},
        {"run": "unchanged, a base just opened", "seconds": anew, "/ bare walk": anew / walk},
        {"run": "  of it reading the ledger", "seconds": ledger},
        {"run": "unchanged, the whole process", "seconds": process(docs, base)},
    ]  # fmt: skip
    edited = next(path for path in sorted(docs.rglob("*.md")) if path.stat().st_size > EDITED)
    seconds = min(after_edit(edited, docs, base) for _ in range(PROCESSES))
    rows.append({"run": "one edited file, the whole process", "seconds": seconds})
    with KnowledgeBase.open(base, embedder=embedder) as kb:
        before = embedder.embedded
        edited.write_text(edited.read_text("utf-8") + "\n\nAnd another.\n", "utf-8")
        again = kb.ingest(docs)
        rows.append({"run": "one edited file, in process", "seconds": again.seconds,
                     "files": again.changed, "chunks": again.chunks,
                     "embedded": embedder.embedded - before})  # fmt: skip
        folder = max((path for path in docs.iterdir() if path.is_dir()),
                     key=lambda path: sum(1 for _ in path.rglob("*")))  # fmt: skip
        before = embedder.embedded
        folder.rename(folder.with_name(f"{folder.name}-renamed"))
        renamed = kb.ingest(docs)
        rows.append({"run": "largest folder renamed", "seconds": renamed.seconds,
                     "files": renamed.renamed, "embedded": embedder.embedded - before})  # fmt: skip
    return rows


def just_opened(
    base: Path, embedder: RandomEmbedder, do: Callable[[KnowledgeBase], object]
) -> float:
    """Seconds of what is done first with a base: its ledger is not in memory yet."""
    with KnowledgeBase.open(base, embedder=embedder) as kb:
        return timed(lambda: do(kb))[0]


def bare_walk(folder: Path) -> int:
    """Number of files below a folder, each asked for its size and times."""
    count = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            os.stat(os.path.join(parent, name))
            count += 1
    return count


def after_edit(edited: Path, docs: Path, base: Path) -> float:
    """Seconds of a process that finds one file with a sentence more."""
    edited.write_text(f"{edited.read_text('utf-8')}\n\nA sentence more.\n", "utf-8")
    return process(docs, base)


def process(docs: Path, base: Path) -> float:
    """Seconds that `kbqa ingest` takes from start to end. Raises CalledProcessError."""
    open_base(base, None, load_settings(), create=False).store.close()  # in the page cache
    started = time.perf_counter()
    command = [sys.executable, "-m", "qa", "ingest", str(docs), "--kb", str(base), "--quiet"]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    seconds = time.perf_counter() - started
    if done.returncode not in (0, PARTLY_DONE):
        done.check_returncode()
    return seconds


if __name__ == "__main__":
    main()
