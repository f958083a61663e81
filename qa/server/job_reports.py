"""What an ingest did, for each of the uploads that it read."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from ingest.documents import Failure, Record
from ingest.quality import is_poor
from ingest.sync import SyncReport
from ingest.walking import is_under

Ledger = Mapping[str, Mapping[str, Record]]
"""Rows by the path of their file, then by uri."""


def about(paths: Collection[str], report: SyncReport) -> SyncReport:
    """Of a report what is of these files: a look through their folder tells of others too."""

    def of_these(found: Sequence[Failure]) -> tuple[Failure, ...]:
        return tuple(one for one in found if any(is_under(path, one.path) for path in paths))

    failures, skips = of_these(report.failures), of_these(report.skips)
    not_tried = of_these(report.not_tried)
    return replace(
        report,
        failures=failures,
        failed=len(failures),
        skips=skips,
        skipped=len(skips),
        not_tried=not_tried,
        failed_before=len(not_tried),
    )


def by_file(rows: Iterable[Record], paths: Collection[str]) -> Ledger:
    """The rows of these files and of what they contain."""
    found: dict[str, dict[str, Record]] = {path: {} for path in paths}
    for row in rows:
        if row.source in found:
            found[row.source][row.uri] = row
    return found


def share_of(
    paths: Sequence[str], report: SyncReport, before: Ledger, after: Ledger, *, jobs: int
) -> SyncReport:
    """What an ingest of several uploads, those of so many `jobs`, did to these files of it.

    `before` and `after` are their rows then and now; what failed is in the report of all.
    """
    old = {uri: row for path in paths for uri, row in before[path].items()}
    new = {uri: row for path in paths for uri, row in after[path].items()}
    read = [row for uri, row in new.items() if row.state == "ok" and _differs(old.get(uri), row)]
    added = sum(row.uri not in old for row in read)
    return replace(
        about(paths, report),
        added=added,
        changed=len(read) - added,
        renamed=0,
        removed=len(old.keys() - new.keys()),
        unchanged=sum(row.state == "ok" for row in new.values()) - len(read),
        withheld=0,
        chunks=sum(row.chunks for row in read),
        poor=sum(is_poor(row.quality) for row in read),
        seconds=report.seconds / jobs,
    )


def _differs(old: Record | None, new: Record) -> bool:
    """Whether a document was written: it is new, or another version, or read by another parser."""
    return old is None or (old.state, old.sha256, old.parser) != (new.state, new.sha256, new.parser)
