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
from collections.abc import Iterator
from pathlib import Path

from retrieval.edge_guard import extent
from retrieval.edge_shard import NEW, load, points_in

SEGMENTS, MUTABLE = "segments", "mutable_id_tracker.mappings"  # the engine's own names
_INDEX = "import sys; sys.path[:] = {path!r}; from retrieval.edge_aside import main; main()"
LINKED_FROM = 4_000_000  # bytes
_AT_FDCWD, _EXCHANGE = -100, 2  # of renameat2
_PR_SET_PDEATHSIG, _SIGKILL = 1, 9


def indexed_copy(shard: Path, vectors: int) -> tuple[Path, int] | None:
    """A copy of a flushed shard beside it, indexed for so many vectors (0: as it was), and how many
    points it has. None where it could not be made: no links or no room on that disk."""
    copy = Path(tempfile.mkdtemp(prefix=NEW, dir=shard.parent))
    try:
        _copy(shard, copy)
        path = [os.path.abspath(entry) for entry in sys.path]
        done = subprocess.run(
            [sys.executable, "-sBc", _INDEX.format(path=path), str(copy), str(vectors)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
        )
        return copy, int(json.loads(done.stdout)["points"])
    except (OSError, shutil.Error, subprocess.CalledProcessError, ValueError, KeyError):
        discard(copy)
        return None
    except BaseException:
        discard(copy)
        raise


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
        discard(left)


def main() -> None:
    """Index the shard that the first argument names; see `indexed_copy`."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
    engine = load(Path(sys.argv[1]), int(sys.argv[2]))
    engine.optimize()
    engine.flush()
    points = points_in(engine)
    engine.close()
    os.write(1, json.dumps({"points": points}).encode())


def _copy(shard: Path, copy: Path) -> None:
    for path in sorted(shard.rglob("*")):
        target = copy / path.relative_to(shard)
        if path.is_dir():
            target.mkdir()
        elif _is_in_indexed_segment(path, shard) and _written(path) >= LINKED_FROM:
            os.link(path, target)
        else:
            _copy_file(path, target)
    copy.chmod(0o755)


def _is_in_indexed_segment(path: Path, shard: Path) -> bool:
    kind, segment, *_ = (*path.relative_to(shard).parts, "")
    return kind == SEGMENTS and not (shard / SEGMENTS / segment / MUTABLE).exists()


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
        yield found
        end = found[1]
