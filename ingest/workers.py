"""Processes that load files for the main one, each file within limits on time and memory.

A file that hangs, crashes its parser or eats memory costs its worker, which is replaced, and is
named with the reason. Workers are started as `python -c`, not by multiprocessing: that would run
the user's script again. They end with their parent, also when it is killed.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import ingest
from ingest.documents import Document, Mark, Page, Section
from ingest.loaders.members import Begun, Identified, LeftOut, Piece, Whole
from ingest.loaders.pace import PATIENCE
from ingest.loaders.registry import registered
from ingest.scratch import Scratch
from ingest.workers_child import OUT_OF_MEMORY, Declined, GoesOn, Job, Setup, packed

_LOOK = 0.05  # seconds between two looks at time and memory: allocating 0.1 GB takes as long
_WORN = 0.7  # share of the memory limit from which a worker is replaced between two files
_KEPT = {  # of the environment: nothing that is a key, a proxy or a setting
    *("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "SYSTEMROOT", "WINDIR", "USER", "LOGNAME"),
    *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "VIRTUAL_ENV", "PYTHONHOME"),
}
_FIXED = {
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "OMP_NUM_THREADS": "1",  # there are as many workers as cores
    "MALLOC_ARENA_MAX": "2",
    "PYTHONUTF8": "1",
}
_START = "import sys; sys.path[:] = {path!r}; from ingest.workers_child import main; main()"
_SENT = (  # what a worker's messages are made of
    *(Document, Mark, Page, Section, Begun, Identified, LeftOut, Whole, Declined, GoesOn),
    *(dict,),
)
_ALLOWED = {(kind.__module__, kind.__qualname__): kind for kind in _SENT}


@dataclass(frozen=True, slots=True)
class Limits:
    """What loading one file may cost.

    `timeout` in seconds: of a file, of each member of a container, of each page read by OCR; a file
    with many of them may take `pace.PATIENCE` times that. `memory_mb`: resident memory of the
    process that loads it. `workers`: processes at once; with 0, files are loaded in
    this process, unconfined and without limits: for trusted files, few in a call.
    """

    timeout: float = 60.0
    memory_mb: int = 1500
    workers: int = min(2, os.cpu_count() or 1)


class Died(Exception):
    """A worker is gone; the message is a reason for people, `uri` what it was loading."""

    def __init__(self, uri: str, reason: str) -> None:
        super().__init__(reason)
        self.uri = uri
        self.reason = reason


class Worker:
    """One process that loads files, one after the other. Close it."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._scratch = Scratch("worker")
        self.folder = str(self._scratch.path)
        ours, theirs = socket.socketpair()
        loaders, withheld = _shared_loaders()
        setup = Setup(
            descriptor=theirs.fileno(),
            folder=self.folder,
            parent=os.getpid(),
            memory=limits.memory_mb * 2_000_000 + 1_000_000_000,
            timeout=limits.timeout,
            loaders=loaders,
            withheld=withheld,
        )
        with theirs:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-sBc",
                    _START.format(path=_import_path()),
                    json.dumps(asdict(setup)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=self.folder,
                env=_environment(self.folder),
                pass_fds=(theirs.fileno(),),
                start_new_session=True,  # Ctrl-C is the parent's to handle
            )
        self._connection = Connection(ours.detach())
        self.peak = 0  # bytes resident, as far as was seen

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def is_worn(self) -> bool:
        """Whether it holds so much memory between two files that a new one should take over."""
        return _resident(self.pid) > _WORN * self._limits.memory_mb * 1_000_000

    def load(self, job: Job) -> Iterator[Piece | Declined]:
        """All pieces of a file, up to Whole or Declined. Raises Died; then the worker is closed."""
        stack = [job.uri]
        ends = time.monotonic() + PATIENCE * self._limits.timeout
        try:
            self._connection.send_bytes(packed(job))
            while True:
                self._wait(stack[-1], ends)
                piece = unpacked(self._connection.recv_bytes(self._limits.memory_mb * 1_000_000))
                if isinstance(piece, GoesOn):
                    continue
                _follow(stack, piece)
                yield piece
                if isinstance(piece, Whole | Declined):
                    return
        except (EOFError, OSError) as exc:
            raise self._died(stack[-1]) from exc

    def kill(self) -> None:
        """End the process, whatever it does; from any thread. `load` then raises Died."""
        with contextlib.suppress(OSError):
            os.killpg(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """End the process and remove what it wrote. Twice does no harm."""
        if self._scratch.is_there:
            self.kill()
        self._process.wait()
        self._connection.close()
        self._scratch.remove()

    def _wait(self, uri: str, ends: float) -> None:
        """Until something comes. Time counts only here: not while the parent is busy elsewhere."""
        limit = min(time.monotonic() + self._limits.timeout, ends)
        while not self._connection.poll(_LOOK):
            used = _resident(self.pid)
            self.peak = max(self.peak, used)
            if used > self._limits.memory_mb * 1_000_000:
                self.close()
                raise Died(uri, self._memory_reason())
            if time.monotonic() > limit:
                self.close()
                raise Died(uri, f"took longer than {self._limits.timeout:g} s")

    def _died(self, uri: str) -> Died:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)
        status = self._process.poll()
        self.close()
        if status == OUT_OF_MEMORY:
            return Died(uri, self._memory_reason())
        if status is not None and status < 0:
            return Died(uri, f"crashed its parser (signal {-status})")
        return Died(uri, f"its parser ended the process (status {status})")

    def _memory_reason(self) -> str:
        return f"needed more than {self._limits.memory_mb / 1000:g} GB of memory"


def _follow(stack: list[str], piece: Piece | Declined) -> None:
    """Keep the uris of what is being loaded, outermost first."""
    if isinstance(piece, Begun):
        while len(stack) > 1 and not piece.uri.startswith(stack[-1] + "!/"):
            stack.pop()
        stack.append(piece.uri)
    elif isinstance(piece, Document | LeftOut) and len(stack) > 1 and piece.uri == stack[-1]:
        stack.pop()


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Only our own values: the process that sends them has parsed a stranger's file."""
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"a worker sent {module}.{name}") from None


def unpacked(data: bytes) -> Any:
    """What a worker sent. Raises OSError for what no worker of ours sends."""
    try:
        return _Unpickler(io.BytesIO(data)).load()
    except pickle.UnpicklingError as exc:
        raise OSError(str(exc)) from exc


def _shared_loaders() -> tuple[dict[str, str], list[str]]:
    """Registered loaders: those a worker can import, and the types of those that it cannot."""
    shared: dict[str, str] = {}
    withheld: list[str] = []
    for media_type, loader in registered().items():
        module = getattr(loader, "__module__", "") or ""
        name = getattr(loader, "__qualname__", "")
        found = getattr(sys.modules.get(module), name, None)
        if module != "__main__" and found is loader:
            shared[media_type] = f"{module}:{name}"
        else:
            withheld.append(media_type)
    return shared, withheld


def _import_path() -> list[str]:
    """Where the parent imports from; this package first."""
    own = str(Path(next(iter(ingest.__path__))).parent)
    return list(dict.fromkeys([own, *(os.path.abspath(path) for path in sys.path)]))


def _environment(folder: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    places = dict.fromkeys(("HOME", "TMPDIR", "TEMP", "TMP", "XDG_CACHE_HOME"), folder)
    return {**kept, **_FIXED, **places}


def _resident(pid: int) -> int:
    """Bytes in memory of a process and of those it started; 0 for one that is gone."""
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            own = int(file.read().split()[1]) * _page_size()
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            children = file.read().split()
    except FileNotFoundError:
        return _resident_elsewhere(pid)
    except (OSError, IndexError, ValueError):
        return 0
    return own + sum(_resident(int(child)) for child in children)


def _resident_elsewhere(pid: int) -> int:
    """As `_resident`, where there is no /proc."""
    if os.path.exists("/proc/self/statm"):
        return 0
    psutil: Any = import_module("psutil")  # has no types

    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


@cache
def _page_size() -> int:
    return os.sysconf("SC_PAGE_SIZE")
