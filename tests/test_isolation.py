"""The fixtures of conftest.py keep their word."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from qa.settings import load_settings


@pytest.mark.filterwarnings("ignore:A test tried to use")
def test_the_network_ends_at_the_loopback() -> None:
    with socket.socket() as far, pytest.raises(RuntimeError, match=r"192\.0\.2\.1"):
        far.connect(("192.0.2.1", 80))
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as near:
        near.connect(server.getsockname())


def test_settings_are_the_defaults_and_share_the_converted_model(cache_dir: Path) -> None:
    settings = load_settings()
    assert settings.cache_dir == cache_dir
    assert settings.data_dir.is_relative_to(Path.home())
    assert os.listdir(os.curdir) == os.listdir(Path.home()) == []
