"""Archives as the files in them: ZIP, tar, and files compressed with gzip, bzip2, xz or Zstandard.

Nothing is written to disk and no size that an archive tells is believed: what comes out is counted
as it comes. 7z has a module of its own (archive_seven_zip.py).
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from typing import IO, Any, Protocol, cast

from ingest.errors import LoadError
from ingest.loaders import media_types as mt
from ingest.loaders.archive_names import Names, legacy_names
from ingest.loaders.registry import Member, Source

MAX_MEMBER = 200_000_000  # bytes of one file; its parser needs several times that
MAX_TOTAL = 1_000_000_000  # bytes out of one archive
MAX_RATIO = 200  # bytes out for one byte in; text reaches 10 to 50, deflate ends at 1,032
RATIO_FLOOR = 50_000_000  # bytes from which the ratio counts: small files of one letter are fine
_BLOCK = 1 << 20
_READ_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
_METHODS = {
    1: "Shrink",
    6: "Implode",
    9: "Deflate64",
    93: "Zstandard",
    95: "xz",
    96: "JPEG",
    98: "PPMd",
    99: "AES",
}
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    tarfile.TarError,
    EOFError,
    OSError,
    ValueError,
    OverflowError,
)


class TooMuch(Exception):
    """More comes out than may; the message is a reason for people."""


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def read_at_most(file: _Readable, packed: int, limit: int = MAX_MEMBER) -> bytes:
    """All of `file`, which takes `packed` bytes in its archive. Raises TooMuch."""
    blocks: list[bytes] = []
    count = 0
    while block := file.read(_BLOCK):
        count += len(block)
        if count > limit:
            raise TooMuch(f"is too large: more than {limit:,} bytes when unpacked")
        if count > max(RATIO_FLOOR, MAX_RATIO * packed):
            raise TooMuch(f"looks like a bomb: {packed:,} bytes unpack to more than {count:,}")
        blocks.append(block)
    return b"".join(blocks)


def said(exc: BaseException) -> str:
    """The message of a parser on one line, or the kind of error where it has none."""
    return " ".join(str(exc).split())[:120] or type(exc).__name__


def unpack_zip(source: Source) -> Iterator[Member]:
    """The files in a ZIP archive, in its order."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(source.data))
    except (*_DAMAGE, NotImplementedError) as exc:
        raise LoadError(source.uri, "is damaged: an incomplete or broken ZIP archive") from exc
    with archive:
        infos = archive.infolist()
        if sum(info.compress_size for info in infos) > len(source.data):
            raise LoadError(source.uri, "looks like a bomb: its members lie over each other")
        names, total = Names(), 0
        for info, told in zip(infos, legacy_names(infos), strict=True):
            if info.is_dir() or told.endswith("\\"):
                continue
            place = names.place(told)
            if place is None:
                continue
            reason = place.reason or _zip_refusal(info)
            member = Member(place.path, reason=reason)
            if not reason:
                member = _read_member(place.path, partial(archive.open, info), info.compress_size)
            yield member
            total += len(member.data or b"")
            _check_total(source, total)


def _zip_refusal(info: zipfile.ZipInfo) -> str:
    mode = info.external_attr >> 16
    if info.create_system == 3 and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        return "is a link" if stat.S_ISLNK(mode) else "is not a regular file"
    if info.flag_bits & 1:
        return "is password protected"
    if info.compress_type not in _READ_METHODS:
        name = _METHODS.get(info.compress_type, f"number {info.compress_type}")
        return f"is compressed by a method that is not supported: {name}"
    return ""


def _read_member(path: str, opened: Callable[[], IO[bytes]], packed: int) -> Member:
    try:
        with opened() as file:
            return Member(path, read_at_most(file, packed))
    except TooMuch as exc:
        return Member(path, reason=str(exc))
    except (NotImplementedError, RuntimeError) as exc:
        return Member(path, reason=f"is compressed in a way that is not supported: {exc}")
    except _DAMAGE as exc:
        return Member(path, reason=f"is damaged in its archive: {said(exc)}")


def unpack_tar(source: Source) -> Iterator[Member]:
    """The files in an uncompressed tar archive."""
    return _tar_members(source, io.BytesIO(source.data))


def unpack_compressed(source: Source) -> Iterator[Member]:
    """What is in a compressed file: the members of a tar archive, or the one file that it is."""
    with _decompressor(source) as inner:
        counted = _Counted(inner, len(source.data))
        try:
            start = counted.read(512)
            if _is_tar(start):
                yield from _tar_members(source, _Joined(start, counted))
            else:
                rest = read_at_most(counted, len(source.data))
                yield Member(_inner_name(source), start + rest)
        except TooMuch as exc:
            raise LoadError(source.uri, str(exc)) from exc
        except _DAMAGE as exc:
            raise LoadError(source.uri, f"is damaged: {said(exc)}") from exc


def _decompressor(source: Source) -> IO[bytes]:
    file = io.BytesIO(source.data)
    if source.media_type == mt.GZIP:
        return cast(IO[bytes], gzip.GzipFile(fileobj=file))
    if source.media_type == mt.BZIP2:
        return cast(IO[bytes], bz2.BZ2File(file))
    if source.media_type == mt.XZ:
        return cast(IO[bytes], lzma.LZMAFile(file))
    zstd: Any = import_module("backports.zstd")  # in Python from 3.14
    return cast(IO[bytes], zstd.ZstdFile(file))


def _inner_name(source: Source) -> str:
    """`a.txt` of `a.txt.gz`, `a.svg` of `a.svgz`."""
    name = source.uri.rstrip("/").rsplit("/", 1)[-1]
    return source.stem + ".svg" if name.lower().endswith(".svgz") else source.stem


def _is_tar(start: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(start, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def _tar_members(source: Source, file: _Readable) -> Iterator[Member]:
    names, total = Names(), 0
    packed = len(source.data)
    try:
        with tarfile.open(fileobj=cast(IO[bytes], file), mode="r|") as archive:
            for info in archive:
                cast(Any, archive).members.clear()  # else it keeps every header that it has read
                if info.isdir() or (place := names.place(info.name)) is None:
                    continue
                reason = place.reason or _tar_refusal(info)
                member = Member(place.path, reason=reason)
                if not reason:
                    member = _read_member(place.path, partial(_opened, archive, info), packed)
                yield member
                total += _cost(member)
                _check_total(source, total)
    except _DAMAGE as exc:
        raise LoadError(source.uri, f"is damaged: {said(exc)}") from exc


def _opened(archive: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    file = archive.extractfile(info)
    if file is None:
        raise ValueError("holds no data")
    return file


def _tar_refusal(info: tarfile.TarInfo) -> str:
    if info.issym() or info.islnk():
        return f"is a link to {info.linkname[:200]!r}"
    return "" if info.isreg() else "is not a regular file"


def _cost(member: Member) -> int:
    """Bytes that were unpacked for it: a bomb counts, though it gives none."""
    bomb = member.data is None and "unpack" in member.reason
    return RATIO_FLOOR if bomb else len(member.data or b"")


def _check_total(source: Source, total: int) -> None:
    if total > MAX_TOTAL:
        reason = f"is too large: more than {MAX_TOTAL:,} bytes when unpacked; the rest is left out"
        raise LoadError(source.uri, reason)


class _Counted:
    """A stream that ends with TooMuch where more comes out of it than may."""

    def __init__(self, file: IO[bytes], packed: int) -> None:
        self._file, self._packed, self._count = file, packed, 0

    def read(self, size: int, /) -> bytes:
        data = self._file.read(min(size, MAX_MEMBER) if size >= 0 else MAX_MEMBER)
        self._count += len(data)
        if self._count > MAX_TOTAL:
            raise TooMuch(f"is too large: more than {MAX_TOTAL:,} bytes when unpacked")
        if self._count > max(RATIO_FLOOR, MAX_RATIO * self._packed):
            reason = f"{self._packed:,} bytes unpack to more than {self._count:,}"
            raise TooMuch(f"looks like a bomb: {reason}")
        return data


class _Joined:
    """A stream with its first bytes put back."""

    def __init__(self, start: bytes, rest: _Readable) -> None:
        self._start, self._rest = start, rest

    def read(self, size: int, /) -> bytes:
        head, self._start = self._start[:size], self._start[size:]
        return head + self._rest.read(size - len(head)) if len(head) < size else head
