"""Which loader takes which media type, and the two ways in: a path, or bytes."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import cast

from ingest.documents import Document
from ingest.errors import LoadError, Unsupported
from ingest.loaders import media_types as mt
from ingest.loaders import plugins
from ingest.loaders.detection import detect_media_type, supported_suffixes

MAX_BYTES = 500_000_000  # a file is read whole; ten times the largest manual seen


@dataclass(frozen=True, slots=True)
class Source:
    """What a loader gets: the bytes of one file, and what is known of them."""

    uri: str
    data: bytes
    media_type: str
    sha256: str

    @property
    def stem(self) -> str:
        """The file's name without folder and suffix: the title of last resort."""
        name = self.uri.rstrip("/").rsplit("/", 1)[-1]
        stem, dot, _ = name.rpartition(".")
        return stem if dot and stem else name or self.uri


@dataclass(frozen=True, slots=True)
class Member:
    """A file inside another: `path` in it, and its bytes, or the `reason` why it was left out."""

    path: str
    data: bytes | None = None
    reason: str = ""


Loader = Callable[[Source], Document]
Unpacker = Callable[[Source], Iterator[Member]]

# media type -> (parser and its version, where it is); imported on first use: parsers are heavy, and
# most runs need one of them. A higher version has documents read anew.
_BUILT_IN: dict[str, tuple[str, str]] = {
    mt.PLAIN: ("text/1", "ingest.loaders.text:load_text"),
    mt.MARKDOWN: ("markdown/1", "ingest.loaders.markdown:load_markdown"),
    mt.HTML: ("html/1", "ingest.loaders.html:load_html"),
    mt.PDF: ("pdf/1", "ingest.loaders.pdf:load_pdf"),
    mt.DOCX: ("docx/1", "ingest.loaders.docx:load_docx"),
}
# what holds other files: archives (no loader beside it), mails (a loader for the mail itself)
_UNPACKERS: dict[str, str] = {}
_registered: dict[str, Loader] = {}


def register(*media_types: str) -> Callable[[Loader], Loader]:
    """Decorator: the function loads these media types from now on, ours included."""

    def remember(loader: Loader) -> Loader:
        _registered.update(dict.fromkeys(media_types, loader))
        return loader

    return remember


def load(path: Path, *, uri: str | None = None) -> Document:
    """The document in the file at `path`; `uri` (by default the path) names it in errors and hits.

    Raises LoadError: missing, not a file, unreadable, empty, damaged, encrypted, not text;
    Unsupported where no loader takes it.
    """
    uri = path.as_posix() if uri is None else uri
    return load_bytes(_read(path, uri), uri=uri)


def load_bytes(data: bytes, *, uri: str, media_type: str | None = None) -> Document:
    """The document in `data`; its type is told by content and by the suffix of `uri`, or given."""
    if not data:
        raise LoadError(uri, "is empty")
    media_type = media_type or _plugin_type(uri) or detect_media_type(data, uri)
    parser, loader = _loader_of(media_type, uri)
    source = Source(uri, data, media_type, hashlib.sha256(data).hexdigest())
    try:
        document = loader(source)
    except LoadError:
        raise
    except Exception as exc:  # the seam to the parsers: whatever they raise is about this file
        reason = " ".join(str(exc).split())[:200] or type(exc).__name__
        raise LoadError(uri, f"cannot be read as {media_type}: {reason}") from exc
    if not document.text.strip():
        raise LoadError(uri, "holds no text")
    return replace(document, parser=document.parser or parser)


def parser_of(media_type: str) -> str:
    """Name and version of what would read this media type now; "" where nothing does."""
    if media_type in _registered:
        return _registered_name(_registered[media_type])
    return _BUILT_IN[media_type][0] if media_type in _BUILT_IN else plugins.parser_of(media_type)


def unpacker_of(media_type: str) -> Unpacker | None:
    """What takes files of this type apart, if they hold other files."""
    target = _UNPACKERS.get(media_type)
    return cast(Unpacker, _imported(target)) if target else None


def _read(path: Path, uri: str) -> bytes:
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise LoadError(uri, "is a folder, not a file")
        if not stat.S_ISREG(status.st_mode):
            raise LoadError(uri, "is not a regular file")
        if status.st_size > MAX_BYTES:
            raise LoadError(uri, f"is too large: {status.st_size:,} bytes of {MAX_BYTES:,} at most")
        return path.read_bytes()
    except FileNotFoundError as exc:
        raise LoadError(uri, "no such file") from exc
    except PermissionError as exc:
        raise LoadError(uri, "permission denied") from exc
    except (OSError, ValueError) as exc:  # ValueError: a NUL in the path
        reason = getattr(exc, "strerror", None) or str(exc)
        raise LoadError(uri, f"cannot be read: {reason}") from exc


def _loader_of(media_type: str, uri: str) -> tuple[str, Loader]:
    if media_type in _registered:
        loader = _registered[media_type]
        return _registered_name(loader), loader
    if media_type not in _BUILT_IN:
        if (plugin := plugins.loader_of(media_type)) is not None:
            return plugins.parser_of(media_type), cast(Loader, plugin)
        raise Unsupported(uri, f"no loader for {media_type}")
    parser, target = _BUILT_IN[media_type]
    return parser, cast(Loader, _imported(target))


def _plugin_type(uri: str) -> str:
    """The media type of a file whose suffix only another package knows; "" for all others."""
    suffix = PurePosixPath(uri).suffix.lower()
    return plugins.media_type_of(uri) if suffix and suffix not in supported_suffixes() else ""


def _registered_name(loader: Loader) -> str:
    return f"{loader.__module__}:{getattr(loader, '__qualname__', type(loader).__name__)}"


def _imported(target: str) -> object:
    module, _, function = target.partition(":")
    return getattr(import_module(module), function)
