"""Hostile files through the real pipeline: each is ingested or reported, and nothing else happens.

    python -m bench.hostile FOLDER...

Prints what became of each file with its time and the peak memory of the worker, and exits with 1
after a crash, a hang, a connection to the canary, a changed canary file, or 2 GB in one process.
"""

from __future__ import annotations

import argparse
import os
import resource
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.common import a_folder
from ingest.documents import Chunk, Document, Failure, FileEntry, Finished, Prepared
from ingest.pipeline import prepare
from ingest.walking import uri_of

MAX_SECONDS = 300.0  # for one file, members included
MAX_MEMORY = 2_000_000_000
PORT = 9  # the files that ask for a connection name it, where it can be had


def main() -> int:
    """Run over the folders of the command line."""
    arguments = argparse.ArgumentParser(
        prog="python -m bench.hostile", description=(__doc__ or "").splitlines()[0]
    )
    arguments.add_argument("folders", type=a_folder, nargs="+", metavar="FOLDER")
    given = arguments.parse_args()
    troubles: list[str] = []
    with canary_listener() as visitors, tempfile.TemporaryDirectory() as place:
        canary = Path(place) / "canary"
        canary.write_text("as it was", "utf-8")
        for root in given.folders:
            for path in sorted(root.resolve().rglob("*")):
                if path.is_file():
                    troubles += run_one(path, root.resolve())
        if canary.read_text("utf-8") != "as it was" or os.listdir(place) != ["canary"]:
            troubles.append("the canary file was changed")
        troubles += [f"connected: {visitor}" for visitor in visitors]
    own, workers = (
        resource.getrusage(who).ru_maxrss * 1024
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    print(f"peak memory: main process {own / 1e6:,.0f} MB, largest worker {workers / 1e6:,.0f} MB")
    if max(own, workers) > MAX_MEMORY:
        troubles.append(f"more than {MAX_MEMORY / 1e9:g} GB in one process")
    for trouble in troubles:
        print(f"TROUBLE: {trouble}")
    return 1 if troubles else 0


def run_one(path: Path, root: Path) -> list[str]:
    """Ingest one file, print its line; returns what is wrong with how that went."""
    status = path.stat()
    uri = uri_of(str(path), str(root))
    times = (status.st_mtime_ns, status.st_ctime_ns)
    entry = FileEntry(uri, str(path), str(root), status.st_size, *times)
    started = time.perf_counter()
    documents, failures, finished = 0, [], 0
    for item in prepare([entry], no_chunks):
        documents += isinstance(item, Prepared)
        finished += isinstance(item, Finished)
        if isinstance(item, Failure):
            failures.append(item)
    seconds = time.perf_counter() - started
    reasons = sorted({failure.reason for failure in failures})
    said = [f"{documents} document(s)"] if documents else []
    said += [f"{len(failures)} left out: {reasons[0]}"] if failures else []
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    print(f"{seconds:6.1f} s {peak:6,} MB  {uri[:60]:60}  {'; '.join(said)[:120]}", flush=True)
    wrong = []
    if finished != 1 or not said:
        wrong.append(f"{uri}: neither ingested nor reported")
    if seconds > MAX_SECONDS:
        wrong.append(f"{uri}: took {seconds:.0f} s")
    return wrong


def no_chunks(_: Document) -> list[Chunk]:
    """Splitting is not what is measured here."""
    return []


@contextmanager
def canary_listener() -> Iterator[list[str]]:
    """Listen where hostile files point to; the list is who came."""
    visitors: list[str] = []
    try:
        server = socket.create_server(("127.0.0.1", PORT))
    except OSError:
        server = socket.create_server(("127.0.0.1", 0))
        print(f"port {PORT} cannot be had: connections are only seen by being refused")

    def accept() -> None:
        while True:
            try:
                visitor, address = server.accept()
            except OSError:
                return
            visitors.append(f"{address}")
            visitor.close()

    threading.Thread(target=accept, daemon=True).start()
    with server:
        yield visitors


if __name__ == "__main__":
    sys.exit(main())
