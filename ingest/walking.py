"""The files below a folder that may be documents."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from ingest.documents import Failure, FileEntry
from ingest.errors import BadRequest
from ingest.loaders import supported_suffixes
from ingest.loaders.plugins import media_type_of

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

IGNORE_FILE = ".kbqaignore"  # patterns as in .gitignore, in any folder, counting from there down
# what lies in a knowledge base, see `retrieval.edge_folders`
_LOCK, _SHARD, _SHARD_FILE = "lock", "shard", "edge_config.json"
_BASE_NAMES = frozenset({_LOCK, "holder.json", "closed.json", "current.json", "prompts", "tuning"})
_SKIPPED_FOLDERS = frozenset({"CVS", "__pycache__", "node_modules", "__MACOSX"})


@dataclass(slots=True)
class Walk:
    """What a walk saw: candidates, what could not be looked at, what is of no supported kind."""

    entries: list[FileEntry] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    skips: list[Failure] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which files a run is about, by patterns as in .gitignore on their path below the root.

    Files that it leaves out are left alone: neither added nor removed.
    """

    include: GitIgnoreSpec | None = None
    exclude: GitIgnoreSpec | None = None

    @classmethod
    def of(cls, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> Selection:
        """From patterns; without `include` everything is in. Raises BadRequest for a bad one."""
        try:
            specs = [_spec(lines) if lines else None for lines in (include, exclude)]
        except (ValueError, re.error) as exc:
            raise BadRequest(f"--include, --exclude: {exc}; write them as in .gitignore") from exc
        return cls(*specs)

    def takes(self, relative: str) -> bool:
        """Whether the run is about the file at this path below the root."""
        if self.include is not None and not self.include.match_file(relative):
            return False
        return self.exclude is None or not self.exclude.match_file(relative)


EVERYTHING = Selection()
# where an ignore file lies (its folder's path below the root, with a slash), and what it says
_Rules: TypeAlias = "tuple[tuple[str, GitIgnoreSpec], ...]"


def walk(target: str, root: str, selection: Selection = EVERYTHING) -> Walk:
    """Look at the file `target`, or at every file below the folder `target`, in order of path.

    Left out: what a `.kbqaignore` names (one further down has the last word, as with git), hidden
    files and folders, VCS and cache folders, knowledge bases, owner files of Word, linked folders,
    links that lead out of `root`, anything that is not a regular file. A file named directly is
    taken whatever its suffix.
    """
    seen = Walk()
    if not os.path.isdir(target):
        _look(target, uri_of(target, root), root, seen)
        return seen
    suffixes = supported_suffixes()
    everything = selection == EVERYTHING
    for child, uri in _files(target, root, seen):
        if not everything and not selection.takes(uri):
            continue
        if reason := unsupported(child.name, suffixes):
            seen.skips.append(Failure(uri, reason, child.path, True))
        else:
            _look(child, uri, root, seen)
    return seen


def unsupported(name: str, suffixes: Collection[str]) -> str:
    """Why a walk leaves out a file of this name, by its suffix; "" if it does not.

    `suffixes`: those of `supported_suffixes`.
    """
    _, dot, suffix = name.rpartition(".")
    suffix = dot + suffix.lower() if dot else ""
    if suffix and suffix not in suffixes and not media_type_of(name):
        return f"files of type {suffix} are not supported"
    return ""


def is_passed_over(name: str) -> bool:
    """Whether a file or folder of this name is nobody's document.

    Hidden ones, folders of tools, and `~$report.docx`: the name of who has the report open.
    """
    return name.startswith((".", "~$")) or name in _SKIPPED_FOLDERS


def is_of_base(folder: str, name: str) -> bool:
    """Whether what `folder` holds by this name belongs to a knowledge base that lies there: each
    ingest would find it changed by the one before."""
    return _is_base_name(name) and _is_base(folder)


def _is_base_name(name: str) -> bool:
    return name in _BASE_NAMES or name.startswith(_SHARD)


def _is_base(folder: str) -> bool:
    try:
        return os.path.exists(os.path.join(folder, _LOCK)) and any(
            name.startswith(_SHARD) and os.path.exists(os.path.join(folder, name, _SHARD_FILE))
            for name in os.listdir(folder)
        )
    except OSError:
        return False


def is_under(path: str, folder: str) -> bool:
    """Whether `path` is `folder` or lies below it."""
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def uri_of(path: str, root: str) -> str:
    """Path relative to `root` with `/`; bytes that are no UTF-8 become `\\xNN`."""
    return _readable(os.path.relpath(path, root).replace(os.sep, "/"))


def _readable(relative: str) -> str:
    if relative.isascii():
        return relative
    return relative.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _files(target: str, root: str, seen: Walk) -> Iterator[tuple[os.DirEntry[str], str]]:
    """Every candidate below `target` with its uri."""
    folders = os.path.relpath(target, root).split(os.sep) if target != root else []
    rules: _Rules = ()
    prefix, path = "", root
    for folder in folders:
        rules = _with_rules(rules, path, prefix)
        prefix, path = f"{prefix}{_readable(folder)}/", os.path.join(path, folder)
    yield from _below(target, prefix, root, rules, seen)


def _below(
    folder: str, prefix: str, root: str, rules: _Rules, seen: Walk
) -> Iterator[tuple[os.DirEntry[str], str]]:
    levels = [_children(folder, prefix, root, rules, seen)]  # folders may lie deeper than calls may
    while levels:
        found = next(levels[-1], None)
        if found is None:
            levels.pop()
            continue
        child, uri, rules = found
        if child.is_dir(follow_symlinks=False):
            levels.append(_children(child.path, f"{uri}/", root, rules, seen))
        else:
            yield child, uri


def _children(
    folder: str, prefix: str, root: str, rules: _Rules, seen: Walk
) -> Iterator[tuple[os.DirEntry[str], str, _Rules]]:
    """What is to be looked at in a folder, in order of name: files and folders, with the rules
    that count in it."""
    try:
        with os.scandir(folder) as found:
            children = sorted(found, key=lambda child: child.name)
    except OSError as exc:
        reason = f"cannot be listed: {exc.strerror or exc}"
        seen.failures.append(Failure(prefix.rstrip("/") or ".", reason, folder))
        return
    if any(child.name == IGNORE_FILE for child in children):
        rules = _with_rules(rules, folder, prefix)
    holds_base = any(child.name == _LOCK for child in children) and _is_base(folder)
    for child in children:
        if is_passed_over(child.name) or (holds_base and _is_base_name(child.name)):
            continue
        uri = prefix + _readable(child.name)
        is_link = child.is_symlink()
        if child.is_dir(follow_symlinks=False):
            if not (rules and _is_ignored(f"{uri}/", rules)):
                yield child, uri, rules
        elif rules and _is_ignored(uri, rules):
            continue
        elif is_link and not os.path.exists(child.path):  # leads nowhere or in a circle
            seen.failures.append(Failure(uri, "broken link", child.path))
        elif child.is_file() and (not is_link or is_under(os.path.realpath(child.path), root)):
            yield child, uri, rules


def _with_rules(rules: _Rules, folder: str, prefix: str) -> _Rules:
    path = os.path.join(folder, IGNORE_FILE)
    try:
        with open(path, encoding="utf-8") as file:
            return (*rules, (prefix, _spec(file)))
    except FileNotFoundError:
        return rules
    except (OSError, ValueError, re.error) as exc:
        raise BadRequest(f"{path}: {exc}") from exc


def _spec(lines: Iterable[str]) -> GitIgnoreSpec:
    """Patterns as in .gitignore, matched in time linear in the path, however many stars they have.

    Raises ValueError or `re.error` for what is none.
    """
    from pathspec import GitIgnoreSpec

    return GitIgnoreSpec.from_lines(lines, backend="re2")


def _is_ignored(uri: str, rules: _Rules) -> bool:
    """What the innermost ignore file with an opinion says."""
    for prefix, spec in reversed(rules):
        ignored = spec.check_file(uri[len(prefix) :]).include
        if ignored is not None:
            return ignored
    return False


def _look(found: os.DirEntry[str] | str, uri: str, root: str, seen: Walk) -> None:
    path = found if isinstance(found, str) else found.path
    try:
        status = os.stat(found) if isinstance(found, str) else found.stat()
    except OSError as exc:
        seen.failures.append(Failure(uri, exc.strerror or str(exc), path))
        return
    if not stat.S_ISREG(status.st_mode):
        seen.failures.append(Failure(uri, "not a regular file", path))
        return
    seen.entries.append(
        FileEntry(uri, path, root, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    )
