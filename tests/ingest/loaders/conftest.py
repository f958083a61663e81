"""What the tests of several loaders share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from .child import Child


@pytest.fixture(scope="module")
def child() -> Iterator[Child]:
    """A process for what might never end."""
    with closing(Child()) as child:
        yield child
