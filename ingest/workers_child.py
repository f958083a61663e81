"""The worker's side of workers.py: a process that loads files and nothing else.

Started by `python -c`, so that the user's script is not run again. Its first argument is JSON: what
the fields of `Setup` say.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ingest import sandbox
from ingest.loaders.members import Whole, Withheld, load_all
from ingest.loaders.pace import pace
from ingest.loaders.registry import register
from ingest.memory import give_back

OUT_OF_MEMORY = 77  # exit status
_TRIM_FROM = 300_000_000  # resident bytes from which free memory is given back after a file


@dataclass(frozen=True, slots=True)
class Setup:
    """`descriptor`: the socket to the parent; `loaders`: media type -> module:function."""

    descriptor: int
    folder: str
    parent: int
    memory: int
    timeout: float
    loaders: dict[str, str]
    withheld: list[str]


@dataclass(frozen=True, slots=True)
class Job:
    """A file to load; `done` and `known` as in `load_all`."""

    path: str
    uri: str
    done: frozenset[str]
    known: dict[str, str]


@dataclass(frozen=True, slots=True)
class GoesOn:
    """A page is read, more are to come: the next one has the time limit anew."""


@dataclass(frozen=True, slots=True)
class Declined:
    """The file, or something in it, is of a media type that the parent has the loader for."""


def main() -> None:
    """Serve one parent until it hangs up."""
    setup = Setup(**json.loads(sys.argv[1]))
    connection = Connection(setup.descriptor)
    sandbox.enter(setup.folder, parent=setup.parent, memory=setup.memory)
    try:
        for media_type, target in setup.loaders.items():
            module, _, name = target.partition(":")
            register(media_type)(getattr(import_module(module), name))
        pace.set(setup.timeout, lambda: connection.send_bytes(packed(GoesOn())))
        while True:
            _serve(pickle.loads(connection.recv_bytes()), connection, setup)
    except (EOFError, OSError):
        os._exit(0)
    except MemoryError:
        os._exit(OUT_OF_MEMORY)


def _serve(job: Job, connection: Connection, setup: Setup) -> None:
    pieces = load_all(
        Path(job.path), uri=job.uri, done=job.done, known=job.known, withheld=setup.withheld
    )
    try:
        for piece in pieces:
            if isinstance(piece, Whole):
                give_back(above=_TRIM_FROM)  # before the parent looks how much is held
            connection.send_bytes(packed(piece))
    except Withheld:
        connection.send_bytes(packed(Declined()))


class _Pickler(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        """Read-only mappings (defaults of documents) are handed over as the dicts they show."""
        return (dict, (dict(value),)) if isinstance(value, MappingProxyType) else NotImplemented


def packed(value: object) -> bytes:
    """`value` as bytes for `workers.unpacked`."""
    import io

    buffer = io.BytesIO()
    _Pickler(buffer, pickle.HIGHEST_PROTOCOL).dump(value)
    return buffer.getvalue()
