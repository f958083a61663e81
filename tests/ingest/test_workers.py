"""One bad document costs one document: hangs, crashes, memory, network, writes."""

from __future__ import annotations

import glob
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from contextlib import closing
from pathlib import Path

import pytest

from ingest.documents import Document, Failure, FileEntry, Finished, Prepared
from ingest.loaders import Source, register
from ingest.loaders import registry as loaders
from ingest.loaders.members import LeftOut
from ingest.pipeline import Item, prepare
from ingest.walking import walk
from ingest.workers import Limits, unpacked
from ingest.workers_child import packed
from tests.ingest.bad_loaders import load_badly
from tests.ingest.ledger import split_by_words
from tests.qa.command_line import REPOSITORY, environment

pytestmark = pytest.mark.integration

LIMITS = Limits(timeout=2.0, memory_mb=300, workers=1)
linux = pytest.mark.skipif(sys.platform != "linux", reason="seccomp and Landlock are Linux's")


@pytest.fixture(autouse=True)
def _bad_loaders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loaders, "_registered", {})
    register("text/org")(load_badly)


def entries(folder: Path) -> list[FileEntry]:
    return walk(str(folder), str(folder)).entries


def outcome(folder: Path, limits: Limits = LIMITS) -> dict[str, str]:
    """Text or reason of everything in a folder, by uri; every file must be finished."""
    given = entries(folder)
    items = list(prepare(given, split_by_words, limits=limits))
    assert [item.entry for item in items if isinstance(item, Finished)] == given
    return {uri_of(item): said(item) for item in items if not isinstance(item, Finished)}


def uri_of(item: Item) -> str:
    assert not isinstance(item, Finished)
    return item.uri if isinstance(item, Failure) else item.document.uri


def said(item: Item) -> str:
    assert not isinstance(item, Finished)
    return item.reason if isinstance(item, Failure) else item.document.text


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        ("hang", "took longer than 2 s"),
        ("eat", "needed more than 0.3 GB of memory"),
        ("crash", f"crashed its parser (signal {signal.SIGSEGV:d})"),
        ("leave", "its parser ended the process (status 3)"),
    ],
)
def test_a_bad_document_costs_one_document(tmp_path: Path, action: str, reason: str) -> None:
    (tmp_path / "a.org").write_text("fine first")
    (tmp_path / "b.org").write_text(action)
    (tmp_path / "c.org").write_text("fine last")
    expected = {"a.org": "fine: first", "b.org": reason, "c.org": "fine: last"}
    assert outcome(tmp_path) == expected
    assert not glob.glob(f"{tempfile.gettempdir()}/kbqa-scratch-worker-{os.getpid()}-*")


def test_who_says_that_it_goes_on_has_more_time(tmp_path: Path) -> None:
    (tmp_path / "scan.org").write_text("pages")
    assert outcome(tmp_path) == {"scan.org": "pages: five pages"}


def test_a_bad_member_costs_one_member(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name, text in (("1", "fine x"), ("2", "crash"), ("3", "fine y"), ("4", "leave")):
            archive.writestr(f"{name}.org", text)
    assert outcome(tmp_path) == {
        "a.zip!/1.org": "fine: x",
        "a.zip!/2.org": "crashed its parser (signal 11)",
        "a.zip!/3.org": "fine: y",
        "a.zip!/4.org": "its parser ended the process (status 3)",
    }


def test_an_archive_of_crashes_is_given_up(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for number in range(9):
            archive.writestr(f"{number}.org", "leave")
    found = outcome(tmp_path)
    assert found["a.zip"] == "its parser ended the process (status 3)"
    assert len(found) < 9


def test_no_connection_is_made(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as canary:
        canary.settimeout(0.2)
        (tmp_path / "a.org").write_text(f"connect {canary.getsockname()[1]}")
        assert "a parser reaches no network" in outcome(tmp_path)["a.org"]
        with pytest.raises(TimeoutError):
            canary.accept()


@linux
def test_native_code_gets_no_socket(tmp_path: Path) -> None:
    (tmp_path / "a.org").write_text("connect-natively")
    assert outcome(tmp_path)["a.org"] == "connect-natively: -1"


def test_nothing_is_written_outside(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    canary.write_text("as it was")
    (tmp_path / "a.org").write_text(f"write {canary}")
    (tmp_path / "b.org").write_text("write-temporary")
    found = outcome(tmp_path)
    assert "a parser writes in its own folder only" in found["a.org"]
    assert found["b.org"] == "write-temporary: 4"
    assert canary.read_text() == "as it was"


@linux
def test_native_code_writes_nothing_outside(tmp_path: Path) -> None:
    if not _has_landlock():
        pytest.skip("this kernel has no Landlock")
    canary = tmp_path / "canary"
    canary.write_text("as it was")
    (tmp_path / "a.org").write_text(f"write-natively {canary}")
    (tmp_path / "b.org").write_text(f"write-by-command {canary}")
    assert outcome(tmp_path)["b.org"] == "write-by-command: 2"
    assert canary.read_text() == "as it was"


@linux
def test_native_code_changes_no_file_outside(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    canary.write_text("as it was")
    canary.chmod(0o640)
    (tmp_path / "a.org").write_text(f"truncate-natively {canary}")
    (tmp_path / "b.org").write_text(f"permit-natively {canary}")
    assert outcome(tmp_path)["a.org"] == "truncate-natively: -1"
    assert canary.read_text() == "as it was"
    assert canary.stat().st_mode & 0o777 == 0o640


def _has_landlock() -> bool:
    code = "import ctypes; print(ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), 1))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    return int(shown.stdout) > 0


def test_parsers_see_no_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    (tmp_path / "a.org").write_text("environment")
    found = outcome(tmp_path)["a.org"]
    assert "HF_HUB_OFFLINE" in found
    assert "OPENAI_API_KEY" not in found
    assert "PROXY" not in found


def test_what_parsers_print_is_not_seen(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.org").write_text("print")
    assert outcome(tmp_path) == {"a.org": "print: b''"}
    assert capfd.readouterr() == ("", "")


def test_a_loader_that_no_worker_can_import_runs_here(tmp_path: Path) -> None:
    here: list[int] = []

    def load_here(source: Source) -> Document:
        here.append(os.getpid())
        return Document(source.uri, source.sha256, "here")

    register("text/x-rst")(load_here)
    (tmp_path / "a.rst").write_text("x")
    (tmp_path / "b.org").write_text("fine there")
    assert outcome(tmp_path) == {"a.rst": "here", "b.org": "fine: there"}
    assert here == [os.getpid()]


def test_a_worker_can_send_nothing_but_our_values() -> None:
    left_out = LeftOut("a", "b")
    assert unpacked(packed(left_out)) == left_out
    document = Document("a", "b", "text")
    assert unpacked(packed(document)) == document
    with pytest.raises(OSError, match="posix"):
        unpacked(b"cposix\nsystem\n(S'true'\ntR.")
    with pytest.raises(OSError, match=r"os\.system"):  # a name of a name in a module of ours
        unpacked(b"\x80\x04\x8c\x14ingest.workers_child\x8c\tos.system\x93.")


def test_a_closed_iterator_ends_a_hanging_worker(tmp_path: Path) -> None:
    (tmp_path / "a.org").write_text("fine x")
    (tmp_path / "b.org").write_text("hang")
    started = time.monotonic()
    with closing(prepare(entries(tmp_path), split_by_words)) as items:  # type: ignore[type-var]
        assert isinstance(next(items), Prepared)
    assert time.monotonic() - started < 10


SCRIPT = """
import sys
from ingest.pipeline import prepare
from ingest.loaders import register
from ingest.walking import walk
from tests.ingest.bad_loaders import load_badly

register("text/org")(load_badly)
print("begun", flush=True)
for item in prepare(walk(sys.argv[1], sys.argv[1]).entries, lambda document: []):
    print(type(item).__name__, flush=True)
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    return path


def test_a_script_without_a_main_guard_runs_once(tmp_path: Path, script: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "a.org").write_text("fine x")
    shown = subprocess.run(
        [sys.executable, str(script), str(docs)],
        capture_output=True,
        text=True,
        check=True,
        env=environment(PYTHONPATH=str(REPOSITORY)),
    )
    assert shown.stdout.split() == ["begun", "Prepared", "Finished"]
    assert shown.stderr == ""


@linux
def test_workers_die_with_their_parent(tmp_path: Path, script: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "a.org").write_text("fine x")
    (docs / "b.org").write_text("hang")
    process = subprocess.Popen(
        [sys.executable, str(script), str(docs)],
        stdout=subprocess.PIPE,
        text=True,
        env=environment(PYTHONPATH=str(REPOSITORY)),
    )
    with process:
        assert process.stdout is not None
        assert [process.stdout.readline().strip() for _ in range(2)] == ["begun", "Prepared"]
        children = Path(f"/proc/{process.pid}/task").glob("*/children")
        workers = [int(pid) for path in children for pid in path.read_text().split()]
        assert workers
        process.kill()
    ends = time.monotonic() + 10
    while any(_is_running(pid) for pid in workers):
        assert time.monotonic() < ends
        time.sleep(0.05)


def _is_running(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
