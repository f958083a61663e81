"""What never ends is killed, and nothing after it."""

from __future__ import annotations

import os
import re
import time
from contextlib import closing

import pytest

from .child import Child

pytestmark = pytest.mark.integration


def test_what_never_ends_is_killed() -> None:
    with closing(Child(limit=0.5)) as child:
        for _ in range(2):
            with pytest.raises(TimeoutError, match=r"took longer than 0\.5 s"):
                child.run(re.match, "(a+)+b", "a" * 100)  # all the while in C


def test_work_is_done_in_one_process_and_its_errors_are_told(child: Child) -> None:
    assert child.run(time.gmtime, 0).tm_year == 1970
    assert child.run(os.getpid) == child.run(os.getpid) != os.getpid()
    with pytest.raises(re.error, match="unterminated"):
        child.run(re.compile, "(")
