from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ingest.scratch import FRESH, PREFIX, Scratch, scratch_folder, sweep
from tests.qa.command_line import environment

pytestmark = pytest.mark.integration

_HOLDS = "from ingest.scratch import Scratch; made = Scratch('test'); print(made.path); input()"


def aged(folder: Path) -> None:
    os.utime(folder, (os.stat(folder).st_mtime - 2 * FRESH,) * 2)


def test_a_folder_goes_when_it_is_no_longer_needed() -> None:
    with scratch_folder("test") as folder:
        (folder / "file").write_text("x")
    assert not folder.exists()
    made = Scratch("test")
    made.remove()
    made.remove()
    assert not made.is_there
    assert not made.path.exists()


def test_what_a_killed_process_has_left_is_swept_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = environment(TMPDIR=str(tmp_path))
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDS],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env,
    ) as process:  # fmt: skip
        assert process.stdout
        left = Path(process.stdout.readline().strip())
        assert left.parent == tmp_path
        (left / "file").write_text("x")
        aged(left)
        sweep(tmp_path)
        assert left.exists()  # in use
        process.send_signal(signal.SIGKILL)
    aged(left)
    other = tmp_path / "kbqa-else"
    other.mkdir()
    link = tmp_path / f"{PREFIX}link"
    link.symlink_to(other)
    aged(other)
    fresh = tmp_path / f"{PREFIX}test-fresh"
    fresh.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    Scratch("test").remove()
    assert sorted(tmp_path.iterdir()) == sorted([other, link, fresh])


def test_the_folder_of_another_user_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = tmp_path / f"{PREFIX}test"
    theirs.mkdir()
    aged(theirs)
    monkeypatch.setattr("os.getuid", lambda: os.stat(theirs).st_uid + 1)
    sweep(tmp_path)
    assert theirs.exists()
