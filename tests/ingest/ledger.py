"""A sink that only keeps books, and helpers to ingest a folder into it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ingest.chunking import split
from ingest.documents import Chunk, Document, FileEntry, Prepared, Record
from ingest.pipeline import prepare
from ingest.planning import plan
from ingest.sync import Item, SyncReport, apply
from ingest.workers import Limits
from tests.fakes import HashEmbedder


class Ledger:
    """`Sink` that keeps rows and texts by uri, and the operations it was asked for."""

    def __init__(self) -> None:
        self.rows: dict[str, Record] = {}
        self.texts: dict[str, str] = {}
        self.operations: list[str] = []

    def replace(self, batch: Sequence[Prepared], *, waiting: Callable[[], None]) -> None:
        self.operations.append("replace")
        for item in batch:
            document, entry = item.document, item.entry
            assert entry is not None
            row = Record(
                document.uri,
                document.sha256,
                document.title,
                document.media_type,
                chunks=len(item.chunks),
                parser=document.parser,
                container=item.container,
                quality=document.quality,
            )
            self.rows[document.uri] = _at(row, entry)
            self.texts[document.uri] = document.text

    def note(self, records: Sequence[Record]) -> None:
        self.operations.append("note")
        for record in records:
            if record.state == "container":
                self.texts.pop(record.uri, None)
            elif record.uri in self.texts:
                record = replace(record, chunks=self.rows[record.uri].chunks)
            self.rows[record.uri] = record

    def rename(self, pairs: Sequence[tuple[str, FileEntry]]) -> None:
        self.operations.append("rename")
        for old, entry in pairs:
            row = self.rows.pop(old)
            container = entry.uri.removesuffix(old[len(row.container) :]) if row.container else ""
            self.rows[entry.uri] = _at(replace(row, uri=entry.uri, container=container), entry)
            if old in self.texts:
                self.texts[entry.uri] = self.texts.pop(old)

    def touch(self, entries: Sequence[FileEntry]) -> None:
        self.operations.append("touch")
        for entry in entries:
            self.rows[entry.uri] = _at(self.rows[entry.uri], entry)

    def remove(self, uris: Sequence[str]) -> None:
        self.operations.append("remove")
        for uri in uris:
            del self.rows[uri]
            self.texts.pop(uri, None)


def _at(row: Record, entry: FileEntry) -> Record:
    row = replace(row, root=entry.root, source=entry.path)
    if row.container:
        return row
    return replace(row, size=entry.size, mtime_ns=entry.mtime_ns, ctime_ns=entry.ctime_ns)


def split_by_words(document: Document) -> list[Chunk]:
    return split(document, token_starts=HashEmbedder().token_starts)


def prepared(entries: Iterable[FileEntry]) -> Iterator[Item]:
    """In this process: starting a worker for each of many small runs would take minutes."""
    return prepare(entries, split_by_words, limits=Limits(workers=0))


def ingest(path: Path, ledger: Ledger, **options: Any) -> SyncReport:
    """Plan and apply against `ledger`."""
    prepare = options.pop("prepare", prepared)
    return apply(plan(path, ledger.rows, **options), ledger, prepare=prepare)


def write(folder: Path, **files: str) -> None:
    """Files by stem: `write(folder, a="text")` makes `a.md`; `__` in a stem is a sub-folder."""
    for stem, text in files.items():
        path = folder / f"{stem.replace('__', '/')}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def counts(report: SyncReport) -> dict[str, int]:
    """The counts of a report that are not 0, less chunks."""
    names = [
        "added", "changed", "renamed", "removed", "unchanged", "failed", "failed_before",
        "skipped", "withheld",
    ]  # fmt: skip
    return {name: value for name in names if (value := getattr(report, name))}
