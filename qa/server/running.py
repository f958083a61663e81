"""`kbqa serve`: the checks before, uvicorn, the end."""

from __future__ import annotations

import ipaddress
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn
from fastapi import FastAPI

from ingest.errors import BadRequest, KbqaError, Locked, StorageError
from qa.command_base import address_file
from qa.server.app import create_app, server_folder
from qa.server.connections import closing_late_heads
from qa.server.observing import log_to_stderr
from qa.server.service import Service
from qa.settings import Settings
from retrieval.edge_lock import acquire, holder

BACKLOG = 256
TURN = 0.0005  # seconds that a thread of Python may go on while another waits (Python's own: .005)


def serve(settings: Settings, *, on_start: Callable[[str], None] = lambda url: None) -> None:
    """Serve until told to end (SIGTERM, Ctrl-C); `on_start` gets the address.

    Raises BadRequest where the address may not be bound: it is not of this machine, and there are
    no keys; or it is in use. Raises Locked where another server has the data folder.
    """
    with _alone(settings):
        _serve(settings, on_start)


def _serve(settings: Settings, on_start: Callable[[str], None]) -> None:
    app = create_app(settings)
    service: Service = app.state.service
    try:
        require_keys(settings, has_keys=service.keys.needed())
        listener = bind(settings)
    except KbqaError:
        service.close()
        raise
    log_to_stderr(settings.serve_log)
    url = _url_of(listener)
    on_start(url)
    sys.setswitchinterval(TURN)  # a question waits for an ingest at each of its many calls
    with listener, _noted_address(settings, url):
        _Server(config_of(app, settings), service).run(sockets=[listener])


def config_of(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """How uvicorn is to serve an application."""
    return uvicorn.Config(
        app,
        http=closing_late_heads(settings.serve_body_timeout),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=int(settings.serve_drain),
        h11_max_incomplete_event_size=64 * 1024,
    )


def require_keys(settings: Settings, *, has_keys: bool) -> None:
    """Raise BadRequest for an address that others than this machine reach, if there are no keys."""
    if not has_keys and not _is_loopback(settings.serve_host):
        raise BadRequest(
            f"{settings.serve_host} can be reached from other machines, and there are no keys: "
            "make one with `kbqa access create --role reader`, or bind 127.0.0.1"
        )


def _url_of(listener: socket.socket) -> str:
    """Where this machine reaches it."""
    host, port = listener.getsockname()[:2]
    if ipaddress.ip_address(host).is_unspecified:
        host = "::1" if ":" in host else "127.0.0.1"
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """While no other server has the data folder: two would do the same ingest jobs.

    One that is about to end is waited for as long as a base is. Raises Locked, StorageError.
    """
    folder = server_folder(settings)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = acquire(folder, settings.lock_timeout)
    except Locked as exc:
        raise Locked(
            f"another server has {settings.data_dir}: {holder(folder)}; end it, or serve another "
            "data_dir"
        ) from exc
    except OSError as exc:
        raise StorageError(f"cannot write in {folder}: {exc.strerror or exc}") from exc
    try:
        yield
    finally:
        lock.let_go()


@contextmanager
def _noted_address(settings: Settings, url: str) -> Iterator[None]:
    """While it runs, the commands of this machine find it."""
    file = address_file(settings)
    file.write_text(json.dumps({"url": url, "pid": os.getpid()}), "utf-8")
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


class _Server(uvicorn.Server):
    """Tells the streams that wait for something to end, before it waits for them to."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """To be told to end is no failure: uvicorn would raise the signal again afterwards."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._service.end()
        await super().shutdown(sockets)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def bind(settings: Settings) -> socket.socket:
    """A socket that listens where the settings say. Raises BadRequest."""
    family = socket.AF_INET6 if ":" in settings.serve_host else socket.AF_INET
    # named as TCP, or asyncio leaves Nagle's algorithm on: 40 ms for each reply
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.serve_host, settings.serve_port))
        listener.listen(BACKLOG)
    except OSError as exc:
        listener.close()
        raise BadRequest(
            f"cannot bind {settings.serve_host}:{settings.serve_port}: {exc.strerror or exc}"
        ) from exc
    return listener
