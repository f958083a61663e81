"""A process for work that might never end: it is killed after a minute, whatever it does."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.pool import Pool
from typing import ParamSpec, TypeVar

LIMIT = 60.0  # seconds; what is looked at once takes less than one

P = ParamSpec("P")
T = TypeVar("T")


class Child:
    """One process for one piece of work after the other. Close it."""

    def __init__(self, limit: float = LIMIT) -> None:
        self._limit = limit
        self._pool: Pool | None = None

    def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `work` returns or raises. Raises TimeoutError; the next one has a new process."""
        self._pool = self._pool or multiprocessing.get_context("spawn").Pool(1)
        try:
            return self._pool.apply_async(work, args, kwargs).get(self._limit)
        except multiprocessing.TimeoutError as exc:
            self.close()
            raise TimeoutError(f"took longer than {self._limit:g} s") from exc

    def close(self) -> None:
        """Kill the process."""
        if self._pool:
            self._pool.terminate()
            self._pool.join()
            self._pool = None
