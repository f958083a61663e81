"""Folders for what is only needed meanwhile, swept up also after their process was killed.

Each is locked by the process that made it, so that another can tell what is left over, whatever
the numbers of processes are (containers that share a folder for temporary files count their own).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
import time
import weakref
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: nothing is locked, and nothing swept up
    fcntl = None  # type: ignore[assignment]

PREFIX = "kbqa-scratch-"
FRESH = 60.0  # seconds from which a folder without a lock is left over: it is made, then locked


class Scratch:
    """A folder of this process: removed by `remove`, at the latest when the process ends."""

    def __init__(self, what: str) -> None:
        """`what` is part of its name."""
        with suppress(OSError):
            sweep(Path(tempfile.gettempdir()))
        self.path = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{what}-{os.getpid()}-"))
        self._tidy = weakref.finalize(self, _remove, self.path, _locked(self.path))

    @property
    def is_there(self) -> bool:
        """Whether it has not been removed."""
        return self._tidy.alive

    def remove(self) -> None:
        """Remove it with all that it holds. Twice does no harm."""
        self._tidy()


@contextlib.contextmanager
def scratch_folder(what: str) -> Iterator[Path]:
    """A folder that is removed afterwards; `what` is part of its name."""
    made = Scratch(what)
    try:
        yield made.path
    finally:
        made.remove()


def sweep(parent: Path) -> None:
    """Remove the folders in `parent` that processes of this user have left. Raises OSError."""
    for folder in parent.glob(f"{PREFIX}*") if fcntl else ():
        with suppress(OSError):
            found = folder.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
                continue
            if time.time() - found.st_mtime < FRESH:
                continue
            lock = _locked(folder)
            if lock is not None:  # nobody has it any more
                _remove(folder, lock)


def _locked(folder: Path) -> int | None:
    """A descriptor that holds the lock; None where another process does."""
    if fcntl is None:
        return None
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _remove(folder: Path, lock: int | None) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    if lock is not None:
        os.close(lock)
