from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.qa.server.serving import Served, serving, settings_for

WHOLE = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def served(data_dir: Path, cache_dir: Path) -> Iterator[Served]:
    """A server that is not patient."""
    with serving(settings_for(data_dir, cache_dir, serve_body_timeout=1.0)) as running:
        yield running


def connected(served: Served) -> socket.socket:
    address = urlsplit(served.url)
    return socket.create_connection((address.hostname, address.port), timeout=20)


def ask(connection: socket.socket) -> None:
    connection.sendall(WHOLE)
    said = b""
    while not said.endswith(b'{"status":"ok"}'):
        piece = connection.recv(65536)
        assert piece
        said += piece


@pytest.mark.parametrize("first", [b"", b"GET / HTTP/1.1\r\nHost: local", WHOLE + WHOLE[:-2]])
def test_a_connection_without_a_whole_head_is_closed(served: Served, first: bytes) -> None:
    with connected(served) as connection:
        connection.sendall(first)
        said = b""
        while piece := connection.recv(65536):
            said += piece
    assert said.count(b"HTTP/1.1 200") == first.count(WHOLE)


def test_bytes_that_trickle_in_do_not_keep_it_open(served: Served) -> None:
    with connected(served) as connection:
        closed = threading.Event()

        def trickle() -> None:
            with suppress(OSError):
                while not closed.wait(0.1):
                    connection.send(b"X")

        trickling = threading.Thread(target=trickle)
        ask(connection)
        trickling.start()
        with suppress(ConnectionResetError):
            assert connection.recv(65536) == b""
        closed.set()
        trickling.join()


def test_a_request_and_the_next_one_have_their_time(served: Served) -> None:
    with connected(served) as connection:
        for _ in range(3):
            time.sleep(0.6)
            ask(connection)
