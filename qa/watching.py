"""`kbqa ingest --watch`: the base follows its folders until Ctrl-C.

What the file system tells is only a sign to look: each look is a plan and its application, as
with any ingest, so that nothing is missed for good, and a full look is taken now and then. The base
is open only while there is something to look at, so that others may ask it in between.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ingest.documents import FileEntry
from ingest.errors import KbqaError, Locked
from ingest.sync import SyncReport
from ingest.walking import IGNORE_FILE, is_of_base, is_under
from qa.command import say
from qa.commands.ingest import explain, summary
from qa.settings import Settings
from retrieval.embedding import Embedder

TICK_MS = 200  # how long to wait for news before looking at the clock
AGAIN = 2.0  # seconds until a base that another process holds is tried again

_Identity = tuple[int, int] | None  # device and number of a folder; None for none
_Stat = tuple[int, int] | None  # size and time of change; None for a file that is gone


class Settling:
    """Files that have just changed, until they have been left alone for `quiet` seconds."""

    def __init__(self, quiet: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._quiet, self._clock = quiet, clock
        self._seen: dict[str, tuple[_Stat, float]] = {}

    def note(self, paths: Iterable[str]) -> None:
        """These have changed just now."""
        now = self._clock()
        self._seen.update((path, (_stat(path), now)) for path in paths)

    def settle(self) -> bool:
        """Look at them again; True if any has come to rest (or is gone) since the last time."""
        now = self._clock()
        rested = False
        for path, (known, since) in list(self._seen.items()):
            found = _stat(path)
            if found != known:
                self._seen[path] = (found, now)
            elif now - since >= self._quiet:
                del self._seen[path]
                rested = True
        return rested

    def is_busy(self, entry: FileEntry) -> bool:
        """Whether a file is still being written."""
        return entry.path in self._seen


def watch(
    paths: Sequence[Path],
    settings: Settings,
    options: dict[str, Any],
    *,
    quiet: bool,
    on_report: Callable[[SyncReport], None] | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> None:
    """Ingest `paths`, then whatever changes in them, until interrupted or `stopped`.

    `on_report` gets what each look has changed, that of the first one in any case. Waits while
    another process holds the base. Raises what the first ingest raises.
    """
    settling = Settling(settings.watch_quiet)
    follower = _Follower(paths, settings, options, settling, quiet, on_report)
    # a file is watched by way of its folder: editors replace files, and the watch with it
    news = changed_in([path if path.is_dir() else path.parent for path in paths])
    next(news)  # from here on nothing is missed
    follower.look(first=True)
    if not quiet:
        say(f"watching {', '.join(map(str, paths))}; Ctrl-C ends it")
    due = time.monotonic() + settings.watch_rescan
    for changed in news:
        if stopped():
            return
        settling.note(changed)
        if settling.settle() or follower.is_due() or time.monotonic() >= due:
            follower.look()
            due = time.monotonic() + settings.watch_rescan


def changed_in(folders: Collection[Path]) -> Iterator[set[str]]:
    """Paths in `folders` that have changed, again and again, some tick apart, often none.

    A folder that was replaced by another is followed anew, and is itself a path that has changed.
    """
    from watchfiles import Change
    from watchfiles import watch as follow

    followed: dict[Path, _Identity] = {}
    while True:
        there = {folder: _identity(folder) for folder in folders}
        changed = {os.path.realpath(folder) for folder in followed if _is_new(folder, followed)}
        followed = there
        places = {os.path.realpath(folder): folder for folder in folders if there[folder]}
        for changes in follow(
            *places,
            watch_filter=lambda _, path: not _is_passed_over(path, places),  # noqa: B023 - used now
            debounce=TICK_MS,
            rust_timeout=TICK_MS,
            yield_on_timeout=True,
            raise_interrupt=True,
            ignore_permission_denied=True,
        ):
            yield changed | {os.path.realpath(path) for _, path in changes}
            changed = set()
            for place, folder in places.items():
                if (Change.deleted, place) in changes:
                    followed[folder] = None  # another one may get its number
            if any(_is_new(folder, followed) for folder in folders):
                break


def _identity(folder: Path) -> _Identity:
    with suppress(OSError):
        found = os.stat(folder)
        return found.st_dev, found.st_ino
    return None


def _is_new(folder: Path, followed: Mapping[Path, _Identity]) -> bool:
    """Whether there is a folder, and it is not the one that is followed."""
    return _identity(folder) not in (None, followed[folder])


def _is_passed_over(path: str, places: Collection[str]) -> bool:
    """Whether nothing is read there: what is hidden, and what each look writes into its base."""
    at = Path(path)
    return _is_hidden(path, places) or any(
        is_of_base(str(one.parent), one.name)
        for one in (at, *at.parents)
        if any(is_under(str(one.parent), place) for place in places)
    )


def _is_hidden(path: str, places: Collection[str]) -> bool:
    """Whether what lies at `path` is hidden in the place that is watched, whatever lies above.

    What is ignored is not hidden: it changes what is taken.
    """
    path = path.removesuffix(os.sep + IGNORE_FILE)
    below = [path[len(place) :] for place in places if is_under(path, place)]
    return bool(below) and all(f"{os.sep}." in os.sep + name.lstrip(os.sep) for name in below)


class _Follower:
    """Opens the base, brings it in line, and lets go of it; the embedder stays in memory."""

    def __init__(
        self,
        paths: Sequence[Path],
        settings: Settings,
        options: dict[str, Any],
        settling: Settling,
        quiet: bool,
        on_report: Callable[[SyncReport], None] | None,
    ) -> None:
        self._on_report = on_report
        self._paths, self._settings, self._options = paths, settings, options
        self._settling, self._quiet = settling, quiet
        self._embedder: Embedder | None = None
        self._retry_at: float | None = None
        self._withheld = 0  # documents that the guard kept at the last look

    def is_due(self) -> bool:
        """Whether a look that could not be taken is to be tried now."""
        return self._retry_at is not None and time.monotonic() >= self._retry_at

    def look(self, *, first: bool = False) -> None:
        self._retry_at = None
        try:
            report = self._ingest()
        except Locked as exc:
            self._retry_at = time.monotonic() + AGAIN
            self._say(f"{exc}; trying again")
            return
        except KbqaError as exc:
            if first:
                raise
            self._retry_at = time.monotonic() + self._settings.watch_rescan
            self._say(f"kbqa: {exc}")
            return
        found = (report.added, report.changed, report.renamed, report.removed, report.failed)
        if first or any(found) or report.withheld != self._withheld:
            self._say(f"{time.strftime('%H:%M:%S')} {summary(report)}")
            if self._on_report:
                self._on_report(report)
            if not self._quiet:
                explain(report)
        self._withheld = report.withheld
        self._options["retry"] = False  # once is enough

    def _ingest(self) -> SyncReport:
        from qa.knowledge_base import KnowledgeBase

        report = SyncReport()
        with KnowledgeBase.open(settings=self._settings, embedder=self._embedder) as base:
            self._embedder = self._embedder or base.keep_embedder()
            for path in self._paths:
                if path.exists():  # else it is gone or not mounted: the guard's business, later
                    report += base.ingest(path, leave=self._settling.is_busy, **self._options)
        return report

    def _say(self, line: str) -> None:
        if not self._quiet:
            say(line)


def _stat(path: str) -> _Stat:
    with suppress(OSError):
        found = os.stat(path)
        return found.st_size, found.st_mtime_ns
    return None
