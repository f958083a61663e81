"""A file with all that is in it: the members of archives, the attachments of mails, recursively."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from ingest.documents import Document
from ingest.errors import LoadError, Unsupported
from ingest.loaders import media_types as mt
from ingest.loaders.detection import promises_document, supported_suffixes
from ingest.loaders.registry import (
    Member,
    Source,
    has_loader,
    load_bytes,
    media_type_of,
    read_file,
    unpacker_of,
)

MAX_MEMBERS = 10_000  # out of one file, over all levels
MAX_BYTES = 2_000_000_000  # unpacked out of one file, over all levels
MAX_DEPTH = 6  # a.zip!/b.zip!/c.eml!/d.docx is 3; an archive that contains itself has no end
_ARCHIVES = {mt.ZIP, mt.TAR, mt.GZIP, mt.BZIP2, mt.XZ, mt.ZSTD, mt.SEVEN_ZIP}


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file or member that gave no document, and why. `skipped`: of a kind that is not read."""

    uri: str
    reason: str
    skipped: bool = False


@dataclass(frozen=True, slots=True)
class Begun:
    """The member `uri` is being looked at from now on."""

    uri: str


@dataclass(frozen=True, slots=True)
class Identified:
    """What the file is; comes first. Both are "" where it could not be read."""

    media_type: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Whole:
    """All that a file holds was handed out; `own`: the file itself is a document or left out."""

    own: bool


Piece = Identified | Document | LeftOut | Begun | Whole


class Withheld(Exception):
    """A member is of a media type that the caller wants to load itself."""


def load_all(
    path: Path,
    *,
    uri: str,
    done: Collection[str] = (),
    known: Mapping[str, str] | None = None,
    withheld: Collection[str] = (),
) -> Iterator[Piece]:
    """Everything in the file at `path`: members first, its own document after them, Whole last.

    Never raises LoadError: what cannot be loaded is LeftOut. Members in `done` are passed over,
    those in `known` are left out for the reason that it gives (both for going on after a crash).
    Raises Withheld at the first file of a media type in `withheld`.
    """
    try:
        data = read_file(path, uri)
        if not data:
            raise LoadError(uri, "is empty")
    except LoadError as exc:
        yield _left_out(exc)
        yield Whole(own=True)
        return
    own = False
    unpacking = _Unpacking(done, known or {}, withheld)
    for piece in unpacking.pieces(data, uri):
        own = own or (isinstance(piece, Document | LeftOut) and piece.uri == uri)
        yield piece
    yield Whole(own)


class _Unpacking:
    """The recursion through one file; counts what came out of it."""

    def __init__(
        self, done: Collection[str], known: Mapping[str, str], withheld: Collection[str]
    ) -> None:
        self._done, self._known, self._withheld = frozenset(done), known, frozenset(withheld)
        self._members = self._bytes = 0

    def pieces(self, data: bytes, uri: str, depth: int = 0) -> Iterator[Piece]:
        """Members and then the document of one file; of the outermost, first what it is."""
        if uri in self._known:
            yield LeftOut(uri, self._known[uri])
            return
        try:
            media_type = media_type_of(data, uri)
        except LoadError as exc:
            if depth == 0:
                yield Identified("", hashlib.sha256(data).hexdigest())
            yield _left_out(exc)
            return
        if media_type in self._withheld:
            raise Withheld(media_type)
        if depth == 0:
            yield Identified(media_type, hashlib.sha256(data).hexdigest())
        is_document, count = has_loader(media_type), self._members
        problem = yield from self._unpacked(data, uri, media_type, depth)
        if is_document:
            if uri not in self._done:
                yield _own(data, uri, media_type)
            uri = f"{uri}!/attachments" if problem else uri
        elif not problem and self._members == count and unpacker_of(media_type):
            problem = "holds no files"
        elif not unpacker_of(media_type):
            problem = f"no loader for {media_type}"
            yield LeftOut(uri, problem, skipped=_is_unclaimed(uri))
            return
        if problem:
            yield LeftOut(uri, problem)

    def _unpacked(
        self, data: bytes, uri: str, media_type: str, depth: int
    ) -> Generator[Piece, None, str]:
        """Everything in the members of one file; returns what went wrong, "" if nothing did."""
        unpack = unpacker_of(media_type)
        if unpack is None:
            return ""
        source = Source(uri, data, media_type, hashlib.sha256(data).hexdigest())
        try:
            for member in unpack(source):
                if depth >= MAX_DEPTH:
                    return f"is nested deeper than {MAX_DEPTH} levels: what it holds is left out"
                if problem := self._full(member):
                    return problem
                yield from self._member(member, uri, media_type, depth)
        except LoadError as exc:
            return exc.reason
        except Exception as exc:  # noqa: BLE001 - the seam to the unpackers, as in load_bytes
            reason = " ".join(str(exc).split())[:200] or type(exc).__name__
            return f"cannot be taken apart: {reason}"
        return ""

    def _full(self, member: Member) -> str:
        if self._members >= MAX_MEMBERS:
            return f"holds more than {MAX_MEMBERS:,} files: those after them are left out"
        self._members += 1
        self._bytes += len(member.data or b"")
        if self._bytes > MAX_BYTES:
            return (
                f"is too large: more than {MAX_BYTES:,} bytes when unpacked; the rest is left out"
            )
        return ""

    def _member(
        self, member: Member, container: str, container_type: str, depth: int
    ) -> Iterator[Piece]:
        uri = f"{container}!/{member.path}"
        if uri in self._done:
            return
        if member.data is None:
            yield LeftOut(uri, member.reason or "is not there")
        elif container_type in _ARCHIVES and (reason := _not_wanted(member)):
            yield LeftOut(uri, reason, skipped=True)
        elif not member.data:
            yield LeftOut(uri, "is empty")
        else:
            yield Begun(uri)
            for piece in self.pieces(member.data, uri, depth + 1):
                yield _without_logo(piece) if member.inline else piece


def _without_logo(piece: Piece) -> Piece:
    """An image within a mail is not expected to have text: a logo or a smiley is no failure."""
    from ingest.loaders.image import NO_TEXT

    if isinstance(piece, LeftOut) and piece.reason == NO_TEXT:
        return replace(piece, skipped=True)
    return piece


def _own(data: bytes, uri: str, media_type: str) -> Document | LeftOut:
    try:
        return load_bytes(data, uri=uri, media_type=media_type)
    except LoadError as exc:
        return _left_out(exc)


def _left_out(exc: LoadError) -> LeftOut:
    return LeftOut(exc.uri, exc.reason, isinstance(exc, Unsupported) and _is_unclaimed(exc.uri))


def _is_unclaimed(uri: str) -> bool:
    """Whether the name makes no claim that the file is a document of a kind that is read."""
    return PurePosixPath(uri).suffix.lower() not in supported_suffixes()


def _not_wanted(member: Member) -> str:
    """Why a file in an archive is passed over, as a walk passes over files in a folder."""
    suffix = PurePosixPath(member.path).suffix.lower()
    unknown = suffix and suffix not in supported_suffixes()
    if unknown and not promises_document((member.data or b"")[:512]):
        return f"files of type {suffix} are not supported"
    return ""
