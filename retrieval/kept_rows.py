"""The ledger in memory, for as long as nobody changes it: a list of documents is asked for page by
page, and a folder is looked through again and again."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from ingest.documents import Record
from retrieval.points import ledger
from retrieval.store import Store

MOST = 50_000  # rows that are kept, some 1.5 KB each; of a larger base they are read each time


class KeptRows:
    """The rows of a base in order of uri. Usable from several threads."""

    def __init__(self, store: Store, *, exclusive: bool) -> None:
        """`exclusive`: nobody else writes to the store; else nothing is kept."""
        self._store = store
        self._exclusive = exclusive
        self._rows: Sequence[Record] | None = None
        self._changes = 0
        self._keeping = threading.Lock()

    def rows(self) -> Sequence[Record]:
        """All rows, as they are or were a moment ago."""
        if (known := self._rows) is not None:
            return known
        changes = self._changes
        read = tuple(sorted(ledger(self._store), key=lambda record: record.uri))
        with self._keeping:
            if self._exclusive and changes == self._changes and len(read) <= MOST:
                self._rows = read
        return read

    def changed(self) -> None:
        """Rows have been written or removed. To be called after that, not before."""
        with self._keeping:
            self._changes += 1
            self._rows = None
