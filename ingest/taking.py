"""Documents that come from elsewhere than a folder, into a sink."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from ingest.documents import Chunk, Document, Failure, Prepared, Record
from ingest.errors import BadRequest
from ingest.quality import judged, refusal
from ingest.sync import Progress, Sink, SyncReport, in_batches


def take(
    documents: Iterable[Document],
    sink: Sink,
    ledger: Mapping[str, Record],
    *,
    split: Callable[[Document], Sequence[Chunk]],
    prune_below: str | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> SyncReport:
    """Add documents, or replace those of the same uri whose version is another one.

    With `prune_below` what the ledger has of uris that begin so, and is not among the documents,
    is removed. Garbled ones fail, as files do. Raises BadRequest for a document without a uri.
    """
    started = time.monotonic()
    counts = Counter[str]()
    progress = Progress(total=0)
    versions = {uri: row.sha256 for uri, row in ledger.items() if row.state == "ok"}
    seen: set[str] = set()
    failures: list[Failure] = []
    fresh = _fresh(documents, versions, seen, split, counts, failures)
    tell = on_progress or (lambda progress: None)
    for batch in in_batches(fresh):
        ready = [item for item in batch if isinstance(item, Prepared)]
        sink.replace(ready, waiting=lambda: tell(progress))
        progress.done += len(batch)
        progress.chunks = counts["chunks"]
        tell(progress)
    gone = []
    if prune_below is not None:
        gone = [uri for uri in ledger if uri.startswith(prune_below) and uri not in seen]
    if gone:
        sink.remove(gone)
    return SyncReport(
        added=counts["added"],
        changed=counts["changed"],
        removed=len(gone),
        unchanged=counts["unchanged"],
        failed=len(failures),
        failures=tuple(failures),
        chunks=counts["chunks"],
        seconds=time.monotonic() - started,
    )


def _fresh(
    documents: Iterable[Document],
    versions: dict[str, str],
    seen: set[str],
    split: Callable[[Document], Sequence[Chunk]],
    counts: Counter[str],
    failures: list[Failure],
) -> Iterator[Prepared]:
    """The documents whose version is not in the ledger yet, counted; not those that are garbled."""
    for document in documents:
        if not document.uri:
            raise BadRequest("a document has an empty uri")
        seen.add(document.uri)
        known = versions.get(document.uri)
        if known == document.sha256:
            counts["unchanged"] += 1
            continue
        versions[document.uri] = document.sha256
        found = judged(document)
        if reason := refusal(found):
            failures.append(Failure(document.uri, reason))
            continue
        chunks = split(document)
        counts["changed" if known else "added"] += 1
        counts["chunks"] += len(chunks)
        yield Prepared(found, chunks)
