from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest

from ingest.errors import StorageError
from retrieval.edge_errors import mapped


def test_what_others_write_while_a_base_is_loaded_is_not_lost(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = os.fstat(2)
    inside, leave = threading.Event(), threading.Event()

    def load() -> None:
        with mapped(tmp_path, loading=True):
            inside.set()
            assert leave.wait(10)

    other = threading.Thread(target=load)
    with mapped(tmp_path, loading=True):
        other.start()
        assert inside.wait(10)
        os.write(2, b"a line of the log\n")
    leave.set()  # the first that came has left before
    other.join()
    assert (os.fstat(2).st_dev, os.fstat(2).st_ino) == (before.st_dev, before.st_ino)
    assert capfd.readouterr().err == "a line of the log\n"


def test_a_base_is_loaded_where_no_temporary_file_can_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused() -> None:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr("retrieval.edge_errors.tempfile.TemporaryFile", refused)
    before = os.fstat(2).st_ino
    with mapped(tmp_path, loading=True):
        os.write(2, b"lost")
    assert os.fstat(2).st_ino == before


def test_a_closed_stderr_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    with mapped(tmp_path, loading=True):
        pass


def test_what_is_written_while_loading_fails_is_not_seen(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def load() -> None:
        os.write(2, b"thread '<unnamed>' panicked at src/lib.rs:1:1")
        raise Exception("a panic")

    with pytest.raises(StorageError, match="damaged"), mapped(tmp_path, loading=True):
        load()
    assert capfd.readouterr().err == ""
