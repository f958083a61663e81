"""A folder and a ledger into a plan: what an ingest would do. Only looks.

A file's identity is its path relative to the ingested root (`uri`), its version the hash of its
bytes. A file whose size and times are those of the ledger counts as unchanged and is not read.
What an archive or a mail contains comes, goes and moves with it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ingest.documents import Failure, FileEntry, FileState, Record
from ingest.errors import BadRequest
from ingest.loaders.registry import parser_of, unpacker_of
from ingest.walking import EVERYTHING, Selection, Walk, is_under, uri_of, walk

GUARD_SHARE, GUARD_COUNT = 0.5, 10  # more than half, and at least ten: see `Plan.withheld`


@dataclass(frozen=True, slots=True)
class Plan:
    """What an ingest would do. `renamed` pairs the old uri with the file as it is now.

    `outdated` files are unchanged, but were read by an older parser: they are read again.
    `touched` files changed their times, not their bytes. `failed_before` are files that could not
    be read, are the same as then, and are not tried again. `withheld` counts removals that the
    guard holds back: more than half of the files (and at least ten) would vanish, which is more
    often an unmounted folder than a wish. `members` are the rows of what the files of this plan
    contained when they were last read, by the uri of the file.
    """

    added: tuple[FileEntry, ...] = ()
    changed: tuple[FileEntry, ...] = ()
    outdated: tuple[FileEntry, ...] = ()
    renamed: tuple[tuple[str, FileEntry], ...] = ()
    removed: tuple[str, ...] = ()
    touched: tuple[FileEntry, ...] = ()
    failed_before: tuple[Failure, ...] = ()
    unchanged: int = 0
    withheld: int = 0
    failures: tuple[Failure, ...] = ()
    skips: tuple[Failure, ...] = ()
    members: Mapping[str, Sequence[Record]] = field(default_factory=dict)

    @property
    def to_read(self) -> tuple[FileEntry, ...]:
        """The files that will be read."""
        return (*self.added, *self.changed, *self.outdated)


def plan(
    path: Path,
    ledger: Mapping[str, Record],
    *,
    prune: bool = False,
    retry: bool = False,
    selection: Selection = EVERYTHING,
    leave: Callable[[FileEntry], bool] | None = None,
) -> Plan:
    """What ingesting `path` (a folder or one file) would change, given the rows of the ledger.

    `prune` lifts the guard on removals; `retry` tries files again that failed before; files that
    `selection` does not take or that `leave` says are not ready are left as they are. Raises
    BadRequest when there is no such path.
    """
    if not os.path.exists(path):
        raise BadRequest(f"no such file or folder: {path}")
    target = os.path.realpath(path)
    root = _root_of(target, {record.root for record in ledger.values()})
    seen = walk(target, root, selection)
    planner = _Planner(ledger, target, root, seen, retry, selection)
    return planner.plan(prune, leave)


def plan_retry(ledger: Mapping[str, Record], uris: Collection[str] | None = None) -> Plan:
    """Read files again that failed, or that hold something that did: all, or those of `uris`.

    Raises BadRequest for a uri that has not failed.
    """
    again: list[FileEntry] = []
    failures: list[Failure] = []
    for uri, row in failed_files(ledger, uris).items():
        try:
            status = os.stat(row.source)
        except OSError as exc:
            reason = f"{exc.strerror or exc}; `kbqa ingest FOLDER` takes note of what is gone"
            failures.append(Failure(uri, reason, row.source))
            continue
        times = (status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        again.append(FileEntry(uri, row.source, row.root, *times))
    members = _members(ledger.values())
    return Plan(
        changed=tuple(again),
        failures=tuple(failures),
        members={entry.uri: members[entry.uri] for entry in again if entry.uri in members},
    )


def failed_files(
    ledger: Mapping[str, Record], uris: Collection[str] | None = None
) -> dict[str, Record]:
    """The files, by uri, that failed or hold something that did: all, or those of `uris`.

    Raises BadRequest for a uri that has not failed.
    """
    failed = {uri: row for uri, row in ledger.items() if row.state == "failed"}
    for uri in uris or ():
        if uri not in failed:
            known = "has not failed" if uri in ledger else "is not in the knowledge base"
            raise BadRequest(f"'{uri}' {known}; `kbqa documents --state failed` lists what failed")
    chosen = [failed[uri] for uri in (failed if uris is None else uris)]
    files = {row.container or row.uri: ledger.get(row.container or row.uri, row) for row in chosen}
    return dict(sorted(files.items()))


def sha256_of(path: str) -> str:
    """Hash of a file's bytes; "" for one that cannot be read (its loading will say why)."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def reader_of(media_type: str) -> str:
    """What reads files of this type now: a parser with its version, an unpacker, "" for neither."""
    if not media_type:
        return ""
    return parser_of(media_type) or ("members" if unpacker_of(media_type) else "")


def file_state(row: Record) -> FileState:
    """What became of the file of a row since it was read; of a member, pass the row of its file."""
    if not row.source:
        return ""
    try:
        status = os.stat(row.source)
    except OSError:
        return "gone"
    times = (status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    entry = FileEntry(row.uri, row.source, row.root, *times)
    as_read = row.state != "failed" and (_same_stat(row, entry) or _same_bytes(row, entry))
    return "same" if as_read else "changed"


def member_entry(member: Record, uri: str, entry: FileEntry) -> FileEntry:
    """A member as an entry: its uri in the file `entry`, whose size and times are not its own."""
    return FileEntry(entry.uri + member.uri[len(uri) :], entry.path, entry.root, 0, 0, 0)


def _root_of(target: str, roots: Collection[str]) -> str:
    """The ingested root that holds `target`, so that a folder inside it keeps its uris."""
    outer = [root for root in roots if root and is_under(target, root)]
    if outer:
        return min(outer, key=len)
    return target if os.path.isdir(target) else os.path.dirname(target)


def _members(rows: Iterable[Record]) -> dict[str, list[Record]]:
    """The rows of what files contain, by the uri of the file."""
    members: dict[str, list[Record]] = {}
    for row in rows:
        if row.container:
            members.setdefault(row.container, []).append(row)
    return members


class _Planner:
    """Matches the files seen with the rows of the ledger."""

    def __init__(
        self,
        ledger: Mapping[str, Record],
        target: str,
        root: str,
        seen: Walk,
        retry: bool,
        selection: Selection,
    ) -> None:
        self._ledger = ledger
        self._target, self._root, self._seen = target, root, seen
        self._retry, self._selection = retry, selection
        self._members = _members(ledger.values())
        self._by_source = {
            row.source: row for row in ledger.values() if row.source and not row.container
        }
        self._paths = {entry.path for entry in seen.entries}
        self._moved_roots = self._find_moved_roots()
        self._matched: set[str] = set()
        self._added: list[FileEntry] = []
        self._changed: list[FileEntry] = []
        self._outdated: list[FileEntry] = []
        self._renamed: list[tuple[str, FileEntry]] = []
        self._touched: list[FileEntry] = []
        self._failed_before: list[Failure] = []
        self._unchanged = 0

    def plan(self, prune: bool, leave: Callable[[FileEntry], bool] | None) -> Plan:
        for entry in self._seen.entries:
            if leave is not None and leave(entry):
                self._leave(entry)
            else:
                self._match(entry)
        gone = self._match_renames(self._gone())
        taken = {entry.uri for entry in self._added}  # replacing drops what had the uri before
        files = sum(not row.container for row in gone)
        withheld = 0
        matched = sum(not self._ledger[uri].container for uri in self._matched)
        if files >= GUARD_COUNT and files > GUARD_SHARE * (matched + files) and not prune:
            withheld, gone = len(gone), []
        to_read = (*self._added, *self._changed, *self._outdated)
        return Plan(
            added=tuple(self._added),
            changed=tuple(self._changed),
            outdated=tuple(self._outdated),
            # the deepest first: `a -> sub/a` must not meet the `sub/a` that becomes `sub/sub/a`
            renamed=tuple(sorted(self._renamed, key=lambda pair: -len(pair[1].uri))),
            removed=tuple(row.uri for row in gone if row.uri not in taken),
            touched=tuple(self._touched),
            failed_before=tuple(self._failed_before),
            unchanged=self._unchanged,
            withheld=withheld,
            failures=tuple(self._seen.failures),
            skips=tuple(self._seen.skips),
            members={e.uri: self._members[e.uri] for e in to_read if e.uri in self._members},
        )

    def _find_moved_roots(self) -> set[str]:
        """Roots that are gone from disk and whose documents, most of them, lie in this one now."""
        if not os.path.isdir(self._target) or self._target != self._root:
            return set()
        if {row.root for row in self._ledger.values()} <= {self._root, ""}:
            return set()
        names = {entry.uri for entry in self._seen.entries}
        uris: dict[str, list[str]] = {}
        for row in self._ledger.values():
            if not row.container:
                uris.setdefault(row.root, []).append(row.uri)
        return {
            root
            for root, its in uris.items()
            if root and not os.path.isdir(root) and 2 * len(names.intersection(its)) >= len(its)
        }

    def _leave(self, entry: FileEntry) -> None:
        """A file that is being written: what is known of it stays as it is."""
        row = self._by_source.get(entry.path)
        if row is not None:
            self._matched.add(row.uri)

    def _match(self, entry: FileEntry) -> None:
        row = self._by_source.get(entry.path)
        if row is not None and row.root != self._root:
            self._match_widened(row, entry)
            return
        row = row or self._ledger.get(entry.uri)
        if row is None:
            self._added.append(entry)
        elif not row.container and (
            row.source in ("", entry.path) or row.root in self._moved_roots
        ):
            self._compare(row, entry if row.uri == entry.uri else replace(entry, uri=row.uri))
        else:  # the same relative path under another root that is still there
            self._added.append(replace(entry, uri=self._free_uri(entry)))

    def _match_widened(self, row: Record, entry: FileEntry) -> None:
        """A known file, seen from a root further up: its uri is now relative to that one."""
        entry = replace(entry, uri=self._free_uri(entry))
        if entry.uri == row.uri:
            self._compare(row, entry)
        elif _same_stat(row, entry) or _same_bytes(row, entry):
            self._rename(row, entry)
        else:
            self._added.append(entry)

    def _compare(self, row: Record, entry: FileEntry) -> None:
        """A known file where it was."""
        self._matched.add(row.uri)
        members = self._members.get(row.uri, ())
        same = _same_stat(row, entry) and (row.root, row.source) == (entry.root, entry.path)
        if not same and not _same_bytes(row, entry):
            self._changed.append(entry)
            return
        failed = row.state == "failed"
        if self._retry and (failed or any(member.state == "failed" for member in members)):
            self._changed.append(entry)
        elif _is_outdated(row) or any(map(_is_outdated, members)):
            (self._changed if failed else self._outdated).append(entry)
        else:
            self._keep(row, members)
            if not same:
                self._touched.append(entry)
                self._touched.extend(member_entry(member, row.uri, entry) for member in members)

    def _keep(self, row: Record, members: Sequence[Record]) -> None:
        for known in (row, *members):
            if known.state == "failed":
                self._failed_before.append(Failure(known.uri, known.error, known.source))
            elif known.state == "skipped":
                self._seen.skips.append(Failure(known.uri, known.error, known.source, True))
            elif known.state == "ok":
                self._unchanged += 1

    def _rename(self, row: Record, entry: FileEntry) -> None:
        members = self._members.get(row.uri, ())
        moves = [(row, entry), *((one, member_entry(one, row.uri, entry)) for one in members)]
        for known, new in moves:
            self._matched.add(known.uri)
            self._renamed.append((known.uri, new))
            if known.state == "failed":
                self._failed_before.append(Failure(new.uri, known.error, new.path))

    def _free_uri(self, entry: FileEntry) -> str:
        """The path relative to the root, after the root's name where another document has that."""
        name = os.path.basename(self._root) or "root"
        uri, number = entry.uri, 1
        while self._is_taken(uri, entry):
            prefix = name if number == 1 else f"{name}-{number}"
            uri, number = f"{prefix}/{entry.uri}", number + 1
        return uri

    def _is_taken(self, uri: str, entry: FileEntry) -> bool:
        """Whether a document of another file has this uri and does not give it up in this run."""
        row = self._ledger.get(uri)
        if row is None or (row.source == entry.path and not row.container):
            return False
        return row.root == self._root or not is_under(row.source, self._target)

    def _gone(self) -> list[Record]:
        """Rows of files that should have been seen and were not."""
        if not os.path.isdir(self._target):
            return []
        unreadable = [failure.path for failure in self._seen.failures]
        return [
            row
            for row in self._ledger.values()
            if row.uri not in self._matched
            and self._should_be_seen(self._ledger.get(row.container, row), unreadable)
            # what a file holds goes by what is read in it, unless the file is gone
            and not (
                row.container and (row.container in self._matched or row.source in self._paths)
            )
        ]

    def _should_be_seen(self, row: Record, unreadable: Sequence[str]) -> bool:
        return (
            (row.root in self._moved_roots or is_under(row.source, self._target))
            and not any(is_under(row.source, path) for path in unreadable)
            and self._selects(row)
        )

    def _selects(self, row: Record) -> bool:
        return self._selection == EVERYTHING or self._selection.takes(uri_of(row.source, row.root))

    def _match_renames(self, gone: list[Record]) -> list[Record]:
        """Pair new files with vanished ones of the same bytes; what is left is really gone."""
        by_hash: dict[str, list[Record]] = {}
        for row in gone:
            if not row.container:
                by_hash.setdefault(row.sha256, []).append(row)
        sizes = {row.size for rows in by_hash.values() for row in rows}
        added, self._added = self._added, []
        for entry in added:
            twins = by_hash.get(sha256_of(entry.path)) if entry.size in sizes else None
            if twins:
                self._rename(twins.pop(), entry)
            else:
                self._added.append(entry)
        return [row for row in gone if row.uri not in self._matched]


def _is_outdated(row: Record) -> bool:
    """Whether another parser, or a newer one, would read this today. Of a file that failed before
    anyone saw what it is, no one knows."""
    unread = row.state == "container" or (row.state == "failed" and not row.parser)
    return not unread and row.parser != reader_of(row.media_type)


def read_anew(row: Record) -> FileEntry:
    """A known file such that the next run takes it for changed."""
    return FileEntry(row.uri, row.source, row.root, size=0, mtime_ns=0, ctime_ns=0)


def _same_stat(row: Record, entry: FileEntry) -> bool:
    return (
        row.size == entry.size and row.mtime_ns == entry.mtime_ns and row.ctime_ns == entry.ctime_ns
    )


def _same_bytes(row: Record, entry: FileEntry) -> bool:
    return row.size == entry.size and bool(row.sha256) and sha256_of(entry.path) == row.sha256
