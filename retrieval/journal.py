"""What is being written is noted in the store first, so that the next writer can sweep up.

On an embedded base one process writes, and a journal that is there is of one that died. On a server
there may be several writers: each has a journal of its own, nobody touches what a living one is
about to name, and a journal that is older than any batch takes is of one that died.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Sequence

from retrieval.points import JOURNAL_ID, point_id, row_id
from retrieval.store import Point, Store

ABANDONED = 600.0  # seconds; a batch is embedded before its journal, and written in a few


class Journal:
    """The journal of one writer, and what it knows of the others'."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.exclusive = bool(getattr(store, "exclusive", True))
        self._id = JOURNAL_ID if self.exclusive else point_id("journal", uuid.uuid4().hex)

    def begin(self, uris: Sequence[str], documents: Sequence[str]) -> None:
        """Note that `uris` change, to the versions `documents` or to nothing."""
        self.recover()
        said = {"uris": json.dumps(list(uris)), "documents": list(documents), "at": time.time()}
        self._store.write([Point(self._id, {"kind": "journal", **said})])

    def finish(self, uris: Sequence[str]) -> None:
        """Drop every version of `uris` that the ledger does not name, and the journal."""
        self._sweep(uris, self._id)

    def recover(self) -> None:
        """Finish what an interrupted write left, this writer's or that of one that died."""
        if self.exclusive:
            journals = list(self._store.read([self._id]).values())
        else:
            journals = list(self._store.scan({"kind": "journal"}))
        for point in journals:
            if self.exclusive or point.id == self._id or _is_abandoned(point):
                self._sweep(json.loads(point.payload["uris"]), point.id)

    def restore(self, points: Sequence[Point]) -> None:
        """Write again what another writer has swept up in the moment before the ledger said it."""
        if self.exclusive:
            return
        there = self._store.read([point.id for point in points], fields=[])
        self._store.write([point for point in points if point.id not in there])

    def _sweep(self, uris: Sequence[str], journal: int) -> None:
        kept = [] if self.exclusive else self._about_to_count(journal)
        rows = self._store.read([row_id(uri) for uri in uris], fields=["document_id"])
        kept += [
            point.payload["document_id"]
            for point in rows.values()
            if point.payload.get("document_id")
        ]
        self._store.delete_where(
            {"kind": ["chunk", "content"], "uri": list(uris)},
            unless={"document_id": kept} if kept else None,
        )
        self._store.delete([journal])

    def _about_to_count(self, journal: int) -> list[str]:
        """The versions that other living writers are at."""
        others = self._store.scan({"kind": "journal"})
        return [
            document
            for point in others
            if point.id != journal and not _is_abandoned(point)
            for document in point.payload.get("documents", ())
        ]


def is_interrupted(store: Store) -> bool:
    """Whether a writer died while it wrote; the next one finishes it."""
    exclusive = bool(getattr(store, "exclusive", True))
    return any(exclusive or _is_abandoned(point) for point in store.scan({"kind": "journal"}))


def _is_abandoned(point: Point) -> bool:
    return bool(time.time() - point.payload.get("at", 0.0) > ABANDONED)
