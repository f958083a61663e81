"""How long a loader may take, and how it says that it goes on.

A document has as long as the worker's limit. One that is read page by page, by OCR, says after each
that it goes on, and has as long for the next one: thirty scanned pages are no hang.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

PATIENCE = 30  # a file may take that many times the limit if it goes on


@dataclass(slots=True)
class Pace:
    """Seconds for a page and for a document, and what is told after each page."""

    page: float = 40.0
    document: float = 1200.0
    go_on: Callable[[], None] = lambda: None

    def set(self, timeout: float, go_on: Callable[[], None]) -> None:
        """Two thirds of the limits: the rest is for what is not OCR."""
        self.page, self.document, self.go_on = timeout * 2 / 3, timeout * PATIENCE * 2 / 3, go_on


pace = Pace()  # of this process: a worker sets it once, elsewhere nobody waits
