"""Ingesting a folder against embedding alone on the same chunks, and its memory.

python -m bench.ingest [DOCUMENTS_FOLDER] [--files N]

Each run is a process of its own, so that its peak memory is its own: the folder, the folder twice
over, and once more unchanged. Before that, files of each format are read and cut alone.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from bench.common import a_folder, parser, peak_memory_mb, report, timed
from ingest.chunking import split
from ingest.documents import FileEntry, Prepared
from ingest.pipeline import prepare
from ingest.walking import walk
from qa import KnowledgeBase
from qa.settings import load_settings
from retrieval.embedding import open_embedder
from retrieval.points import CHUNK_FIELDS, chunk_of

LIMITS = {
    "rate / embedding alone": ">= .9",
    "peak MB": "<= 2048, within 20 % for twice the files",
}


def main() -> None:
    """Measure in child processes and print."""
    arguments = parser(__doc__)
    arguments.add_argument("folder", type=a_folder, nargs="?", default=Path("sample_docs"))
    arguments.add_argument("--files", type=int, help="only the first N files")
    arguments.add_argument("--child", choices=("ingest", "embed"), help=argparse.SUPPRESS)
    arguments.add_argument("--base", type=Path, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.child:
        print(json.dumps(_CHILDREN[given.child](given.folder, given.base)))
        return
    with tempfile.TemporaryDirectory(prefix="kbqa-bench-") as temporary:
        work = Path(temporary)
        once = _copy(given.folder, work / "once", 1, given.files)
        twice = _copy(given.folder, work / "twice", 2, given.files)
        rows = [
            _told("ingest", "ingest", once, work / "kb"),
            _told("embedding alone", "embed", once, work / "kb"),
        ]
        rows[0]["rate / embedding alone"] = rows[1]["seconds"] / rows[0]["seconds"]
        print(json.dumps(rows[0]), file=sys.stderr)
        rows += [
            _told("ingest again, unchanged", "ingest", once, work / "kb"),
            _told("ingest twice the files", "ingest", twice, work / "kb2"),
        ]
    rows[3]["peak / once"] = rows[3]["peak MB"] / rows[0]["peak MB"]
    report("ingest", [*by_format(given.folder, given.files), *rows], as_json=given.json,
           limits=LIMITS)  # fmt: skip


def by_format(folder: Path, files: int | None) -> list[dict[str, Any]]:
    """Reading and cutting alone, one row for each suffix."""
    root = str(folder.resolve())
    kinds: dict[str, list[FileEntry]] = {}
    for entry in walk(root, root).entries[:files]:
        kinds.setdefault(Path(entry.path).suffix.lower() or "none", []).append(entry)
    rows = []
    for suffix, entries in sorted(kinds.items()):
        seconds, chunks = timed(partial(_cut, entries))
        rows.append(
            {
                "run": f"read and cut {suffix}",
                "files": len(entries),
                "chunks": chunks,
                "seconds": round(seconds, 3),
                "files/s": round(len(entries) / seconds, 1),
                "chunks/s": round(chunks / seconds, 1),
            }
        )
    return rows


def _cut(entries: list[FileEntry]) -> int:
    """Number of chunks; a token every four characters."""
    items = prepare(
        entries,
        lambda document: split(document, token_starts=lambda text: range(0, len(text), 4)),
    )
    return sum(len(item.chunks) for item in items if isinstance(item, Prepared))


def _copy(folder: Path, target: Path, times: int, files: int | None) -> Path:
    """The folder's files `times` over; each copy is a little different, so that it is new."""
    root = str(folder.resolve())
    for number in range(times):
        for entry in walk(root, root).entries[:files]:
            path = target / str(number) / entry.uri
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(entry.path, path)
            if number and path.suffix in (".md", ".txt"):
                path.write_bytes(path.read_bytes() + f"\n\n{number}\n".encode())
    return target


def _told(name: str, run: str, folder: Path, base: Path) -> dict[str, Any]:
    """The row of a run, told at once: all of them take long."""
    row = {"run": name, **_child(run, folder, base)}
    print(json.dumps(row), file=sys.stderr)
    return row


def _child(run: str, folder: Path, base: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.ingest", str(folder), "--child", run]
    done = subprocess.run(
        [*command, "--base", str(base)], stdout=subprocess.PIPE, check=True, text=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _ingest(folder: Path, base: Path) -> dict[str, Any]:
    settings = load_settings()
    with KnowledgeBase.open(base, settings=settings) as kb:
        open_embedder(cache_dir=settings.cache_dir).embed(["warm the page cache of the model"])
        seconds, done = timed(lambda: kb.ingest(folder))
    files = done.added + done.changed + done.unchanged
    return _row(files, done.chunks, seconds)


def _embed(_: Path, base: Path) -> dict[str, Any]:
    """Embed the texts of the chunks that `_ingest` wrote, in batches of the same size."""
    from ingest.sync import BATCH_CHUNKS

    with KnowledgeBase.open(base) as kb:
        store = kb._opened.store
        points = list(store.scan({"kind": "chunk"}, fields=CHUNK_FIELDS))
    chunks = sorted(map(chunk_of, points), key=lambda chunk: (chunk.uri, chunk.position))
    texts = [chunk.embedded_text for chunk in chunks]
    embedder = open_embedder(cache_dir=load_settings().cache_dir)
    embedder.embed(texts[:32])

    def run() -> None:
        for first in range(0, len(texts), BATCH_CHUNKS):
            embedder.embed(texts[first : first + BATCH_CHUNKS])

    seconds, _none = timed(run)
    return _row(len({chunk.uri for chunk in chunks}), len(texts), seconds)


def _row(files: int, chunks: int, seconds: float) -> dict[str, Any]:
    return {
        "files": files,
        "chunks": chunks,
        "seconds": round(seconds, 3),
        "chunks/s": round(chunks / seconds, 1),
        "peak MB": peak_memory_mb(),
    }


_CHILDREN = {"ingest": _ingest, "embed": _embed}

if __name__ == "__main__":
    main()
