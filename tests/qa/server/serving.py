"""A real server on a free port of the loopback, in a thread of the test's process."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import uvicorn

from qa.server.app import create_app
from qa.server.keys import Role
from qa.server.running import bind, config_of
from qa.server.service import Service
from qa.settings import Settings, load_settings


@dataclass(frozen=True, slots=True)
class Served:
    """A server that runs, what is behind it, and a client for it."""

    url: str
    service: Service
    http: httpx2.Client

    def key(self, role: Role, *bases: str) -> dict[str, str]:
        """Headers with a new key."""
        return {"Authorization": f"Bearer {self.service.keys.create(role, bases)[1]}"}


def settings_for(folder: Path, cache_dir: Path, **changes: Any) -> Settings:
    """Settings of a server whose bases lie in `folder`."""
    return load_settings(data_dir=folder, cache_dir=cache_dir, workers=1, serve_port=0, **changes)


@contextmanager
def serving(settings: Settings) -> Iterator[Served]:
    """A server with these settings, until the end of the block."""
    app = create_app(settings)
    with (
        running(config_of(app, settings), bind(settings)) as url,
        httpx2.Client(base_url=url, timeout=60) as http,
    ):
        yield Served(url, app.state.service, http)


@contextmanager
def running(config: uvicorn.Config, listener: socket.socket) -> Iterator[str]:
    """An application, served by uvicorn; its address."""
    config.timeout_graceful_shutdown = 5
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    host, port = listener.getsockname()[:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def events_of(reply: httpx2.Response) -> list[tuple[str, str]]:
    """(event, data) of a body of server-sent events."""
    found = []
    for block in reply.text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "event" in lines:
            found.append((lines["event"], lines["data"]))
    return found
