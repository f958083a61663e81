"""`Gate`: many may pass at once, or one alone."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator


class Gate:
    """A readers-writer lock. Who waits to be alone goes before those who come after.

    Not reentrant: a thread inside may not pass again.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._waiting = 0

    @contextlib.contextmanager
    def shared(self) -> Iterator[None]:
        """Pass together with others, unless one is alone inside or waits to be."""
        with self._changed:
            while self._waiting:
                self._changed.wait()
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                if not self._inside:
                    self._changed.notify_all()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Wait until nobody is inside, and keep everybody out."""
        with self._changed:
            while self._waiting:
                self._changed.wait()
            self._waiting = 1
            while self._inside:
                self._changed.wait()
        try:
            yield
        finally:
            with self._changed:
                self._waiting = 0
                self._changed.notify_all()
