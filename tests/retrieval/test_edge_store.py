from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ingest.errors import Locked
from retrieval.edge_guard import check, sealed
from retrieval.edge_store import OPTIMIZE_FROM, EdgeStore
from retrieval.store import Point
from retrieval.versions import shard_folder
from tests.contracts.store_contract import DIM, ConditionContract, axis, chunk, uid

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
NOBODY = 65534


class TestEdgeStore(ConditionContract):
    def open_store(self, folder: Path, *, dimension: int | None = None) -> EdgeStore:
        return EdgeStore(folder, dimension=dimension, lock_timeout=0)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A closed base of 100 chunks."""
    store = EdgeStore(tmp_path / "base", dimension=DIM, lock_timeout=0)
    store.write([chunk(number, f"tower w{number}", axis(1, number)) for number in range(100)])
    store.close()
    return tmp_path / "base"


# A program of its own for what may end a process. Its first argument says what to do.
PROGRAM = '''
import gc, os, sys
from pathlib import Path
from ingest.errors import KbqaError, StorageError
from retrieval.edge_store import EdgeStore
from tests.contracts.store_contract import DIM, axis, chunk

task, folder = sys.argv[1], Path(sys.argv[2])

def open_(dimension=None):
    return EdgeStore(folder, dimension=dimension, lock_timeout=0)

def hold():
    store = open_()
    print("held", flush=True)
    sys.stdin.read()
    store.close()

def leave():
    store = open_()
    store.write([chunk(n, f"tower w{n}", axis(1, n)) for n in range(50, 150)])
    store.leave()
    store.leave()
    del store
    gc.collect()
    print("left", flush=True)
    sys.stdin.read()

def write(batch=20, size=10):
    """Batches without end; a line for each that was acknowledged."""
    store = open_(DIM)
    first = store.count({})
    while True:
        numbers = range(first, first + int(batch))
        points = [chunk(n, f"tower w{n}", axis(1, n), padding="x" * int(size)) for n in numbers]
        store.write(points)
        first += int(batch)
        print(first, flush=True)

def fill(*options):
    try:
        write(*options)
    except StorageError as exc:
        print("StorageError", exc, flush=True)

def as_nobody():
    if os.getuid() == 0:
        os.setuid(int(sys.argv[3]))
    try:
        open_(DIM).close()
        print("opened")
    except KbqaError as exc:
        print(type(exc).__name__, exc)

tasks = {"hold": hold, "leave": leave, "write": write, "fill": fill, "as_nobody": as_nobody}
if task == "as_nobody":
    as_nobody()
else:
    tasks[task](*sys.argv[3:])
'''


@pytest.fixture
def program(tmp_path: Path) -> list[str]:
    file = tmp_path / "program.py"
    file.write_text(PROGRAM, "utf-8")
    return [sys.executable, str(file)]


def start(program: list[str], *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*program, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def finish(process: subprocess.Popen[str], timeout: float = 60) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=timeout)
    return process.returncode, out, err


def test_a_second_process_is_told_who_holds_it(base: Path, program: list[str]) -> None:
    holder = start(program, "hold", base)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(Locked) as caught:
        EdgeStore(base, lock_timeout=0.05)
    assert f"process {holder.pid} (program.py hold" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert finish(holder) == (0, "", "")
    EdgeStore(base, lock_timeout=0).close()


def test_the_same_process_is_told_too(base: Path) -> None:
    store = EdgeStore(base, lock_timeout=0)
    with pytest.raises(Locked, match=f"process {os.getpid()} "):
        EdgeStore(base, lock_timeout=0.05)
    assert store.count({}) == 100
    store.close()


def test_what_is_left_is_held_until_the_process_ends_and_whole(
    base: Path, program: list[str]
) -> None:
    leaver = start(program, "leave", base)
    assert leaver.stdout is not None
    assert leaver.stdout.readline() == "left\n"
    with pytest.raises(Locked, match=f"process {leaver.pid} "):
        EdgeStore(base, lock_timeout=0.05)
    assert finish(leaver) == (0, "", "")
    noted = sealed(base, "")
    assert noted is not None  # else another process would look into it first
    check(shard_folder(base, ""), noted)
    store = EdgeStore(base, lock_timeout=0)
    assert store.count({}) == noted.points == 150
    assert store.term_counts(["tower", "w149"]) == [150, 1]
    store.close()


def test_who_waits_for_a_process_that_leaves_is_next(base: Path, program: list[str]) -> None:
    for _ in range(3):
        leaver = start(program, "leave", base)
        assert leaver.stdout is not None
        leaver.stdout.readline()
        assert leaver.stdin is not None
        leaver.stdin.close()
        store = EdgeStore(base, lock_timeout=30)  # while the other one ends
        assert store.count({}) == 150
        store.close()
        assert leaver.wait(30) == 0
        leaver.stdout.close()
        assert leaver.stderr is not None
        assert leaver.stderr.read() == ""
        leaver.stderr.close()


def test_a_killed_holder_leaves_no_lock(base: Path, program: list[str]) -> None:
    holder = start(program, "hold", base)
    assert holder.stdout is not None
    holder.stdout.readline()
    holder.kill()
    finish(holder)
    store = EdgeStore(base, lock_timeout=1)
    assert store.count({}) == 100
    store.close()


def test_what_was_acknowledged_survives_kill(tmp_path: Path, program: list[str]) -> None:
    rng = random.Random(1)
    acknowledged = 0
    for _ in range(4):
        writer = start(program, "write", tmp_path / "base")
        assert writer.stdout is not None
        first = int(writer.stdout.readline())
        time.sleep(rng.uniform(0, 0.15))
        writer.send_signal(signal.SIGKILL)
        _, out, err = finish(writer)
        lines = [int(line) for line in out.split("\n")[:-1]]
        acknowledged = max([first, *lines])
        store = EdgeStore(tmp_path / "base", lock_timeout=1)
        found = store.read([uid(number) for number in range(acknowledged)], vectors=True)
        assert len(found) == acknowledged
        assert all(point.vector is not None for point in found.values())
        assert store.term_counts(["tower"])[0] == store.count({}) >= acknowledged
        store.close()
        assert err == ""
    assert acknowledged > 80


def test_a_killed_creation_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "base" / ".new-abc" / "segments").mkdir(parents=True)
    assert not EdgeStore.exists(tmp_path / "base")
    EdgeStore(tmp_path / "base", dimension=DIM, lock_timeout=0).close()
    assert EdgeStore.exists(tmp_path / "base")


def test_the_index_is_built_again_when_much_was_replaced(tmp_path: Path) -> None:
    total, dimension = OPTIMIZE_FROM + 500, 96  # the engine indexes from 1000 KB of vectors on
    vectors = np.random.default_rng(0).normal(size=(total, dimension)).astype(np.float32)
    store = EdgeStore(tmp_path / "base", dimension=dimension, lock_timeout=0)
    store.write([chunk(n, ("even", "odd")[n % 2], vector) for n, vector in enumerate(vectors)])
    store.optimize()
    store.write([chunk(number, "new", vectors[number]) for number in range(OPTIMIZE_FROM)])
    store.optimize()
    # an index that was not built again still counts the replaced ones
    assert store.term_counts(["even", "new"]) == [250, OPTIMIZE_FROM]
    store.close()


@pytest.fixture
def public(program: list[str]) -> Iterator[Path]:
    """A folder that every user may enter, as pytest's own are not."""
    folder = Path(tempfile.mkdtemp(prefix="kbqa-test-"))
    folder.chmod(0o755)
    yield folder
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir():
            path.chmod(0o755)
    shutil.rmtree(folder)


@pytest.mark.parametrize("there", [False, True])
def test_no_permission(public: Path, program: list[str], there: bool) -> None:
    base = public / "base"
    if there:
        EdgeStore(base, dimension=DIM, lock_timeout=0).close()
        (base / "lock").unlink(missing_ok=True)
        base.chmod(0o555)
    public.chmod(0o555)
    script = Path(shutil.copy(program[1], public))
    code, out, err = finish(start([program[0], str(script)], "as_nobody", base, NOBODY))
    if code and "PermissionError" in err and "setuid" in err:
        pytest.skip("root, and not allowed to become another user")
    assert (code, err) == (0, "")
    assert out.startswith("StorageError")
    assert str(base) in out
    assert "ermission denied" in out
    assert out.count("\n") == 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 180 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount(["-t", "tmpfs", "-o", "size=180m", "tmpfs", str(folder)])
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def mount(options: list[str]) -> None:
    try:
        subprocess.run(["mount", *options], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not allowed to mount a small file system")


@pytest.mark.parametrize(("batch", "size"), [(50, 1_000), (100, 500_000)])
def test_a_full_disk_loses_nothing(
    small_disk: Path, program: list[str], batch: int, size: int
) -> None:
    base = small_disk / "base"
    code, out, err = finish(start(program, "fill", base, batch, size))
    assert (code, err) == (0, "")
    *counts, message, _ = out.split("\n")
    assert message.startswith("StorageError the disk that holds")
    assert "nearly full" in message
    acknowledged = int(counts[-1]) if counts else 0
    mount(["-o", "remount,size=400m", str(small_disk)])
    store = EdgeStore(base, lock_timeout=1)
    assert len(store.read([uid(n) for n in range(acknowledged)], fields=[])) == acknowledged
    store.write([Point(uid(10**6), {"kind": "chunk"})])
    store.close()


def test_what_was_replaced_is_not_missing(base: Path) -> None:
    store = EdgeStore(base, lock_timeout=0)
    store.write([chunk(number, "other", axis(1)) for number in range(50)])
    store.delete([uid(99)])
    store.close()
    store = EdgeStore(base, lock_timeout=0)
    assert store.count({}) == 99
    store.close()


def test_a_base_from_before_some_indexes_gets_them(tmp_path: Path) -> None:
    from qdrant_edge import UpdateOperation

    store = EdgeStore(tmp_path / "base", dimension=DIM, lock_timeout=0)
    with store._engine() as shard:
        shard.update(UpdateOperation.delete_field_index("language"))
    store.write([chunk(1, "tower", axis(1), language=["zh"])])
    store.close()
    store = EdgeStore(tmp_path / "base", lock_timeout=0)
    with store._engine() as shard:
        assert "language" in shard.info().payload_schema
    assert store.count({"language": "zh"}) == 1
    store.close()
