"""Which loader takes which media type, and the two ways in: a path, or bytes."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import cast

from ingest.documents import Document
from ingest.errors import LoadError, Unsupported
from ingest.loaders.detection import detect_media_type

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


Loader = Callable[[Source], Document]

_BUILT_IN = {  # imported on first use: parsers are heavy, and most runs need one of them
    "text/plain": "ingest.loaders.text:load_text",
    "text/markdown": "ingest.loaders.markdown:load_markdown",
    "text/html": "ingest.loaders.html:load_html",
    "application/pdf": "ingest.loaders.pdf:load_pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": (
        "ingest.loaders.docx:load_docx"
    ),
}
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
    media_type = media_type or detect_media_type(data, uri)
    loader = _loader_of(media_type, uri)
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
    return document


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


def _loader_of(media_type: str, uri: str) -> Loader:
    if media_type in _registered:
        return _registered[media_type]
    if media_type not in _BUILT_IN:
        raise Unsupported(uri, f"no loader for {media_type}")
    module, _, function = _BUILT_IN[media_type].partition(":")
    return cast(Loader, getattr(import_module(module), function))
