from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ingest.errors import BadRequest, Locked
from retrieval.edge_deleting import delete
from retrieval.edge_store import EdgeStore

pytestmark = pytest.mark.integration


def made(folder: Path) -> Path:
    EdgeStore(folder, dimension=4, lock_timeout=0).close()
    return folder


def test_a_base_and_its_versions_are_gone(tmp_path: Path) -> None:
    with_versions = EdgeStore(tmp_path / "kb", dimension=4, lock_timeout=0)
    other = with_versions.beside("abc", 8)
    with_versions.switch("abc")
    other.close()
    with_versions.close()
    (tmp_path / "kb" / "prompts").mkdir()
    (tmp_path / "kb" / "prompts" / "answer.en.txt").write_text("Answer.")
    for cut_off in ("tuning", ".new-x1y2z3"):  # a training, the making of a version
        (tmp_path / "kb" / cut_off).mkdir()
    delete(tmp_path / "kb", lock_timeout=0)
    assert list(tmp_path.iterdir()) == []
    assert not EdgeStore.exists(tmp_path / "kb")
    made(tmp_path / "kb")  # the name is free


def test_what_is_not_ours_is_not_removed(tmp_path: Path) -> None:
    folder = made(tmp_path / "kb")
    (folder / "thesis.docx").write_text("years of work")
    with pytest.raises(BadRequest, match=r"thesis\.docx"):
        delete(folder, lock_timeout=0)
    assert (folder / "thesis.docx").exists()
    EdgeStore(folder, lock_timeout=0).close()


def test_a_base_in_use_stays(tmp_path: Path) -> None:
    store = EdgeStore(tmp_path / "kb", dimension=4, lock_timeout=0)
    with pytest.raises(Locked):
        delete(tmp_path / "kb", lock_timeout=0)
    store.close()
    assert EdgeStore.exists(tmp_path / "kb")


def test_a_removal_that_was_killed_is_none_half_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(folder: Path) -> None:
        raise KeyboardInterrupt

    folder = made(tmp_path / "kb")
    monkeypatch.setattr(shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        delete(folder, lock_timeout=0)
    monkeypatch.undo()
    assert not EdgeStore.exists(folder)
    delete(made(folder), lock_timeout=0)  # which takes what was left along
    assert list(tmp_path.iterdir()) == []
