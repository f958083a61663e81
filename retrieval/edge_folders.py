"""The folder of an embedded base as a whole: removed, or another put in its place."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ingest.errors import BadRequest, StorageError
from retrieval.edge_guard import CLOSED
from retrieval.edge_lock import HOLDER, LOCK, acquire
from retrieval.edge_shard import NEW
from retrieval.versions import FILE, shard_folder

# what `qa` keeps in a base: prompts of its own, a training that was cut off
_OURS = {LOCK, HOLDER, CLOSED, FILE, "prompts", "tuning"}


def delete(folder: Path, *, lock_timeout: float) -> None:
    """Remove the base in `folder`, and the folder.

    Raises BadRequest for a folder that holds other things too, Locked while another process has
    the base open, StorageError; the latter also where the base is gone and files are left of it,
    which it names.
    """
    aside = _aside(folder, "deleted")
    try:
        with _held(folder, lock_timeout):
            for left in (aside, _aside(folder, "replaced")):
                if left.exists():  # someone was killed below, or in `take_place`
                    shutil.rmtree(left)
            os.rename(folder, aside)
    except OSError as exc:
        raise StorageError(f"cannot remove {folder}: {exc.strerror or exc}") from exc
    try:
        shutil.rmtree(aside)
    except OSError as exc:
        raise StorageError(
            f"{folder} is no base any more, but its files could not all be removed "
            f"({exc.strerror or exc}): remove {aside} yourself"
        ) from exc


def take_place(new: Path, folder: Path, *, lock_timeout: float) -> None:
    """Let the base in `new` be the one in `folder`, where one may lie, or nothing at all.

    Raises BadRequest for a folder that holds other things too, Locked while another process has
    the base there open, OSError; then what was there is there.
    """
    if not folder.exists():
        os.rename(new, folder)
        return
    aside = _aside(folder, "replaced")
    with _held(folder, lock_timeout):
        shutil.rmtree(aside, ignore_errors=True)
        os.rename(folder, aside)
        try:
            os.rename(new, folder)
        except BaseException:
            os.rename(aside, folder)
            raise
        gone = _aside(folder, "deleted")
        shutil.rmtree(gone, ignore_errors=True)
        os.rename(aside, gone)  # from here on nobody may take it back
    shutil.rmtree(gone, ignore_errors=True)


def require_ours(folder: Path) -> None:
    """Raise BadRequest for a folder that holds what is not of a base."""
    others = sorted(item.name for item in folder.iterdir() if not _is_ours(item.name))
    if others:
        raise BadRequest(
            f"{folder} holds what is not of kbqa ({others[0]}): move it away, or remove the folder "
            "yourself"
        )


def restore(folder: Path) -> None:
    """Take back the base that `take_place` was just putting aside when it was killed."""
    if not folder.exists():
        with suppress(OSError):
            os.rename(_aside(folder, "replaced"), folder)


def _aside(folder: Path, why: str) -> Path:
    return folder.with_name(f".{folder.name}.{why}")


@contextmanager
def _held(folder: Path, lock_timeout: float) -> Iterator[None]:
    """Nobody else has the base, which is all that the folder holds."""
    require_ours(folder)
    lock = acquire(folder, lock_timeout)
    try:
        require_ours(folder)
        yield
    finally:
        lock.let_go()


def _is_ours(name: str) -> bool:
    stem = shard_folder(Path(), "").name
    known = name.removesuffix(".new") in _OURS or name == stem
    return known or name.startswith((f"{stem}-", NEW))
