"""Many at a time: every answer is of one version of each document, and writers take turns."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from retrieval.edge_store import EdgeStore
from retrieval.index import Index
from tests.fakes import HashEmbedder
from tests.retrieval.knowledge import LEAVE, ROUTER, entry, open_index, prepared, uris

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


def run_all(*acts: Callable[[], None]) -> None:
    """Each act on a thread of its own; the first error is raised here."""
    errors: list[BaseException] = []

    def run(act: Callable[[], None]) -> None:
        try:
            act()
        except BaseException as exc:  # noqa: BLE001 - raised below
            errors.append(exc)

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_readers_see_the_old_or_the_new_version(tmp_path: Path) -> None:
    texts = [
        "\n\n".join(f"Version {v} of the report, part {p}, says word{p}." for p in range(v + 3))
        for v in range(12)
    ]
    with open_index(tmp_path) as index:
        index.replace([prepared("a.md", texts[0], tokens=12), prepared("b.md", LEAVE)])
        done = threading.Event()
        seen: set[str] = set()

        def write() -> None:
            try:
                for text in texts[1:]:
                    index.replace([prepared("a.md", text, tokens=12)])
                for number in range(3):
                    index.rename([("a.md", entry(f"{number}.md"))])
                    index.rename([(f"{number}.md", entry("a.md"))])
            finally:
                done.set()

        def read(k: int) -> None:
            while not done.is_set():
                hits = index.search("report version word1", k)
                found = {hit.chunk.document_id for hit in hits if hit.uri != "b.md"}
                for hit in hits:
                    if hit.uri != "b.md":
                        assert any(t[hit.chunk.start : hit.chunk.end] == hit.text for t in texts)
                assert len({i.split("@")[1] for i in found}) == 1, "not one version in an answer"
                seen.update(found)

        def read_document() -> None:
            while not done.is_set():
                document = index.document("a.md")
                assert document is None or document.text in texts

        run_all(write, partial(read, 2), partial(read, 30), read_document)
        assert len(seen) >= 2
        document = index.document("a.md")
        assert document is not None
        assert document.text == texts[-1]
        assert index.count()[0] == 2


def test_writers_take_turns(tmp_path: Path) -> None:
    with open_index(tmp_path) as index:

        def write(name: str) -> Callable[[], None]:
            def act() -> None:
                for number in range(5):
                    index.replace([prepared(f"{name}{number}.md", f"{name} {number}. {LEAVE}")])
                    index.replace([prepared("shared.md", f"{name} {number}. {ROUTER}")])

            return act

        run_all(*(write(name) for name in "abc"))
        assert len(uris(index)) == 16
        assert index.count() == (16, sum(record.chunks for record in index.documents()))
