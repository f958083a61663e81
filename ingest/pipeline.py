"""Files into documents and chunks, ahead of the embedder and off its thread."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ingest.documents import Chunk, Document, Failure, FileEntry, Finished, Prepared
from ingest.errors import LoadError, Unsupported
from ingest.loaders import load

PREFETCH = 32  # documents loaded ahead of the embedder


def prepare(
    entries: Iterable[FileEntry], split: Callable[[Document], list[Chunk]]
) -> Iterator[Prepared | Failure | Finished]:
    """Each file as a document with its chunks, or the reason why not, in the order given.

    Runs `PREFETCH` files ahead on a thread of its own, which ends with the iterator.
    """
    ready: queue.Queue[Prepared | Failure | Finished | BaseException | None] = queue.Queue(PREFETCH)
    stopped = threading.Event()

    def put(item: Prepared | Failure | Finished | BaseException | None) -> None:
        while not stopped.is_set():
            with contextlib.suppress(queue.Full):
                ready.put(item, timeout=0.1)
                return

    def produce() -> None:
        try:
            for entry in entries:
                if stopped.is_set():
                    return
                put(_prepare_one(entry, split))
                put(Finished(entry))
            put(None)
        except BaseException as exc:  # noqa: BLE001 - handed to the consumer, which raises it
            put(exc)

    thread = threading.Thread(target=produce, name="kbqa-load", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stopped.set()
        thread.join()


def _prepare_one(
    entry: FileEntry, split: Callable[[Document], list[Chunk]]
) -> Prepared | Failure | Finished:
    try:
        document = load(Path(entry.path), uri=entry.uri)
    except LoadError as exc:
        # without a suffix nobody claimed that it is a document
        skipped = isinstance(exc, Unsupported) and not Path(entry.path).suffix
        return Failure(entry.uri, exc.reason, entry.path, skipped, entry)
    return Prepared(document, split(document), entry)
