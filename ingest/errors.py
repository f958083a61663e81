"""Errors of kbqa. A message says what went wrong, with which value, and what to do.

KbqaError
├── BadRequest       the caller asked for something that cannot be done (wrong path, empty question)
├── NotConfigured    a setting, a key or an extra is missing
├── NotAuthorised    a key or a permission was refused
├── Unreachable      a service does not answer
├── RateLimited      a service asks to slow down
├── TimedOut         a service or a parser took too long
├── Locked           another process holds the knowledge base
├── LoadError        one file cannot be read; carries `uri` and `reason`
│   └── Unsupported  no loader for this kind of file
└── StorageError     the disk is full, read-only, or its content is damaged
    └── Closed       the knowledge base was closed, or removed, while it was in use

The packages to the right (`retrieval`, `qa`) raise these or subclasses of these.
"""

from __future__ import annotations


class KbqaError(Exception):
    """Root of every error that kbqa raises on purpose."""


class BadRequest(KbqaError):
    """The caller asked for something that cannot be done."""


class NotConfigured(KbqaError):
    """A setting, a key or an optional package is missing."""


class NotAuthorised(KbqaError):
    """A key or a permission was refused."""


class Unreachable(KbqaError):
    """A service does not answer.

    `transient`: the same request may succeed a moment later. `retry_after`: seconds that the
    service asks to wait.
    """

    def __init__(
        self, message: str, *, transient: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.transient = transient
        self.retry_after = retry_after


class RateLimited(KbqaError):
    """A service asks to slow down; `retry_after` are the seconds that it names, if it does."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TimedOut(KbqaError):
    """A service or a parser took longer than its limit."""


class Locked(KbqaError):
    """Another process holds the knowledge base open."""


class StorageError(KbqaError):
    """The disk is full, read-only, or what is on it is damaged."""


class Closed(StorageError):
    """The knowledge base was closed, or removed, while it was in use."""


class LoadError(KbqaError):
    """One file cannot be turned into a document.

    Attributes: `uri` (the file as the user knows it) and `reason` (one line, for people).
    """

    def __init__(self, uri: str, reason: str) -> None:
        super().__init__(f"{uri}: {reason}")
        self.uri = uri
        self.reason = reason

    def __reduce__(self) -> tuple[type[LoadError], tuple[str, str]]:
        return type(self), (self.uri, self.reason)


class Unsupported(LoadError):
    """No loader takes this kind of file."""
