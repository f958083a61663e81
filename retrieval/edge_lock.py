"""One process at a time has an embedded base open, or serves a data folder.

FOLDER/lock         held while it has
FOLDER/holder.json  who that is, for the message to the one who comes second
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from pathlib import Path

from filelock import FileLock, Timeout

from ingest.errors import Locked
from retrieval.gate import Shared

LOCK, HOLDER = "lock", "holder.json"


def acquire(folder: Path, timeout: float) -> Shared:
    """Take the lock, or raise Locked after `timeout` seconds."""
    lock = FileLock(folder / LOCK, timeout=timeout, thread_local=False)
    try:
        lock.acquire()
    except Timeout as exc:
        raise Locked(f"{folder} is in use by {holder(folder)}; wait for it or end it") from exc
    command = " ".join([Path(sys.argv[0]).name or "python", *sys.argv[1:]])[:80]
    said = {"pid": os.getpid(), "command": command, "since": time.strftime("%H:%M:%S")}
    with contextlib.suppress(OSError):  # it only serves a message
        (folder / HOLDER).write_text(json.dumps(said), "utf-8")

    def release() -> None:
        with contextlib.suppress(OSError):
            (folder / HOLDER).unlink()
        lock.release()

    return Shared(release)


def holder(folder: Path) -> str:
    """Who has the base open, for a message."""
    try:
        holder = json.loads((folder / HOLDER).read_text("utf-8"))
        return f"process {holder['pid']} ({holder['command']}, since {holder['since']})"
    except (OSError, ValueError, KeyError):
        return "another process"
