"""Killed at random moments, a base ends as one that never was: see `bench.kills`."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from bench.kills import differing, fresh, ingest, known, run

pytestmark = pytest.mark.end_to_end


@pytest.mark.end_to_end
def test_kills_lose_double_and_leave_nothing(tmp_path: Path) -> None:
    row = run(tmp_path, kills=2, seed=1)
    assert (row["lost, doubled or stale"], row["which"]) == (0, "")
    assert row["left over after the end"] == 0
    assert row["documents"] > 10


@pytest.mark.end_to_end
def test_what_a_broken_archive_held_is_not_stale(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    with zipfile.ZipFile(docs / "a.zip", "w") as archive:
        archive.writestr("in/manual.md", "# The pump\n\nThe pump manual says 4 bar.")
    ingest(docs, tmp_path / "kb")
    (docs / "a.zip").write_bytes(b"")
    ingest(docs, tmp_path / "kb")
    assert not differing(known(tmp_path / "kb"), fresh(docs, tmp_path / "fresh"))
