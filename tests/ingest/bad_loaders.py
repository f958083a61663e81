"""Loaders that do what none may; a worker imports this module and runs them.

The text of the file says what to do.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable

from ingest.documents import Document
from ingest.loaders import Source
from ingest.loaders.pace import pace

_LIBC = ctypes.CDLL(None, use_errno=True)


def load_badly(source: Source) -> Document:
    """Do what the first word of the file says, to what the rest of it names."""
    action, _, target = source.data.decode().strip().partition(" ")
    said = _ACTIONS[action](target)
    return Document(source.uri, source.sha256, f"{action}: {said}", media_type=source.media_type)


def _hang(_: str) -> object:
    time.sleep(600)
    return "woke up"


def _read_pages(_: str) -> object:
    for _page in range(5):  # together longer than the limit of a test
        time.sleep(0.5)
        pace.go_on()
    return "five pages"


def _eat(_: str) -> object:
    eaten = []
    while True:
        eaten.append(bytearray(os.urandom(1000)) * 10_000)
        time.sleep(0.005)


def _crash(_: str) -> object:
    return ctypes.string_at(0)


def _leave(_: str) -> object:
    os._exit(3)


def _print(_: str) -> object:
    print("noise")  # noqa: T201 - that is what it is for
    os.write(1, b"noise")
    os.write(2, b"noise")
    return os.read(0, 1)


def _write(path: str) -> object:
    with open(path, "w") as file:
        return file.write("overwritten")


def _write_natively(path: str) -> object:
    return _LIBC.open(os.fsencode(path), os.O_WRONLY | os.O_TRUNC)


def _truncate_natively(path: str) -> object:
    return _LIBC.truncate(os.fsencode(path), 0)


def _permit_natively(path: str) -> object:
    return _LIBC.chmod(os.fsencode(path), 0o777)


def _write_by_command(path: str) -> object:
    return subprocess.run(["sh", "-c", f"echo overwritten > '{path}'"], check=False).returncode


def _write_temporary(_: str) -> object:
    with tempfile.TemporaryDirectory() as folder, open(os.path.join(folder, "x"), "w") as file:
        return file.write("fine")


def _connect(port: str) -> object:
    return socket.create_connection(("127.0.0.1", int(port)), timeout=5)


def _connect_natively(_: str) -> object:
    return _LIBC.socket(socket.AF_INET, socket.SOCK_STREAM, 0)


def _environment(_: str) -> object:
    return sorted(os.environ)


def _stop_parent_pipe(_: str) -> object:
    os.kill(os.getpid(), signal.SIGSEGV)
    return "survived"


_ACTIONS: dict[str, Callable[[str], object]] = {
    "hang": _hang,
    "pages": _read_pages,
    "eat": _eat,
    "crash": _crash,
    "leave": _leave,
    "print": _print,
    "write": _write,
    "write-natively": _write_natively,
    "truncate-natively": _truncate_natively,
    "permit-natively": _permit_natively,
    "write-by-command": _write_by_command,
    "write-temporary": _write_temporary,
    "connect": _connect,
    "connect-natively": _connect_natively,
    "environment": _environment,
    "signal": _stop_parent_pipe,
    "fine": lambda text: text,
}
