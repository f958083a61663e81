"""Indexing a shard of the embedded engine in a process of its own.

The engine's `optimize` keeps Python's lock until it is done: with 10,000 passages for seconds, in
which no thread of the process answers anything. So where somebody asks meanwhile, a copy of the
shard is indexed by another process, and then changes places with it.

Large files of an indexed segment (vectors, graph, payloads) are never written to again, so the copy
has links to them. All others are copied: as the engine opens a shard, it goes through its log again
and notes versions in them. The caller sees to it that nothing else is written meanwhile.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from retrieval.edge_child import die_with, run_main
from retrieval.edge_guard import extent
from retrieval.edge_shard import NEW, load, points_in

SEGMENTS, MUTABLE = "segments", "mutable_id_tracker.mappings"  # the engine's own names
PARTS = frozenset({SEGMENTS, "wal", "edge_config.json"})
LINKED_FROM = 4_000_000  # bytes
ROOM = 4  # times what is copied: the index is made of it, and a full disk would end the engine
_AT_FDCWD, _EXCHANGE = -100, 2  # of renameat2


def indexed_copy(shard: Path, vectors: int) -> tuple[Path, int] | None:
    """A copy of a flushed shard beside it, indexed for so many vectors (0: as it was), and how many
    points it has. None where it could not be made: the disk is nearly full, or knows no links."""
    copy: Path | None = None
    try:
        linked, copied = _files(shard)
        if shutil.disk_usage(shard).free < ROOM * sum(map(_written, copied)):
            return None
        copy = Path(tempfile.mkdtemp(prefix=NEW, dir=shard.parent))
        _copy(shard, copy, linked, copied)
        done = run_main("retrieval.edge_aside", str(copy), str(vectors), str(os.getpid()))
        done.check_returncode()
        made, copy = (copy, int(json.loads(done.stdout)["points"])), None
        return made
    except (OSError, subprocess.CalledProcessError, ValueError, KeyError):
        return None
    finally:
        if copy is not None:
            discard(copy)


def exchange(one: Path, other: Path) -> None:
    """Let two folders change places in one step. Raises OSError where the system cannot."""
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError as exc:
        raise OSError("there is no renameat2 here") from exc
    if call(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _EXCHANGE):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def discard(copy: Path) -> None:
    """Remove a copy, or what has become of it."""
    shutil.rmtree(copy, ignore_errors=True)


def sweep(folder: Path) -> None:
    """Remove copies and shards in the making that a process which was killed has left."""
    for left in folder.glob(f"{NEW}*"):
        if left.is_dir() and {path.name for path in left.iterdir()} <= PARTS:
            discard(left)


def main() -> None:
    """Index a shard for so many vectors; see `indexed_copy`."""
    shard, vectors, parent = sys.argv[1:]
    die_with(int(parent))
    engine = load(Path(shard), int(vectors))
    engine.optimize()
    engine.flush()
    points = points_in(engine)
    engine.close()
    os.write(1, json.dumps({"points": points}).encode())


def _files(shard: Path) -> tuple[list[Path], list[Path]]:
    """The files of which a copy may be a link, and those that are copied."""
    found: tuple[list[Path], list[Path]] = ([], [])
    for path in sorted(shard.rglob("*")):
        if path.is_file():
            linked = _is_in_indexed_segment(path, shard) and _written(path) >= LINKED_FROM
            found[0 if linked else 1].append(path)
    return found


def _is_in_indexed_segment(path: Path, shard: Path) -> bool:
    kind, segment, *_ = (*path.relative_to(shard).parts, "")
    return kind == SEGMENTS and not (shard / SEGMENTS / segment / MUTABLE).exists()


def _copy(shard: Path, copy: Path, linked: Sequence[Path], copied: Sequence[Path]) -> None:
    for path in sorted(shard.rglob("*")):
        if path.is_dir():
            (copy / path.relative_to(shard)).mkdir()
    for path in linked:
        os.link(path, copy / path.relative_to(shard))
    for path in copied:
        _copy_file(path, copy / path.relative_to(shard))
    copy.chmod(0o755)


def _written(path: Path) -> int:
    """Bytes that are no holes."""
    with path.open("rb") as file:
        return sum(end - start for start, end in _extents(file.fileno()))


def _copy_file(path: Path, target: Path) -> None:
    """Holes stay holes: the engine allocates 32 MB at a time."""
    with path.open("rb") as file, target.open("xb") as made:
        made.truncate(os.fstat(file.fileno()).st_size)
        for start, end in _extents(file.fileno()):
            while start < end:
                count = os.copy_file_range(file.fileno(), made.fileno(), end - start, start, start)
                if not count:
                    raise OSError(f"{path} ends before its size")
                start += count


def _extents(descriptor: int) -> Iterator[tuple[int, int]]:
    """Where runs of written bytes begin and end."""
    size, end = os.fstat(descriptor).st_size, 0
    while (found := extent(descriptor, end))[0] < size:
        end = min(found[1], size)
        yield found[0], end
