"""A server with the base of the four files under the name `library`, and an empty one, `other`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.qa.server.serving import Served, serving, settings_for
from tests.sample_base import copy_base


@pytest.fixture(scope="module")
def data_dir(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a server."""
    folder = tmp_path_factory.mktemp("data")
    copy_base(library, folder / "library")
    return folder


@pytest.fixture(scope="module")
def served(data_dir: Path, cache_dir: Path) -> Iterator[Served]:
    """The server of the tests of one file, without keys."""
    with serving(settings_for(data_dir, cache_dir, serve_rate=100_000)) as running:
        running.service.bases.create("other")
        yield running
