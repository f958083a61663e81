"""A plan into changes: files are read, split and handed over to a `Sink`, the index.

Order is what makes it safe to be killed at any moment. The new version of a document is complete
before the old one goes. What a file contains is written before the file's own row, and what has
vanished from it is removed before that too; so a file whose row is up to date is done, and one
whose row is not is done again by the next run.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from ingest.documents import Failure, FileEntry, Finished, Prepared, Record
from ingest.planning import Plan, plan, reader_of, sha256_of
from ingest.quality import is_poor, judged, refusal
from ingest.walking import EVERYTHING, Selection

BATCH_CHUNKS = 512  # embedded and written together: enough to sort by length, little to lose
BATCH_DOCUMENTS = 128
BATCH_CHARACTERS = 4_000_000

Item = Prepared | Failure | Finished
Prepare = Callable[[Iterable[FileEntry]], Iterator[Item]]


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What an ingest did, in documents. `chunks` counts those written, `poor` documents that were
    read poorly, `seconds` is wall-clock time, `failed_before` (`not_tried`) what failed before, is
    the same as then and was left."""

    added: int = 0
    changed: int = 0
    renamed: int = 0
    removed: int = 0
    unchanged: int = 0
    failed: int = 0
    failed_before: int = 0
    skipped: int = 0
    withheld: int = 0
    failures: tuple[Failure, ...] = ()
    skips: tuple[Failure, ...] = ()
    not_tried: tuple[Failure, ...] = ()
    chunks: int = 0
    poor: int = 0
    seconds: float = 0.0

    def __add__(self, other: SyncReport) -> SyncReport:
        """The sum of two runs."""
        names = self.__dataclass_fields__
        return SyncReport(**{name: getattr(self, name) + getattr(other, name) for name in names})


class Sink(Protocol):
    """Where documents go. Each call is complete and durable when it returns."""

    def replace(self, batch: Sequence[Prepared], *, waiting: Callable[[], None]) -> None:
        """Write documents in their new version, then drop their old one.

        `waiting` is called now and then before anything is written; what it raises ends it.
        """
        ...

    def note(self, records: Sequence[Record]) -> None:
        """Write rows without a document: of what failed (what is known of it keeps answering), of
        what is skipped, and of containers."""
        ...

    def rename(self, pairs: Sequence[tuple[str, FileEntry]]) -> None:
        """Give documents another uri and file, without embedding anything."""
        ...

    def touch(self, entries: Sequence[FileEntry]) -> None:
        """Record where files lie and their times, of documents whose bytes are the same."""
        ...

    def remove(self, uris: Sequence[str]) -> None:
        """Drop documents."""
        ...


@dataclass(slots=True)
class Progress:
    """How far an ingest is: files read of `total`, chunks written, the file at hand.

    What was read is in the base once its batch is written, which may be much later.
    """

    total: int
    done: int = 0
    chunks: int = 0
    uri: str = ""
    started: float = field(default_factory=time.monotonic)


def sync_folder(
    folder: Path,
    sink: Sink,
    ledger: Mapping[str, Record],
    *,
    prepare: Prepare,
    prune: bool = False,
    retry: bool = False,
    selection: Selection = EVERYTHING,
    on_progress: Callable[[Progress], None] | None = None,
) -> SyncReport:
    """Bring a sink in line with a folder: `plan`, then `apply`. `ledger` is what it holds."""
    changes = plan(folder, ledger, prune=prune, retry=retry, selection=selection)
    return apply(changes, sink, prepare=prepare, on_progress=on_progress)


def apply(
    changes: Plan,
    sink: Sink,
    *,
    prepare: Prepare,
    on_progress: Callable[[Progress], None] | None = None,
) -> SyncReport:
    """Carry out a plan. A file that cannot be loaded is reported and stops nothing.

    `prepare` loads and splits (see `ingest.pipeline`). A document is durable once its batch is;
    an interrupted run is finished by the next one. `on_progress` is called for each document and
    each batch, and now and then while one is embedded; what it raises ends the run, without the
    batch that is being filled or embedded.
    """
    started = time.monotonic()
    if changes.renamed:
        sink.rename(changes.renamed)
    if changes.touched:
        sink.touch(changes.touched)
    progress = Progress(total=len(changes.to_read))
    tell = on_progress or _keep_silent
    writer = _Writer(changes, sink, waiting=lambda: tell(progress))
    items = prepare(changes.to_read) if changes.to_read else iter(())
    for batch in in_batches(_told(items, progress, tell)):
        writer.write(batch)
        progress.chunks = writer.counts["chunks"]
        tell(progress)
    if changes.removed:
        sink.remove(changes.removed)
    return writer.report(time.monotonic() - started)


def _told(
    items: Iterator[Item], progress: Progress, tell: Callable[[Progress], None]
) -> Iterator[Item]:
    """The items, each noted as it comes, the first one when it is waited for."""
    if progress.total:
        tell(progress)
    for item in items:
        progress.done += isinstance(item, Finished)
        if isinstance(item, Prepared):
            progress.uri = item.document.uri
        tell(progress)
        yield item


def _keep_silent(progress: Progress) -> None:
    """Nobody wants to know."""


def in_batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Group documents so that one batch is worth embedding and small enough to hold.

    A file's own document and the word that the file is finished are in the same batch.
    """
    batch: list[Item] = []
    documents = chunks = characters = 0
    for item in items:
        batch.append(item)
        documents += not isinstance(item, Finished)
        unfinished = False
        if isinstance(item, Prepared):
            chunks += len(item.chunks)
            characters += len(item.document.text)
            unfinished = item.entry is not None and not item.container
        full = chunks >= BATCH_CHUNKS or characters >= BATCH_CHARACTERS
        if (full or documents >= BATCH_DOCUMENTS) and not unfinished:
            yield batch
            batch, documents, chunks, characters = [], 0, 0, 0
    if batch:
        yield batch


class _Writer:
    """Hands over batch after batch, in the order that makes it safe, and counts."""

    def __init__(self, changes: Plan, sink: Sink, *, waiting: Callable[[], None]) -> None:
        self._changes, self._sink, self._waiting = changes, sink, waiting
        self._known = {row.uri: row for rows in changes.members.values() for row in rows}
        self._new = {entry.uri for entry in changes.added}
        self._failures = list(changes.failures)
        self._skips = list(changes.skips)
        self._failed: dict[str, Failure] = {}  # files whose word that they are finished is to come
        self.counts = Counter[str]()

    def write(self, batch: Sequence[Item]) -> None:
        members: list[Prepared] = []
        own: list[Prepared] = []
        notes: list[Record] = []
        finished: list[Finished] = []
        for item in batch:
            if isinstance(item, Finished):
                finished.append(item)
            elif isinstance(item, Prepared):
                checked = self._checked(item)
                if isinstance(checked, Failure):
                    notes.extend(self._failure(checked))
                elif not self._is_same(checked):
                    (members if checked.container else own).append(checked)
            else:
                notes.extend(self._failure(item))
        vanished = [uri for item in finished for uri in self._vanished(item)]
        if members and not vanished:
            own, members = [*members, *own], []
        for ready in (members, own):
            if ready is own and vanished:
                self._sink.remove(vanished)
                self.counts["removed"] += len(vanished)
            if ready:
                self._sink.replace(ready, waiting=self._waiting)
                self._count(ready)
        notes.extend(row for item in finished for row in self._own_rows(item))
        if notes:
            self._sink.note(notes)

    def report(self, seconds: float) -> SyncReport:
        changes, counts = self._changes, self.counts
        return SyncReport(
            added=counts["added"],
            changed=counts["changed"],
            renamed=len(changes.renamed),
            removed=len(changes.removed) + counts["removed"],
            unchanged=changes.unchanged + counts["unchanged"],
            failed=len(self._failures),
            failed_before=len(changes.failed_before),
            skipped=len(self._skips),
            withheld=changes.withheld,
            failures=tuple(self._failures),
            skips=tuple(self._skips),
            not_tried=changes.failed_before,
            chunks=counts["chunks"],
            poor=counts["poor"],
            seconds=seconds,
        )

    def _checked(self, item: Prepared) -> Prepared | Failure:
        """The document with its figures, named after the parser that takes its type."""
        document = judged(item.document)
        if reason := refusal(document):
            path = item.entry.path if item.entry else ""
            return Failure(document.uri, reason, path, entry=item.entry, container=item.container)
        parser = reader_of(document.media_type) or document.parser
        if parser != document.parser:  # a fallback: kept as a figure, so as not to look outdated
            read_by = {"read_by": document.parser} if document.parser else {}
            document = replace(document, parser=parser, quality={**document.quality, **read_by})
        return item if document is item.document else replace(item, document=document)

    def _is_same(self, item: Prepared) -> bool:
        """Whether a member is in the base already, as it is."""
        row = self._known.get(item.document.uri)
        same = (
            row is not None
            and row.state == "ok"
            and row.container == item.container
            and (row.sha256, row.parser) == (item.document.sha256, item.document.parser)
        )
        self.counts["unchanged"] += same
        return same

    def _failure(self, failure: Failure) -> Iterator[Record]:
        """Remember a failure; the row of a member at once, that of a file when it is finished."""
        (self._skips if failure.skipped else self._failures).append(failure)
        if failure.container:
            yield _failed_row(failure, "", "")
        elif failure.entry is not None:
            self._failed[failure.uri] = failure

    def _vanished(self, finished: Finished) -> list[str]:
        """What a file held before and holds no more; a file that failed keeps what it had."""
        if finished.entry.uri in self._failed:
            return []
        rows = self._changes.members.get(finished.entry.uri, ())
        return [row.uri for row in rows if row.uri not in finished.members]

    def _own_rows(self, finished: Finished) -> Iterator[Record]:
        """The row of a file that is no document."""
        entry = finished.entry
        failure = self._failed.pop(entry.uri, None)
        if failure is None and finished.own:
            return
        sha256 = finished.sha256 or sha256_of(entry.path)
        if failure is not None:
            yield _failed_row(failure, finished.media_type, sha256)
            return
        row = Record(entry.uri, sha256, media_type=finished.media_type, state="container")
        yield _located(row, entry)

    def _count(self, batch: Sequence[Prepared]) -> None:
        for item in batch:
            uri = item.document.uri
            known = uri in self._known if item.container else uri not in self._new
            self.counts["changed" if known else "added"] += 1
            self.counts["chunks"] += len(item.chunks)
            self.counts["poor"] += is_poor(item.document.quality)


def _failed_row(failure: Failure, media_type: str, sha256: str) -> Record:
    row = Record(
        failure.uri,
        sha256,
        media_type=media_type,
        state="skipped" if failure.skipped else "failed",
        error=failure.reason,
        parser=reader_of(media_type),
        container=failure.container,
    )
    if failure.entry is None:
        return row
    if failure.container:
        return replace(row, root=failure.entry.root, source=failure.entry.path)
    return _located(row, failure.entry)


def _located(row: Record, entry: FileEntry) -> Record:
    return replace(
        row,
        root=entry.root,
        source=entry.path,
        size=entry.size,
        mtime_ns=entry.mtime_ns,
        ctime_ns=entry.ctime_ns,
    )
