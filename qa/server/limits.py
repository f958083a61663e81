"""How much of the server one key may use: requests a minute, and at a time."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from qa.server.problems import TooManyRequests

FORGET_FROM = 1000  # callers that are remembered before the idle ones are forgotten


@dataclass(slots=True)
class _Bucket:
    """Requests that may still be made, as of `at`; it fills up again with time."""

    left: float
    at: float


class Limits:
    """A bucket of a minute's requests for each caller, and a count of those under way.

    Usable from several threads.
    """

    def __init__(
        self, per_minute: int, at_once: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_minute, self._at_once, self._clock = per_minute, at_once, clock
        self._buckets: dict[str, _Bucket] = {}
        self._running: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def admitted(self, caller: str) -> Iterator[None]:
        """While one request of `caller` is under way. Raises TooManyRequests."""
        with self._lock:
            self._take(caller)
            if self._running[caller] >= self._at_once:
                raise TooManyRequests(
                    f"{self._at_once} requests of this key are under way, which is the limit",
                    retry_after=1,
                )
            self._running[caller] += 1
        try:
            yield
        finally:
            with self._lock:
                self._running[caller] -= 1
                if not self._running[caller]:
                    del self._running[caller]

    def _take(self, caller: str) -> None:
        now = self._clock()
        if caller not in self._buckets and len(self._buckets) >= FORGET_FROM:
            self._forget_idle(now)
        bucket = self._buckets.setdefault(caller, _Bucket(self._per_minute, now))
        bucket.left = self._refilled(bucket, now)
        bucket.at = now
        if bucket.left < 1:
            raise TooManyRequests(
                f"this key has made its {self._per_minute} requests a minute",
                retry_after=(1 - bucket.left) * 60 / self._per_minute,
            )
        bucket.left -= 1

    def _refilled(self, bucket: _Bucket, now: float) -> float:
        return min(self._per_minute, bucket.left + (now - bucket.at) * self._per_minute / 60)

    def _forget_idle(self, now: float) -> None:
        full = [
            caller
            for caller, bucket in self._buckets.items()
            if self._refilled(bucket, now) >= self._per_minute
        ]
        for caller in full:
            del self._buckets[caller]
