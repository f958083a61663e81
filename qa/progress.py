"""How far an ingest is, on stderr: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from ingest.sync import Progress
from qa.neutral import in_one_line

LINE_EVERY = 10.0  # seconds between plain lines


@contextlib.contextmanager
def progress_bar(*, quiet: bool) -> Iterator[Callable[[Progress], None] | None]:
    """A callback for `KnowledgeBase.ingest` that shows its progress; None when `quiet`."""
    if quiet:
        yield None
    elif sys.stderr.isatty():
        yield from _bar()
    else:
        yield _Lines()


def _bar() -> Iterator[Callable[[Progress], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[uri]}", markup=False),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("ingest", total=None, rate="", uri="")

        def show(progress: Progress) -> None:
            bar.update(
                task,
                total=progress.total or None,
                completed=progress.done,
                rate=_rate(progress),
                uri=in_one_line(progress.uri[-40:]),
            )

        yield show


class _Lines:
    """A line every `LINE_EVERY` seconds, so that a log tells how far it is."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, progress: Progress) -> None:
        if time.monotonic() - self._last >= LINE_EVERY:
            self._last = time.monotonic()
            print(f"{progress.done}/{progress.total} files, {_rate(progress)}", file=sys.stderr)


def _rate(progress: Progress) -> str:
    seconds = max(1e-3, time.monotonic() - progress.started)
    return f"{progress.chunks} chunks, {progress.chunks / seconds:.0f}/s"
