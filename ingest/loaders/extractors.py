"""kreuzberg, whose Rust core may panic, and the errors of parsers in general."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ingest.errors import LoadError


@contextmanager
def no_panic(uri: str) -> Iterator[None]:
    """A panic of Rust code is no `Exception`: here it becomes a LoadError."""
    try:
        yield
    except BaseException as exc:
        if type(exc).__name__ == "PanicException":
            reason = " ".join(str(exc).split())[:120]
            raise LoadError(uri, f"is damaged: its parser gave up ({reason})") from exc
        raise
