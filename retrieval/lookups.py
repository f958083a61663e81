"""What a filter must look up in the base: the uris that fit a glob, the metadata there is."""

from __future__ import annotations

import re
import time
import unicodedata
from collections.abc import Callable

from retrieval.conditions import Between, Condition
from retrieval.facts import modified
from retrieval.filters import Filters, compiled
from retrieval.points import ledger
from retrieval.store import Store

LIFETIME = 5.0  # seconds after which documents of other writers are seen
REMEMBERED = 16  # prefixes


class Lookups:
    """Filters into conditions, with the ledger at hand. Usable from several threads."""

    def __init__(self, store: Store, version: Callable[[], int]) -> None:
        """`version` changes when this process changes a document."""
        self._store = store
        self._version = version
        self._uris: dict[str, tuple[int, float, list[tuple[str, str]]]] = {}

    def condition(self, filters: Filters | None) -> Condition | None:
        """What a store takes for `filters`; None for no filter. Raises FilterError."""
        if not filters and not isinstance(filters, str):
            return None
        return compiled(
            filters,
            matching_uris=self._matching_uris,
            modified_uris=self._modified_uris,
            metadata_names=self._metadata_names,
        )

    def _matching_uris(self, prefix: str, pattern: re.Pattern[str]) -> tuple[list[str], list[str]]:
        fits: list[str] = []
        others: list[str] = []
        for uri, _ in self._under(prefix):
            fit = pattern.fullmatch(unicodedata.normalize("NFC", uri))
            (fits if fit else others).append(uri)
        return fits, others

    def _modified_uris(self, between: Between) -> tuple[list[str], list[str]]:
        fits: list[str] = []
        others: list[str] = []
        for uri, moment in self._under(""):
            early = between.gte is not None and moment < str(between.gte)
            late = between.lt is not None and moment >= str(between.lt)
            (others if early or late or not moment else fits).append(uri)
        return fits, others

    def _under(self, prefix: str) -> list[tuple[str, str]]:
        """The uris that begin with `prefix` and when their files were modified, "" without a file;
        of what lies in an archive, when that was.

        From the ledger, which has a row per document, not per chunk.
        """
        version, now = self._version(), time.monotonic()
        known = self._uris.get(prefix)
        if known and known[0] == version and now - known[1] < LIFETIME:
            return known[2]
        records = list(ledger(self._store, prefix))
        times = {record.uri: record.mtime_ns for record in records}
        uris = [
            (record.uri, modified(record.mtime_ns or times.get(record.container, 0)))
            for record in records
        ]
        if len(self._uris) >= REMEMBERED:
            self._uris.clear()
        self._uris[prefix] = (version, now, uris)
        return uris

    def _metadata_names(self) -> set[str]:
        """The names of all metadata: one point per document is read, for a message."""
        contents = self._store.scan({"kind": "content"}, fields=["metadata"])
        return {name for point in contents for name in point.payload.get("metadata", ())}
