"""The embedded engine's exceptions as ours: it raises plain `Exception` and Rust panics."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ingest.errors import KbqaError, Locked, StorageError
from retrieval.edge_lock import holder

CURE = "restore it from a backup, or delete the folder and ingest again"


@contextlib.contextmanager
def mapped(folder: Path, *, loading: bool = False) -> Iterator[None]:
    """Turn its exceptions into ours; `loading`: any of them says that the base is damaged."""
    quiet = _silent_stderr() if loading else contextlib.nullcontext()
    try:
        with quiet:
            yield
    except (KbqaError, OSError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as exc:  # PanicException derives from BaseException
        message = re.sub(r"\s+", " ", str(exc))
        if "WouldBlock" in message:
            raise Locked(f"{folder} is in use by {holder(folder)}; wait for it or end it") from exc
        if any(sign in message for sign in ("No space left", "StorageFull", "Not enough space")):
            raise StorageError(f"the disk that holds {folder} is full; free some space") from exc
        if "Permission denied" in message or "PermissionDenied" in message:
            raise StorageError(f"no permission to write in {folder}") from exc
        if loading or type(exc).__name__ == "PanicException":
            raise StorageError(
                f"the knowledge base in {folder} is damaged ({message[:120]}); {CURE}"
            ) from exc
        raise StorageError(f"the store in {folder} failed: {message[:200]}") from exc


@contextlib.contextmanager
def _silent_stderr() -> Iterator[None]:
    """Keep the report that a Rust panic writes to file descriptor 2 from the user's terminal.

    What others write there meanwhile is kept back until the last one has loaded, unless one failed.
    """
    if not sys.stderr:  # closed from outside: descriptor 2 may be any file by now
        yield
        return
    _stderr.hold()
    failed = True
    try:
        yield
        failed = False
    finally:
        _stderr.release(failed=failed)


class _Stderr:
    """File descriptor 2, which belongs to all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders = 0
        self._failed = False
        self._saved = -1
        self._held: Any = None

    def hold(self) -> None:
        with self._lock:
            if not self._holders:
                sys.stderr.flush()
                self._held = _somewhere()
                self._saved = os.dup(2)
                os.dup2(self._held.fileno(), 2)
                self._failed = False
            self._holders += 1

    def release(self, *, failed: bool) -> None:
        with self._lock:
            self._holders -= 1
            self._failed |= failed
            if self._holders:
                return
            sys.stderr.flush()
            os.dup2(self._saved, 2)
            os.close(self._saved)
            with self._held as held:
                held.seek(0)
                said = b"" if self._failed else held.read()
            if said:
                os.write(2, said)


def _somewhere() -> Any:
    """A file that can be written and read; an empty one for ever where none can be made."""
    try:
        return tempfile.TemporaryFile()
    except OSError:
        return open(os.devnull, "r+b")


_stderr = _Stderr()
