"""A folder and a ledger into a plan, and the plan into changes.

`plan` only looks; `apply` loads, splits and hands over to a `Sink` (the index). A file's identity
is its path relative to the ingested root (`uri`), its version the hash of its bytes. A file whose
size and times are those of the ledger counts as unchanged and is not read.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from ingest.documents import Failure, FileEntry, Prepared, Record
from ingest.errors import BadRequest
from ingest.walking import Walk, is_under, walk

BATCH_CHUNKS = 512  # embedded and written together: enough to sort by length, little to lose
BATCH_DOCUMENTS = 128
BATCH_CHARACTERS = 4_000_000
GUARD_SHARE, GUARD_COUNT = 0.5, 10  # more than half, and at least ten: see `Plan.withheld`


@dataclass(frozen=True, slots=True)
class Plan:
    """What an ingest would do. `renamed` pairs the old uri with the file as it is now.

    `touched` files changed their times, not their bytes. `withheld` counts removals that the guard
    holds back: more than half of the documents (and at least ten) would vanish, which is more
    often an unmounted folder than a wish.
    """

    added: tuple[FileEntry, ...] = ()
    changed: tuple[FileEntry, ...] = ()
    renamed: tuple[tuple[str, FileEntry], ...] = ()
    removed: tuple[str, ...] = ()
    touched: tuple[FileEntry, ...] = ()
    unchanged: int = 0
    withheld: int = 0
    failures: tuple[Failure, ...] = ()
    skips: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What an ingest did. `chunks` counts those written, `seconds` is wall-clock time."""

    added: int = 0
    changed: int = 0
    renamed: int = 0
    removed: int = 0
    unchanged: int = 0
    failed: int = 0
    skipped: int = 0
    withheld: int = 0
    failures: tuple[Failure, ...] = ()
    skips: tuple[Failure, ...] = ()
    chunks: int = 0
    seconds: float = 0.0

    def __add__(self, other: SyncReport) -> SyncReport:
        """The sum of two runs."""
        names = self.__dataclass_fields__
        return SyncReport(**{name: getattr(self, name) + getattr(other, name) for name in names})


class Sink(Protocol):
    """Where documents go. Each call is complete and durable when it returns."""

    def replace(self, batch: Sequence[Prepared]) -> None:
        """Write documents in their new version, then drop their old one."""
        ...

    def rename(self, pairs: Sequence[tuple[str, FileEntry]]) -> None:
        """Give documents another uri and file, without embedding anything."""
        ...

    def touch(self, entries: Sequence[FileEntry]) -> None:
        """Record new file times of documents whose bytes are the same."""
        ...

    def remove(self, uris: Sequence[str]) -> None:
        """Drop documents."""
        ...


@dataclass(slots=True)
class Progress:
    """How far an ingest is: files done of `total`, chunks written, the file at hand."""

    total: int
    done: int = 0
    chunks: int = 0
    uri: str = ""
    started: float = field(default_factory=time.monotonic)


def plan(path: Path, ledger: Mapping[str, Record], *, prune: bool = False) -> Plan:
    """What ingesting `path` (a folder or one file) would change, given the rows of the ledger.

    `prune` lifts the guard on removals. Raises BadRequest when there is no such path.
    """
    if not os.path.exists(path):
        raise BadRequest(f"no such file or folder: {path}")
    target = os.path.realpath(path)
    root = _root_of(target, {record.root for record in ledger.values()})
    seen = walk(target, root)
    return _Planner(ledger, target, root, seen).plan(prune)


def _root_of(target: str, roots: Collection[str]) -> str:
    """The ingested root that holds `target`, so that a folder inside it keeps its uris."""
    outer = [root for root in roots if root and is_under(target, root)]
    if outer:
        return min(outer, key=len)
    return target if os.path.isdir(target) else os.path.dirname(target)


class _Planner:
    """Matches the files seen with the rows of the ledger."""

    def __init__(self, ledger: Mapping[str, Record], target: str, root: str, seen: Walk) -> None:
        self._ledger = ledger
        self._target, self._root, self._seen = target, root, seen
        self._by_source = {record.source: record for record in ledger.values() if record.source}
        self._moved_roots = self._find_moved_roots()
        self._matched: set[str] = set()
        self._added: list[FileEntry] = []
        self._changed: list[FileEntry] = []
        self._renamed: list[tuple[str, FileEntry]] = []
        self._touched: list[FileEntry] = []
        self._unchanged = 0

    def plan(self, prune: bool) -> Plan:
        for entry in self._seen.entries:
            self._match(entry)
        gone = self._gone()
        gone = self._match_renames(gone)
        taken = {entry.uri for entry in self._added}  # replacing drops what had the uri before
        total = len(self._matched) + len(gone)
        withheld = 0
        if len(gone) >= GUARD_COUNT and len(gone) > GUARD_SHARE * total and not prune:
            withheld, gone = len(gone), []
        return Plan(
            added=tuple(self._added),
            changed=tuple(self._changed),
            # the deepest first: `a -> sub/a` must not meet the `sub/a` that becomes `sub/sub/a`
            renamed=tuple(sorted(self._renamed, key=lambda pair: -len(pair[1].uri))),
            removed=tuple(record.uri for record in gone if record.uri not in taken),
            touched=tuple(self._touched),
            unchanged=self._unchanged,
            withheld=withheld,
            failures=tuple(self._seen.failures),
            skips=tuple(self._seen.skips),
        )

    def _find_moved_roots(self) -> set[str]:
        """Roots that are gone from disk and whose documents, most of them, lie in this one now."""
        if not os.path.isdir(self._target) or self._target != self._root:
            return set()
        names = {entry.uri for entry in self._seen.entries}
        uris: dict[str, list[str]] = {}
        for record in self._ledger.values():
            uris.setdefault(record.root, []).append(record.uri)
        return {
            root
            for root, its in uris.items()
            if root and not os.path.isdir(root) and 2 * len(names.intersection(its)) >= len(its)
        }

    def _match(self, entry: FileEntry) -> None:
        record = self._by_source.get(entry.path)
        if record is not None and record.root != self._root:
            self._match_widened(record, entry)
            return
        record = record or self._ledger.get(entry.uri)
        if record is None:
            self._added.append(entry)
        elif record.source in ("", entry.path) or record.root in self._moved_roots:
            self._compare(record, replace(entry, uri=record.uri))
        else:  # the same relative path under another root that is still there
            self._added.append(replace(entry, uri=self._free_uri(entry)))

    def _match_widened(self, record: Record, entry: FileEntry) -> None:
        """A known file, seen from a root further up: its uri is now relative to that one."""
        entry = replace(entry, uri=self._free_uri(entry))
        if entry.uri == record.uri:
            self._compare(record, entry)
        elif _same_stat(record, entry) or _same_bytes(record, entry):
            self._matched.add(record.uri)
            self._renamed.append((record.uri, entry))
        else:
            self._added.append(entry)

    def _compare(self, record: Record, entry: FileEntry) -> None:
        self._matched.add(record.uri)
        where = (record.root, record.source)
        if _same_stat(record, entry) and where == (entry.root, entry.path):
            self._unchanged += 1
        elif _same_bytes(record, entry):
            self._touched.append(entry)
            self._unchanged += 1
        else:
            self._changed.append(entry)

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
        record = self._ledger.get(uri)
        if record is None or record.source == entry.path:
            return False
        return record.root == self._root or not is_under(record.source, self._target)

    def _gone(self) -> list[Record]:
        """Rows of files that should have been seen and were not."""
        if not os.path.isdir(self._target):
            return []
        unreadable = [failure.path for failure in self._seen.failures]
        return [
            record
            for record in self._ledger.values()
            if record.uri not in self._matched
            and (record.root in self._moved_roots or is_under(record.source, self._target))
            and not any(is_under(record.source, path) for path in unreadable)
        ]

    def _match_renames(self, gone: list[Record]) -> list[Record]:
        """Pair new files with vanished ones of the same bytes; what is left is really gone."""
        by_hash: dict[str, list[Record]] = {}
        for record in gone:
            by_hash.setdefault(record.sha256, []).append(record)
        sizes = {record.size for record in gone}
        added, self._added = self._added, []
        for entry in added:
            twins = by_hash.get(_sha256(entry.path)) if entry.size in sizes else None
            if twins:
                self._renamed.append((twins.pop().uri, entry))
            else:
                self._added.append(entry)
        return [record for records in by_hash.values() for record in records]


def _same_stat(record: Record, entry: FileEntry) -> bool:
    return (record.size, record.mtime_ns, record.ctime_ns) == (
        entry.size,
        entry.mtime_ns,
        entry.ctime_ns,
    )


def _same_bytes(record: Record, entry: FileEntry) -> bool:
    return record.size == entry.size and _sha256(entry.path) == record.sha256


def _sha256(path: str) -> str:
    """Hash of a file's bytes; "" for one that cannot be read (its loading will say why)."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def apply(
    changes: Plan,
    sink: Sink,
    *,
    prepare: Callable[[Iterable[FileEntry]], Iterator[Prepared | Failure]],
    on_progress: Callable[[Progress], None] | None = None,
) -> SyncReport:
    """Carry out a plan. A file that cannot be loaded is reported and stops nothing.

    `prepare` loads and splits (see `ingest.pipeline`). A document is durable once its batch is;
    an interrupted run is finished by the next one.
    """
    started = time.monotonic()
    if changes.renamed:
        sink.rename(changes.renamed)
    if changes.touched:
        sink.touch(changes.touched)
    failures, skips = list(changes.failures), list(changes.skips)
    todo = (*changes.added, *changes.changed)
    progress = Progress(total=len(todo))
    done: set[str] = set()
    for batch in in_batches(prepare(todo)):
        good = [item for item in batch if isinstance(item, Prepared)]
        for item in batch:
            if isinstance(item, Failure):
                (skips if item.skipped else failures).append(item)
        if good:
            sink.replace(good)
        done.update(item.document.uri for item in good)
        progress.done += len(batch)
        progress.chunks += sum(len(item.chunks) for item in good)
        progress.uri = good[-1].document.uri if good else progress.uri
        if on_progress:
            on_progress(progress)
    if changes.removed:
        sink.remove(changes.removed)
    return SyncReport(
        added=sum(entry.uri in done for entry in changes.added),
        changed=sum(entry.uri in done for entry in changes.changed),
        renamed=len(changes.renamed),
        removed=len(changes.removed),
        unchanged=changes.unchanged,
        failed=len(failures),
        skipped=len(skips),
        withheld=changes.withheld,
        failures=tuple(failures),
        skips=tuple(skips),
        chunks=progress.chunks,
        seconds=time.monotonic() - started,
    )


def in_batches(items: Iterable[Prepared | Failure]) -> Iterator[list[Prepared | Failure]]:
    """Group documents so that one batch is worth embedding and small enough to hold."""
    batch: list[Prepared | Failure] = []
    chunks = characters = 0
    for item in items:
        batch.append(item)
        if isinstance(item, Prepared):
            chunks += len(item.chunks)
            characters += len(item.document.text)
        full = chunks >= BATCH_CHUNKS or characters >= BATCH_CHARACTERS
        if full or len(batch) >= BATCH_DOCUMENTS:
            yield batch
            batch, chunks, characters = [], 0, 0
    if batch:
        yield batch
