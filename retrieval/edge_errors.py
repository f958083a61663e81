"""The embedded engine's exceptions as ours: it raises plain `Exception` and Rust panics."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

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
    """Keep the report that a Rust panic writes to file descriptor 2 from the user's terminal."""
    sys.stderr.flush()
    saved = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
            yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
