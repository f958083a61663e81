"""`Gate`: many may pass at once, or one alone. `Shared`: the last to leave turns off the light.
`Use`: whether somebody was there lately."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Self


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


class Shared:
    """Something that several hold, released when the last of them lets go."""

    def __init__(self, release: Callable[[], None]) -> None:
        """Held once, by the one who makes it."""
        self._release = release
        self._holders = 1
        self._changing = threading.Lock()

    def hold(self) -> Self:
        """One more holds it."""
        with self._changing:
            self._holders += 1
        return self

    def let_go(self) -> None:
        """One less holds it."""
        with self._changing:
            self._holders -= 1
            last = self._holders == 0
        if last:
            self._release()


class Use:
    """When something was used last."""

    RECENT = 600.0  # seconds

    def __init__(self) -> None:
        self._last = -self.RECENT

    def note(self) -> None:
        """It is used now."""
        self._last = time.monotonic()

    @property
    def is_recent(self) -> bool:
        """Whether it was used within the last `RECENT` seconds."""
        return time.monotonic() - self._last < self.RECENT
