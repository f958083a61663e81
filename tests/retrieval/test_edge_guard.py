from __future__ import annotations

import json
import os
import random
import shutil
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import StorageError
from retrieval.edge_guard import BLOCK, Seal, _digest, seal, sealed
from retrieval.edge_store import EdgeStore
from tests.contracts.store_contract import DIM, axis, chunk

pytestmark = pytest.mark.integration

# part of a path in the base, and what happens to the largest such file
DAMAGE = [
    ("edge_config.json", "cut"),
    ("edge_config.json", "junk"),
    ("segment.json", "cut"),
    ("segment.json", "gone"),
    ("wal", "junk"),
    ("mutable_id_tracker.mappings", "cut"),
    ("mutable_id_tracker.versions", "junk"),
    ("vector_storage-dense", "cut"),
    ("vector_storage-dense", "junk"),
    ("payload_storage", "cut"),
    ("payload_storage", "gone"),
    ("payload_index", "junk"),
    ("version.info", "junk"),
]
# what the engine itself stumbles over, at opening or at reading
UNREADABLE = [
    ("edge_config.json", "junk"),
    ("payload_storage/page", "junk"),
]


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base of 100 chunks that was closed in good order; not to be changed."""
    folder = tmp_path_factory.mktemp("guard") / "base"
    store = EdgeStore(folder, dimension=DIM, lock_timeout=0)
    store.write([chunk(number, f"tower w{number}", axis(1, number)) for number in range(100)])
    store.close()
    return folder


@pytest.fixture
def base(closed: Path, tmp_path: Path) -> Path:
    """A copy of it, with other file times."""
    return copied(closed, tmp_path / "base")


def copied(base: Path, target: Path) -> Path:
    shutil.copytree(base, target, copy_function=copy_sparse)
    return target


def copy_sparse(source: str, target: str) -> None:
    """Copy without writing the zeros of the engine's preallocated files (32 MB each)."""
    with open(source, "rb") as reading, open(target, "wb") as writing:
        while block := reading.read(65536):
            if block.count(0) == len(block):
                writing.seek(len(block), os.SEEK_CUR)
            else:
                writing.write(block)
        writing.truncate()


def damage(base: Path, part: str, how: str) -> Path:
    """Spoil the largest file whose path has `part` in it."""
    files = [file for file in base.rglob("*") if file.is_file() and part in str(file)]
    if not files:
        pytest.fail(f"the engine has no {part} any more")
    file = max(files, key=lambda file: file.stat().st_size)
    if how == "cut":
        os.truncate(file, file.stat().st_size // 2)
    elif how == "gone":
        file.unlink()
    else:
        with file.open("r+b") as stream:
            stream.write(random.Random(0).randbytes(min(file.stat().st_size, 4096)))
    return file


def open_base(folder: Path) -> EdgeStore:
    return EdgeStore(folder, lock_timeout=0)


def test_a_file_that_was_changed_is_named(closed: Path, base: Path) -> None:
    for part, how in DAMAGE:
        file = damage(base, part, how)
        for _ in range(2):  # it goes on to be refused
            with pytest.raises(StorageError, match="; restore it from a backup") as told:
                open_base(base)
            named = f"{base} is damaged: the file {file.relative_to(base / 'shard')}"
            assert named in str(told.value), (part, how)
        copy_sparse(str(closed / file.relative_to(base)), str(file))
    open_base(base).close()


@pytest.mark.parametrize(("part", "how"), UNREADABLE, ids=lambda value: value)
def test_after_a_crash_another_process_looks_first(base: Path, part: str, how: str) -> None:
    (base / "closed.json").unlink()
    damage(base, part, how)
    with pytest.raises(StorageError, match=r"is damaged.*; restore it from a backup"):
        open_base(base)


def test_a_copy_and_a_crash_do_no_harm(base: Path) -> None:
    open_base(base).close()  # of other times, and of the same bytes
    (base / "closed.json").unlink()
    store = open_base(base)
    assert store.count({}) == 100
    assert not (base / "closed.json").exists()
    store.close()
    assert json.loads((base / "closed.json").read_text("utf-8"))[""]["points"] == 100


def test_a_version_made_again_and_a_crash_do_no_harm(base: Path) -> None:
    store = open_base(base)
    store.beside("again", DIM).close()
    store.drop("again")
    assert sealed(base, "again") is None
    store.beside("again", DIM).close()
    shutil.rmtree(base / "shard-again")  # as a kbqa did that left the seal behind
    crashed = store.beside("again", DIM)
    assert sealed(base, "again") is None
    crashed.close()
    store.close()


def test_only_what_changed_is_read_again(tmp_path: Path) -> None:
    shard = tmp_path / "shard"
    shard.mkdir()
    for name in ("old", "new", "gone"):
        (shard / name).write_text(name)
    seal(tmp_path, "", 1, before=Seal())
    first = sealed(tmp_path, "")
    assert first is not None
    unread = {name: state._replace(digest="as noted") for name, state in first.files.items()}
    (shard / "new").write_text("other")
    (shard / "gone").unlink()
    seal(tmp_path, "", 1, before=Seal(1, unread))
    second = sealed(tmp_path, "")
    assert second is not None
    assert second.files["old"].digest == "as noted"
    assert second.files["new"].digest not in ("as noted", first.files["new"].digest)
    assert second.files.keys() == {"old", "new"}


@given(
    st.integers(0, 5 * BLOCK),
    st.lists(st.tuples(st.integers(0, 5 * BLOCK), st.binary(max_size=9))),
)
def test_holes_count_as_the_zeros_that_they_are(size: int, writes: list[tuple[int, bytes]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        sparse, dense = Path(folder) / "sparse", Path(folder) / "dense"
        with sparse.open("wb") as file:
            file.truncate(size)
            for at, data in writes:
                file.seek(at)
                file.write(data)
        dense.write_bytes(sparse.read_bytes())
        assert _digest(sparse) == _digest(dense)
        with dense.open("r+b") as file:
            for at, data in writes:
                file.seek(at)
                file.write(bytes(byte ^ 1 for byte in data))
        assert (_digest(sparse) == _digest(dense)) == (sparse.read_bytes() == dense.read_bytes())


def test_damage_on_a_full_disk_is_told_as_a_full_disk(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (base / "closed.json").unlink()  # as after a crash

    def crashed(shard: Path) -> None:
        raise StorageError("reading it ends the engine with signal 7")

    monkeypatch.setattr("retrieval.edge_store.probe", crashed)
    with pytest.raises(StorageError, match="is damaged: reading it ends"):
        open_base(base)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10**7))
    with pytest.raises(StorageError, match=r"nearly full: 9 MB free, .* nothing is lost"):
        open_base(base)


def test_points_that_are_missing_are_noticed(base: Path) -> None:
    noted = base / "closed.json"
    noted.write_text(json.dumps({"": 103}), "utf-8")  # as of an older version; three lost since
    with pytest.raises(StorageError, match=r"damaged: 3 of 103 points are missing; restore"):
        open_base(base)
    noted.write_text("garbage")  # as after a crash: what is left can be read
    open_base(base).close()
