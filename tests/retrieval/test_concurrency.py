"""Many readers while one writes: every answer is of one version of each document."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from retrieval.edge_store import EdgeStore
from retrieval.index import Index
from tests.fakes import HashEmbedder
from tests.retrieval.knowledge import prepared

pytestmark = pytest.mark.integration

DOCUMENTS, PASSAGES, VERSIONS = 4, 8, 4
SAID = re.compile(r"lamp document(\d+) version(\d+) part(\d+)")


def text(document: int, version: int) -> str:
    """Each passage says what it is of; later versions are longer."""
    return "\n\n".join(
        f"lamp document{document} version{version} part{part} " + "filler " * 12
        for part in range(PASSAGES + version % 3)
    )


def test_no_answer_mixes_versions(tmp_path: Path) -> None:
    store = EdgeStore(tmp_path / "base", dimension=32, lock_timeout=0)
    index = Index(store, HashEmbedder())

    def write(version: int) -> None:
        for number in range(DOCUMENTS):
            index.replace([prepared(f"{number}.txt", text(number, version), tokens=20)])

    write(0)
    done = threading.Event()
    answers = 0

    def read(reader: int) -> int:
        """Searches until the writer is done; returns how often."""
        asked, newest = 0, dict.fromkeys(range(DOCUMENTS), 0)
        while not done.is_set():
            where = f"uri={reader % DOCUMENTS}.txt" if reader % 2 else None
            hits = index.search("lamp part1 part3", 20, where=where)
            assert hits
            versions: dict[int, set[int]] = {}
            for hit in hits:
                for document, version, _ in SAID.findall(hit.text):
                    versions.setdefault(int(document), set()).add(int(version))
            for document, seen in versions.items():
                assert len(seen) == 1, (document, seen)
                (version,) = seen
                assert version >= newest[document]  # nobody sees an old version again
                newest[document] = version
            whole = index.document(f"{reader % DOCUMENTS}.txt")
            assert whole is not None
            assert len({version for _, version, _ in SAID.findall(whole.text)}) == 1
            asked += 1
        return asked

    with ThreadPoolExecutor(8) as pool:
        readers = [pool.submit(read, number) for number in range(8)]
        try:
            for version in range(1, VERSIONS):
                write(version)
        finally:
            done.set()
        answers = sum(reader.result() for reader in readers)
    assert answers >= 8
    assert index.count()[0] == DOCUMENTS
    store.close()
