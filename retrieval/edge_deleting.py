"""The end of an embedded base."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from ingest.errors import BadRequest, StorageError
from retrieval.edge_guard import CLOSED
from retrieval.edge_lock import HOLDER, LOCK, acquire
from retrieval.edge_shard import NEW
from retrieval.versions import FILE, shard_folder

# what `qa` keeps in a base: prompts of its own, a training that was cut off
_OURS = {LOCK, HOLDER, CLOSED, FILE, "prompts", "tuning"}


def delete(folder: Path, *, lock_timeout: float) -> None:
    """Remove the base in `folder`, and the folder: gone in one step, or still there.

    Raises BadRequest for a folder that holds other things too, Locked while another process has
    the base open, StorageError.
    """
    aside = folder.with_name(f".{folder.name}.deleted")
    try:
        lock = acquire(folder, lock_timeout)
        try:
            others = sorted(item.name for item in folder.iterdir() if not _is_ours(item.name))
            if others:
                raise BadRequest(
                    f"{folder} holds what is not of kbqa ({others[0]}): move it away, or remove "
                    "the folder yourself"
                )
            if aside.exists():  # someone was killed below
                shutil.rmtree(aside)
            os.rename(folder, aside)
        finally:
            lock.let_go()
        shutil.rmtree(aside)
    except OSError as exc:
        raise StorageError(f"cannot remove {folder}: {exc.strerror or exc}") from exc


def _is_ours(name: str) -> bool:
    stem = shard_folder(Path(), "").name
    known = name.removesuffix(".new") in _OURS or name == stem
    return known or name.startswith((f"{stem}-", NEW))
