"""Whether the files of an embedded base are as they were left.

The engine maps its files into memory and trusts them: garbage in one of them can end the process,
with no exception to catch. So a base that is closed in good order is sealed, and who opens it next
compares; after a crash, when there is no seal, another process looks first.

    FOLDER/closed.json   tag of a version -> its seal; taken away while the version is open

A file counts as the same while its size and time are; else, as after a restored backup, its bytes
are summed up. Holes of sparse files are passed over: the engine allocates 32 MB at a time.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

from ingest.errors import StorageError
from retrieval.edge_child import run_main
from retrieval.edge_probe import UNREADABLE
from retrieval.store import KEYWORD_FIELDS, TERMS, VECTOR
from retrieval.versions import shard_folder

CLOSED = "closed.json"
BLOCK = 2**16


class FileState(NamedTuple):
    """What a file was like: size in bytes, time in ns, sum of its bytes."""

    size: int
    mtime_ns: int
    digest: str


@dataclass(frozen=True, slots=True)
class Seal:
    """A version as it was closed: its points, and its files by their path. Empty: not known."""

    points: int = 0
    files: Mapping[str, FileState] = field(default_factory=dict)


def seal(folder: Path, tag: str, points: int, *, before: Seal) -> None:
    """Note what the version `tag`, now closed, is like; `before` spares what has not changed."""
    files = _states(shard_folder(folder, tag), before.files)
    _write(folder, {**_read(folder), tag: Seal(points, files)})


def sealed(folder: Path, tag: str) -> Seal | None:
    """The seal of a version; None after a crash."""
    return _read(folder).get(tag)


def break_seal(folder: Path, tag: str) -> None:
    """To be called before a version is opened."""
    seals = _read(folder)
    if seals.pop(tag, None) is not None:
        _write(folder, seals)


def check(shard: Path, noted: Seal) -> None:
    """Raise StorageError if a file is gone or has other bytes than when it was sealed."""
    states = _states(shard, noted.files)
    for name, state in noted.files.items():
        if name not in states:
            raise StorageError(f"the file {name} is gone")
        if (states[name].size, states[name].digest) != (state.size, state.digest):
            raise StorageError(f"the file {name} was changed since the base was closed")


def probe(shard: Path) -> None:
    """Let another process open the shard and read in it. Raises StorageError if it cannot."""
    said = json.dumps([str(shard.resolve()), VECTOR, TERMS, list(KEYWORD_FIELDS)])
    done = run_main("retrieval.edge_probe", said)
    if done.returncode < 0:
        raise StorageError(f"reading it ends the engine with signal {-done.returncode}")
    if done.returncode == UNREADABLE:
        raise StorageError(f"the engine cannot read it ({done.stdout.decode('utf-8', 'replace')})")


def _states(shard: Path, known: Mapping[str, FileState]) -> dict[str, FileState]:
    files = sorted(Path(folder, name) for folder, _, names in os.walk(shard) for name in names)
    names = {path.relative_to(shard).as_posix(): path for path in files}
    return {name: _state(path, known.get(name)) for name, path in names.items()}


def _state(path: Path, known: FileState | None) -> FileState:
    stat = path.stat()
    if known is not None and (known.size, known.mtime_ns) == (stat.st_size, stat.st_mtime_ns):
        return known
    return FileState(stat.st_size, stat.st_mtime_ns, _digest(path))


def _digest(path: Path) -> str:
    """Sum of the blocks that are not all zeros, each with its place."""
    digest = hashlib.blake2b(digest_size=8)
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        for offset, written in _written_blocks(file.fileno(), size):
            block = os.pread(file.fileno(), written, offset)
            block = block.ljust(min(BLOCK, size - offset), b"\0")
            if block.count(0) != len(block):
                digest.update(offset.to_bytes(8, "big"))
                digest.update(block)
    return digest.hexdigest()


def _written_blocks(descriptor: int, size: int) -> Iterator[tuple[int, int]]:
    """Offset of each block that is no hole, and its bytes up to where nothing but a hole follows:
    to read a hole takes as long as to read what was written."""
    start, end = extent(descriptor, 0)
    while start < size:
        at = start // BLOCK * BLOCK
        limit = min(at + BLOCK, size)
        while end < limit:
            start, further = extent(descriptor, end)
            if start >= limit:
                break
            end = further
        yield at, min(end, limit) - at
        start, end = extent(descriptor, limit)


def extent(descriptor: int, at: int) -> tuple[int, int]:
    """Where the next written bytes from `at` on begin and end; far behind any file if none do."""
    try:
        start = os.lseek(descriptor, at, os.SEEK_DATA)
        return start, os.lseek(descriptor, start, os.SEEK_HOLE)
    except OSError as exc:
        if exc.errno == errno.ENXIO:  # nothing but a hole follows
            return sys.maxsize, sys.maxsize
    except AttributeError:
        pass
    return at, sys.maxsize  # a system that does not tell


def _read(folder: Path) -> dict[str, Seal]:
    try:
        said = json.loads((folder / CLOSED).read_text("utf-8"))
        return {str(tag): _seal(noted) for tag, noted in said.items()}
    except (OSError, ValueError, AttributeError, TypeError, KeyError):
        return {}


def _seal(noted: object) -> Seal:
    if isinstance(noted, int):  # of a version that noted no files
        return Seal(noted)
    assert isinstance(noted, dict)
    return Seal(
        noted["points"], {name: FileState(*state) for name, state in noted["files"].items()}
    )


def _write(folder: Path, seals: Mapping[str, Seal]) -> None:
    noted = {tag: asdict(seal) for tag, seal in seals.items()}
    (folder / CLOSED).write_text(json.dumps(noted), "utf-8")
