from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from qa.knowledge_base import KnowledgeBase
from tests.fakes import HashEmbedder

MARCH = datetime(2023, 3, 5, tzinfo=UTC).timestamp()


@pytest.fixture(scope="module")
def kb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KnowledgeBase]:
    folder = tmp_path_factory.mktemp("files")
    for name in ("handbook/leave.md", "handbook/it/vpn.md", "notes.txt"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"The annual leave of {path.stem} is eleven days.")
    with zipfile.ZipFile(folder / "old.zip", "w") as archive:
        archive.writestr("inner/paper.txt", "The annual leave of old was ten days.")
    for path in (folder / "notes.txt", folder / "old.zip"):
        os.utime(path, (MARCH, MARCH))
    base = folder.parent / f"{folder.name}-kb"
    with KnowledgeBase.open(base, embedder=HashEmbedder(16)) as opened:
        assert opened.ingest(folder).added >= 4
        yield opened


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("path:handbook/**", {"handbook/leave.md", "handbook/it/vpn.md"}),
        ("path:handbook/*.md", {"handbook/leave.md"}),
        ("path:vpn.*", {"handbook/it/vpn.md"}),
        ("date:2023-03", {"notes.txt", "old.zip!/inner/paper.txt"}),
        ("date>=2024 type:md", {"handbook/leave.md", "handbook/it/vpn.md"}),
        ("date<2023-03-05", set()),
    ],
)
def test_the_ledger_says_paths_and_dates(kb: KnowledgeBase, text: str, expected: set[str]) -> None:
    assert {hit.uri for hit in kb.search("annual leave", filters=text)} == expected
