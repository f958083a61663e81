from __future__ import annotations

import pytest

from qa.server.limits import FORGET_FROM, Limits
from qa.server.problems import TooManyRequests


def test_a_minute_has_so_many_requests() -> None:
    now = [0.0]
    limits = Limits(60, 10, clock=lambda: now[0])
    for _ in range(60):
        with limits.admitted("a"):
            pass
    with pytest.raises(TooManyRequests) as refused, limits.admitted("a"):
        pass
    assert refused.value.retry_after == pytest.approx(1.0)
    with limits.admitted("b"):
        pass
    now[0] += 1.0
    with limits.admitted("a"):
        pass


def test_so_many_run_at_a_time() -> None:
    limits = Limits(60, 1)
    with limits.admitted("a"):
        with pytest.raises(TooManyRequests), limits.admitted("a"):
            pass
        with limits.admitted("b"):
            pass
    with limits.admitted("a"):
        pass


def test_callers_who_have_gone_are_forgotten() -> None:
    now = [0.0]
    limits = Limits(60, 1, clock=lambda: now[0])
    for number in range(2 * FORGET_FROM):
        now[0] += 1.0
        with limits.admitted(str(number)):
            pass
    assert len(limits._buckets) <= FORGET_FROM
