"""The files below a folder that may be documents."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field

from pathspec import GitIgnoreSpec

from ingest.documents import Failure, FileEntry
from ingest.errors import BadRequest
from ingest.loaders import supported_suffixes

IGNORE_FILE = ".kbqaignore"  # patterns as in .gitignore, at the top of the ingested root
SKIPPED_FOLDERS = frozenset({"CVS", "__pycache__", "node_modules", "__MACOSX"})


@dataclass(slots=True)
class Walk:
    """What a walk saw: candidates, what could not be looked at, what is of no supported kind."""

    entries: list[FileEntry] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    skips: list[Failure] = field(default_factory=list)


def walk(target: str, root: str) -> Walk:
    """Look at the file `target`, or at every file below the folder `target`, in order of path.

    Left out: what the root's `.kbqaignore` names, hidden files and folders, VCS and cache folders,
    links that lead out of `root`, anything that is not a regular file. A file named directly is
    taken whatever its suffix.
    """
    seen = Walk()
    if not os.path.isdir(target):
        _look(target, root, seen, named=True)
        return seen
    ignored = _ignored(root)
    for path in _files(target, root, seen):
        if not ignored.match_file(uri_of(path, root)):
            _look(path, root, seen, named=False)
    return seen


def is_under(path: str, folder: str) -> bool:
    """Whether `path` is `folder` or lies below it."""
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def uri_of(path: str, root: str) -> str:
    """Path relative to `root` with `/`; bytes that are no UTF-8 become `\\xNN`."""
    relative = os.path.relpath(path, root).replace(os.sep, "/")
    return relative.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _ignored(root: str) -> GitIgnoreSpec:
    try:
        with open(os.path.join(root, IGNORE_FILE), encoding="utf-8") as file:
            return GitIgnoreSpec.from_lines(file)
    except FileNotFoundError:
        return GitIgnoreSpec.from_lines([])
    except (OSError, ValueError) as exc:
        raise BadRequest(f"{os.path.join(root, IGNORE_FILE)}: {exc}") from exc


def _files(folder: str, root: str, seen: Walk) -> Iterator[str]:
    try:
        with os.scandir(folder) as found:
            children = sorted(found, key=lambda child: child.name)
    except OSError as exc:
        reason = f"cannot be listed: {exc.strerror or exc}"
        seen.failures.append(Failure(uri_of(folder, root), reason, folder))
        return
    for child in children:
        if child.name.startswith(".") or child.name in SKIPPED_FOLDERS:
            continue
        if child.is_dir(follow_symlinks=False):
            yield from _files(child.path, root, seen)
        elif child.is_symlink() and not os.path.exists(child.path):  # leads nowhere or in a circle
            seen.failures.append(Failure(uri_of(child.path, root), "broken link", child.path))
        elif child.is_file() and _stays_inside(child, root):
            yield child.path


def _stays_inside(child: os.DirEntry[str], root: str) -> bool:
    return not child.is_symlink() or is_under(os.path.realpath(child.path), root)


def _look(path: str, root: str, seen: Walk, *, named: bool) -> None:
    uri = uri_of(path, root)
    suffix = os.path.splitext(path)[1].lower()
    if suffix and suffix not in supported_suffixes() and not named:
        seen.skips.append(Failure(uri, f"files of type {suffix} are not supported", path, True))
        return
    try:
        status = os.stat(path)
    except OSError as exc:
        seen.failures.append(Failure(uri, exc.strerror or str(exc), path))
        return
    if not stat.S_ISREG(status.st_mode):
        seen.failures.append(Failure(uri, "not a regular file", path))
        return
    seen.entries.append(
        FileEntry(uri, path, root, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    )
