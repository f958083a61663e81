"""7z archives as the files in them, through py7zr.

py7zr hands out what it unpacks through writers, in the order of the archive; a thread of its own
turns that into an iterator that holds one file at a time. A solid archive is unpacked once.
"""

from __future__ import annotations

import contextlib
import io
import queue
import threading
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from ingest.errors import LoadError
from ingest.loaders.archive import MAX_MEMBER, MAX_RATIO, MAX_TOTAL, RATIO_FLOOR, said
from ingest.loaders.archive_names import Names, Place
from ingest.loaders.registry import Member, Source


class _Stopped(Exception):
    """Nobody wants the rest."""


def unpack_seven_zip(source: Source) -> Iterator[Member]:
    """The files in a 7z archive. Raises LoadError for a damaged or protected one."""
    py7zr: Any = import_module("py7zr")
    try:
        archive = py7zr.SevenZipFile(io.BytesIO(source.data), max_extract_size=MAX_TOTAL)
    except py7zr.PasswordRequired as exc:
        raise LoadError(source.uri, "is password protected") from exc
    except Exception as exc:  # py7zr raises what it meets in a damaged header
        raise LoadError(source.uri, f"is damaged: {said(exc)}") from exc
    with archive:
        if archive.needs_password():
            raise LoadError(source.uri, "is password protected")
        wanted: list[tuple[str, Place]] = []
        names, total = Names(), 0
        for file in archive.files:
            if file.is_directory or (place := names.place(file.filename)) is None:
                continue
            total += file.uncompressed
            reason = place.reason or _refusal(file, total, len(source.data))
            if reason:
                yield Member(place.path, reason=reason)
            else:
                wanted.append((file.filename, place))
        if wanted:
            yield from _Extraction(archive, wanted, source).members()


def _refusal(file: Any, total: int, packed: int) -> str:
    """py7zr writes no more than the size that the header tells, so that can be relied on."""
    if file.is_symlink or file.is_junction:
        return "is a link"
    if file.is_socket:
        return "is not a regular file"
    if file.uncompressed > MAX_MEMBER:
        return f"is too large: more than {MAX_MEMBER:,} bytes when unpacked"
    if total > MAX_TOTAL:
        return f"the archive is too large: more than {MAX_TOTAL:,} bytes when unpacked"
    if file.uncompressed > max(RATIO_FLOOR, MAX_RATIO * packed):
        return f"looks like a bomb: {packed:,} bytes unpack to more than {file.uncompressed:,}"
    return ""


class _Extraction:
    """One run of py7zr's `extract`, as an iterator."""

    def __init__(self, archive: Any, wanted: list[tuple[str, Place]], source: Source) -> None:
        self._archive, self._wanted, self._source = archive, wanted, source
        self._next = 0
        self._ready: queue.Queue[Member | BaseException | None] = queue.Queue(1)
        self._stopped = threading.Event()

    def members(self) -> Iterator[Member]:
        thread = threading.Thread(target=self._run, name="kbqa-7z", daemon=True)
        thread.start()
        try:
            while (item := self._ready.get()) is not None:
                if isinstance(item, BaseException):
                    raise LoadError(self._source.uri, f"is damaged: {said(item)}") from item
                yield item
        finally:
            self._stopped.set()
            thread.join()

    def create(self, filename: str) -> Any:
        """py7zr's `WriterFactory`: called for the wanted files in their order."""
        place = self._wanted[self._next][1]
        self._next += 1
        return _writer(lambda data: self._put(Member(place.path, data)))

    def _run(self) -> None:
        try:
            targets = [name for name, _ in self._wanted]
            self._archive.extract(targets=targets, factory=self)
            self._put(None)
        except _Stopped:
            pass
        except BaseException as exc:  # noqa: BLE001 - handed to the iterator, which raises it
            self._put(exc, last=True)

    def _put(self, item: Member | BaseException | None, *, last: bool = False) -> None:
        while not self._stopped.is_set():
            with contextlib.suppress(queue.Full):
                self._ready.put(item, timeout=0.05)
                return
        if not last:
            raise _Stopped


def _writer(finish: Any) -> Any:
    """A `Py7zIO` that collects the bytes of one file and hands them to `finish` on closing."""
    base: Any = import_module("py7zr").Py7zIO

    class Writer(base):  # type: ignore[misc]
        def __init__(self) -> None:
            self._buffer = io.BytesIO()

        def write(self, block: bytes) -> int:
            return self._buffer.write(block)

        def read(self, size: int | None = None) -> bytes:
            return self._buffer.read(size)

        def seek(self, offset: int, whence: int = 0) -> int:
            return self._buffer.seek(offset, whence)

        def flush(self) -> None:
            """Nothing is held back."""

        def size(self) -> int:
            return self._buffer.getbuffer().nbytes

        def close(self) -> None:
            finish(self._buffer.getvalue())
            self._buffer = io.BytesIO()

    return Writer()
