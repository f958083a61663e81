"""Files into documents and chunks, ahead of the embedder and off its thread.

Worker processes load (workers.py), a thread here splits: that needs the embedder's tokenizer.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sized
from dataclasses import dataclass, field
from pathlib import Path

from ingest.documents import Chunk, Document, Failure, FileEntry, Finished, Prepared
from ingest.loaders.members import Identified, LeftOut, Piece, Whole, load_all
from ingest.workers import Died, Limits, Worker
from ingest.workers_child import Declined, Job

PREFETCH = 128  # files loaded ahead, and as many documents split: a batch of the embedder each
BUFFERED = 16_000_000  # characters held in each of the two
TICK = 0.5  # seconds
_ITEM = 1_000  # characters that an item counts for beside its text
_FEW, _PATIENCE = 8, 0.5  # so few files must last so many seconds before a second worker starts
_MAX_DEATHS = 5  # members of one file that may cost a worker

Item = Prepared | Failure | Finished
Split = Callable[[Document], list[Chunk]]


def prepare(
    entries: Iterable[FileEntry],
    split: Split,
    *,
    limits: Limits | None = None,
    waiting: Callable[[], None] = lambda: None,
) -> Iterator[Item]:
    """Each file as documents with their chunks, or the reason why not, in the order given.

    What a file contains comes before its own document, and Finished after that. Works ahead, in
    worker processes and threads, which end with the iterator. `waiting` is called now and then
    while nothing is ready; what it raises ends the iteration.
    """
    loading = _Loading(entries, limits or Limits())
    ready = _Buffer()

    def produce() -> None:
        try:
            for item in loading.items():
                done = item.prepared(split) if isinstance(item, _Loaded) else item
                if not ready.put(done, _size(item)):
                    return
            ready.put(None, 0)
        except BaseException as exc:  # noqa: BLE001 - handed to the consumer, which raises it
            ready.put(exc, 0)

    thread = threading.Thread(target=produce, name="kbqa-load", daemon=True)
    thread.start()
    try:
        while (item := ready.get(waiting)) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        ready.stop()
        loading.stop()
        thread.join()


@dataclass(frozen=True, slots=True)
class _Loaded:
    document: Document
    entry: FileEntry
    container: str

    def prepared(self, split: Split) -> Prepared:
        return Prepared(self.document, split(self.document), self.entry, self.container)


def _size(item: _Loaded | Failure | Finished) -> int:
    return _ITEM + (len(item.document.text) if isinstance(item, _Loaded) else 0)


class _Buffer:
    """A queue between two threads, bounded by count and characters; one item always fits."""

    def __init__(self) -> None:
        self._items: deque[tuple[Item | BaseException | None, int]] = deque()
        self._held = 0
        self._stopped = False
        self._changed = threading.Condition()

    def put(self, item: Item | BaseException | None, size: int) -> bool:
        """Append, when there is room; False once it is stopped."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._has_room(size))
            self._items.append((item, size))
            self._held += size
            self._changed.notify_all()
            return not self._stopped

    def get(self, waiting: Callable[[], None]) -> Item | BaseException | None:
        """The next one; calls `waiting` each `TICK` seconds until it is there."""
        while True:
            with self._changed:
                if self._changed.wait_for(lambda: self._items, TICK):
                    item, size = self._items.popleft()
                    self._held -= size
                    self._changed.notify_all()
                    return item
            waiting()

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _has_room(self, size: int) -> bool:
        fits = len(self._items) < PREFETCH and self._held + size <= BUFFERED
        return fits or not self._items


@dataclass(slots=True)
class _Slot:
    """What came out of one file so far; `closed` when that is all."""

    entry: FileEntry
    items: deque[tuple[_Loaded | Failure | Finished, int]] = field(default_factory=deque)
    closed: bool = False


class _Stopped(Exception):
    """Nobody wants the rest."""


class _Loading:
    """Files through workers, one thread for each worker; what comes out is put in order."""

    def __init__(self, entries: Iterable[FileEntry], limits: Limits) -> None:
        count = len(entries) if isinstance(entries, Sized) else _FEW
        self._entries, self._limits = iter(entries), limits
        self._patience = _PATIENCE if count < _FEW else 0.0
        self._slots: deque[_Slot] = deque()
        self._held = 0
        self._exhausted, self._stopped = count == 0, False
        self._error: BaseException | None = None
        self._workers: set[Worker] = set()
        self._changed = threading.Condition()
        self._threads = [
            threading.Thread(target=self._run, args=(number,), name="kbqa-worker", daemon=True)
            for number in range(min(max(limits.workers, 1), count))
        ]
        for thread in self._threads:
            thread.start()

    def items(self) -> Iterator[_Loaded | Failure | Finished]:
        """Everything, file by file in the order given. Raises what iterating the files raised."""
        while True:
            with self._changed:
                self._changed.wait_for(self._has_next)
                if self._stopped or not self._slots:
                    break
                item, size = self._slots[0].items.popleft()
                self._held -= size
                self._changed.notify_all()
            yield item
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """End threads and processes; twice does no harm."""
        with self._changed:
            self._stopped = True
            for worker in self._workers:
                worker.kill()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _has_next(self) -> bool:
        while self._slots and self._slots[0].closed and not self._slots[0].items:
            self._slots.popleft()
            self._changed.notify_all()
        if self._slots:
            return self._stopped or bool(self._slots[0].items)
        return self._stopped or self._exhausted

    def _run(self, number: int) -> None:
        if number:
            with self._changed:
                self._changed.wait_for(lambda: self._stopped or self._exhausted, self._patience)
        worker: Worker | None = None
        try:
            while (slot := self._take()) is not None:
                worker = self._load(slot, worker)
        except _Stopped:
            pass
        except BaseException as exc:  # noqa: BLE001 - handed to `items`, which raises it
            self._end(exc)
        finally:
            if worker is not None:
                self._close(worker)

    def _take(self) -> _Slot | None:
        """The next file, when the consumer is near enough."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or len(self._slots) < PREFETCH)
            if self._stopped or self._exhausted:
                return None
            try:
                slot = _Slot(next(self._entries))
            except StopIteration:
                self._end(None)
                return None
            self._slots.append(slot)
            return slot

    def _end(self, error: BaseException | None) -> None:
        with self._changed:
            self._exhausted = True
            self._error = self._error or error
            if error is not None:  # what was begun will not be finished
                for slot in self._slots:
                    slot.closed = True
            self._changed.notify_all()

    def _load(self, slot: _Slot, worker: Worker | None) -> Worker | None:
        """Everything in one file; returns the worker for the next one, None if it is gone."""
        file = _File(slot.entry)
        while True:
            if self._limits.workers < 1:
                self._hand_on(slot, file, Declined())
                break
            worker = worker or self._start()
            try:
                for piece in worker.load(file.job()):
                    self._hand_on(slot, file, piece)
                break
            except Died as died:
                self._close(worker)
                worker = None
                if file.goes_on_without(died):
                    continue
                self._put(slot, file.failure(slot.entry.uri, died.reason))
                self._put(slot, file.finished(own=True))
                break
            except BaseException:
                self._close(worker)
                raise
        with self._changed:
            slot.closed = True
            self._changed.notify_all()
        if worker is not None and worker.is_worn:
            self._close(worker)
            worker = None
        return worker

    def _hand_on(self, slot: _Slot, file: _File, piece: Piece | Declined) -> None:
        if isinstance(piece, Declined):
            entry = slot.entry
            for own in load_all(Path(entry.path), uri=entry.uri, done=file.members, known=file.bad):
                self._hand_on(slot, file, own)
        elif (item := file.item(piece)) is not None:
            self._put(slot, item)

    def _put(self, slot: _Slot, item: _Loaded | Failure | Finished) -> None:
        size = _size(item)
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._has_room(slot, size))
            if self._stopped:
                raise _Stopped
            slot.items.append((item, size))
            self._held += size
            self._changed.notify_all()

    def _has_room(self, slot: _Slot, size: int) -> bool:
        """The file whose turn it is always has room for one item, else nothing would move."""
        first = bool(self._slots) and self._slots[0] is slot
        return self._held + size <= BUFFERED or (first and not slot.items)

    def _start(self) -> Worker:
        with self._changed:
            if self._stopped:
                raise _Stopped
            worker = Worker(self._limits)
            self._workers.add(worker)
            return worker

    def _close(self, worker: Worker) -> None:
        with self._changed:
            self._workers.discard(worker)
        worker.close()


class _File:
    """What is known of a file while it is loaded."""

    def __init__(self, entry: FileEntry) -> None:
        self._entry = entry
        self._identified = Identified()
        self.members: dict[str, None] = {}
        self.bad: dict[str, str] = {}  # members that cost a worker, with the reason

    def job(self) -> Job:
        return Job(self._entry.path, self._entry.uri, frozenset(self.members), dict(self.bad))

    def item(self, piece: Piece) -> _Loaded | Failure | Finished | None:
        """What a piece becomes for the consumer; None for what only says how far it is."""
        if isinstance(piece, Identified):
            self._identified = piece
        if isinstance(piece, Document | LeftOut) and piece.uri != self._entry.uri:
            self.members[piece.uri] = None
        if isinstance(piece, Document):
            return _Loaded(piece, self._entry, self._container_of(piece.uri))
        if isinstance(piece, LeftOut):
            return self.failure(piece.uri, piece.reason, skipped=piece.skipped)
        return self.finished(own=piece.own) if isinstance(piece, Whole) else None

    def failure(self, uri: str, reason: str, *, skipped: bool = False) -> Failure:
        container = self._container_of(uri)
        return Failure(uri, reason, self._entry.path, skipped, self._entry, container)

    def finished(self, *, own: bool) -> Finished:
        media_type, sha256 = self._identified.media_type, self._identified.sha256
        return Finished(self._entry, media_type, sha256, tuple(self.members), own)

    def goes_on_without(self, died: Died) -> bool:
        """Whether the file can be loaded further, without the member that cost the worker."""
        inside = died.uri != self._entry.uri and died.uri not in (self.members | self.bad)
        if not inside or len(self.bad) >= _MAX_DEATHS:
            return False
        self.bad[died.uri] = died.reason
        return True

    def _container_of(self, uri: str) -> str:
        return self._entry.uri if uri != self._entry.uri else ""
