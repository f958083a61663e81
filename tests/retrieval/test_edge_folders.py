from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from ingest.errors import BadRequest, Locked, StorageError
from retrieval.edge_folders import delete, restore, take_place
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


def test_files_that_cannot_be_removed_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(folder: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(shutil, "rmtree", refused)
    with pytest.raises(StorageError, match=r"is no base any more.*remove .*\.kb\.deleted yourself"):
        delete(made(tmp_path / "kb"), lock_timeout=0)
    assert not (tmp_path / "kb").exists()


# --- another in its place ---


def test_a_base_takes_the_place_of_another(tmp_path: Path) -> None:
    new, folder = made(tmp_path / "new"), made(tmp_path / "kb")
    (new / "prompts").mkdir()
    take_place(new, folder, lock_timeout=0)
    assert (folder / "prompts").is_dir()
    assert list(tmp_path.iterdir()) == [folder]
    take_place(folder, tmp_path / "nothing there", lock_timeout=0)
    assert EdgeStore.exists(tmp_path / "nothing there")


def test_what_cannot_take_its_place_leaves_it(tmp_path: Path) -> None:
    folder = made(tmp_path / "kb")
    with pytest.raises(FileNotFoundError):
        take_place(tmp_path / "gone", folder, lock_timeout=0)
    assert EdgeStore.exists(folder)
    (folder / "thesis.docx").write_text("years of work")
    with pytest.raises(BadRequest, match=r"thesis\.docx"):
        take_place(made(tmp_path / "new"), folder, lock_timeout=0)
    assert (folder / "thesis.docx").exists()


def test_who_is_killed_in_between_has_lost_nothing(tmp_path: Path) -> None:
    new, folder = made(tmp_path / "new"), made(tmp_path / "kb")
    os.rename(folder, tmp_path / ".kb.replaced")  # and here it was killed
    restore(folder)
    assert EdgeStore.exists(folder)
    os.rename(new, tmp_path / ".kb.replaced")  # killed after the second one
    restore(folder)
    assert (tmp_path / ".kb.replaced").exists()
    take_place(made(tmp_path / "other"), folder, lock_timeout=0)
    assert list(tmp_path.iterdir()) == [folder]


def test_a_removed_base_does_not_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new, folder = made(tmp_path / "new"), made(tmp_path / "kb")
    with monkeypatch.context() as patched:  # what was replaced cannot be removed
        patched.setattr(shutil, "rmtree", lambda folder, ignore_errors: None)
        take_place(new, folder, lock_timeout=0)
    shutil.rmtree(folder)  # by hand
    restore(folder)
    assert not folder.exists()
    made(tmp_path / ".kb.replaced")  # as a kill right after the second rename leaves it
    delete(made(folder), lock_timeout=0)
    restore(folder)
    assert list(tmp_path.iterdir()) == []
