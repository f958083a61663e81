"""Files that clients send. They stay below one folder, and are kept, to be read again.

FOLDER/BASE/handbook/leave.pdf    the document `handbook/leave.pdf` of that base
FOLDER/.incoming/                 what is still on its way
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
import unicodedata
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

from starlette.concurrency import run_in_threadpool

from ingest.errors import BadRequest, StorageError
from ingest.loaders import supported_suffixes
from ingest.walking import is_passed_over, unsupported
from qa.server.problems import Conflict, TooLarge, UnsupportedKind

INCOMING = ".incoming"
LONGEST_PART, LONGEST_NAME, DEEPEST = 200, 1000, 16  # bytes, bytes, folders
_FORBIDDEN = set('\\:*?"<>|')  # of Windows; a backslash also parts folders there
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt")
                                            for n in range(10))}  # fmt: skip


class Uploads:
    """Files of all bases below one folder."""

    def __init__(self, folder: Path, *, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes

    def root(self, kb: str) -> Path:
        """The folder of a base's files; what lies in it is ingested relative to it."""
        return self._folder / kb

    async def keep(
        self,
        kb: str,
        name: str,
        body: AsyncIterator[bytes],
        *,
        placing: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext,
    ) -> str:
        """Write a file, whole or not at all; returns its name as it is kept.

        On disk when this returns. It gets its place within `placing`, whose errors come through.
        Raises BadRequest for a name that is none, UnsupportedKind for what no ingest would look at,
        TooLarge, Conflict for a folder where the file is to be, StorageError.
        """
        name = checked_name(name)
        if reason := unsupported(name.rpartition("/")[2], supported_suffixes()):
            raise UnsupportedKind(reason)
        with _clear_errors():
            incoming = await run_in_threadpool(self._begin)
            try:
                await self._receive(incoming, body)
                await run_in_threadpool(self._place, incoming, self.root(kb), name, placing)
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(incoming)
        return name

    def spool(self, write: Callable[[Path], object]) -> BinaryIO:
        """What `write(path)` wrote, open to be read; the file has no name any more.

        Raises what `write` raises, and StorageError.
        """
        incoming = self._folder / INCOMING
        with _clear_errors():
            incoming.mkdir(parents=True, exist_ok=True, mode=0o700)
            with tempfile.TemporaryDirectory(dir=incoming) as folder:
                path = Path(folder, "spool")
                write(path)
                return path.open("rb")

    def remove(self, path: str) -> bool:
        """Delete a file, if it is one of ours; whether it was."""
        file = Path(path)
        if not self.holds(path) or not file.is_file():
            return False
        with _clear_errors():
            file.unlink()
        return True

    def remove_all(self, kb: str) -> None:
        """Delete all files of a base."""
        with _clear_errors(), contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.root(kb))

    def forget_unfinished(self) -> None:
        """Delete what was on its way when an earlier server was killed."""
        with _clear_errors(), contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self._folder / INCOMING)

    def holds(self, path: str) -> bool:
        """Whether a file lies here, links followed."""
        return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(self._folder))

    def _begin(self) -> str:
        folder = self._folder / INCOMING
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, path = tempfile.mkstemp(dir=folder)
        os.close(handle)
        return path

    async def _receive(self, path: str, body: AsyncIterator[bytes]) -> None:
        size = 0
        with open(path, "wb") as file:
            async for piece in body:
                size += len(piece)
                if size > self._max_bytes:
                    raise TooLarge(f"the file is larger than {self._max_bytes:,} bytes")
                await run_in_threadpool(file.write, piece)
            if not size:
                raise BadRequest("the file is empty")
            file.flush()
            await run_in_threadpool(os.fsync, file.fileno())

    def _place(
        self,
        incoming: str,
        root: Path,
        name: str,
        placing: Callable[[], AbstractContextManager[None]],
    ) -> None:
        with placing():
            root.mkdir(parents=True, exist_ok=True, mode=0o700)
            target = Path(os.path.realpath(root)) / name
            try:
                target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            except (FileExistsError, NotADirectoryError) as exc:
                raise Conflict(f"a part of the path of '{name}' is a file") from exc
            if os.path.realpath(target.parent) != str(target.parent):
                raise BadRequest(f"'{name}' leads out of the folder of uploads")
            if target.is_dir():
                raise Conflict(f"'{name}' is a folder")
            os.replace(incoming, target)
            _sync_folder(target.parent)


def checked_name(name: str) -> str:
    """A relative path with `/` that is safe to write on any system. Raises BadRequest."""
    name = unicodedata.normalize("NFC", name)
    parts = name.split("/")
    if len(name.encode("utf-8", "replace")) > LONGEST_NAME:
        raise BadRequest(f"the name is longer than {LONGEST_NAME} bytes")
    if len(parts) > DEEPEST:
        raise BadRequest(f"the name has more than {DEEPEST} folders")
    for part in parts:
        reason = _fault(part)
        if reason:
            raise BadRequest(f"{name!r} is no name for a document: {reason}")
    return name


def _fault(part: str) -> str:
    if not part or part in (".", ".."):
        return "a part of its path is empty or leads upwards"
    if is_passed_over(part):
        return f"files in {part!r} are not read"
    if part[-1] in ". ":
        return "a part of its path ends with a dot or a space"
    if any(unicodedata.category(c) in ("Cc", "Cs", "Cf") or c in _FORBIDDEN for c in part):
        return "it holds characters that file names cannot have"
    if part.partition(".")[0].lower() in _RESERVED:
        return f"{part!r} is reserved"
    if len(part.encode()) > LONGEST_PART:
        return f"a part of its path is longer than {LONGEST_PART} bytes"
    return ""


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _clear_errors() -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        if exc.errno == errno.ENAMETOOLONG:
            raise BadRequest("the name is too long for the file system") from exc
        raise StorageError(f"the upload could not be written: {exc.strerror or exc}") from exc
