"""Which loader takes which media type, and the two ways in: a path, or bytes."""

from __future__ import annotations

import hashlib
import os
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
from ingest.loaders.detection import BINARY, detect_media_type, supported_suffixes

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
    """A file inside another: `path` in it, and its bytes, or the `reason` why it was left out.

    `inline`: shown within the text of a mail; an image there may well be a logo without words.
    """

    path: str
    data: bytes | None = None
    reason: str = ""
    inline: bool = False


Loader = Callable[[Source], Document]
Unpacker = Callable[[Source], Iterator[Member]]

_OFFICE = "ingest.loaders.extractors:load_office"  # which has a table of its own

# media type -> (parser and its version, where it is); imported on first use: parsers are heavy, and
# most runs need one of them. A higher version has documents read anew.
_BUILT_IN: dict[str, tuple[str, str]] = {
    mt.PLAIN: ("text/3", "ingest.loaders.text:load_text"),
    mt.MARKDOWN: ("markdown/5", "ingest.loaders.markdown:load_markdown"),
    **dict.fromkeys(
        (mt.RST, mt.ORG, mt.ASCIIDOC, mt.TEX), ("markup/2", "ingest.loaders.markup:load_markup")
    ),
    **dict.fromkeys((mt.CSV, mt.TSV), ("tabular/3", "ingest.loaders.tabular:load_csv")),
    **dict.fromkeys(
        (mt.JSON, mt.JSONL, mt.YAML), ("records/2", "ingest.loaders.records:load_records")
    ),
    **dict.fromkeys((mt.VTT, mt.SRT), ("subtitles/1", "ingest.loaders.subtitles:load_subtitles")),
    mt.XML: ("xml/2", "ingest.loaders.xml:load_xml"),
    **dict.fromkeys(
        (f"text/x-{language}" for language in mt.SOURCE_CODE),
        ("code/2", "ingest.loaders.code:load_code"),
    ),
    mt.HTML: ("html/4", "ingest.loaders.html:load_html"),
    mt.PDF: ("pdf/5", "ingest.loaders.pdf:load_pdf"),
    mt.DOCX: ("docx/6", _OFFICE),
    mt.PPTX: ("pptx/4", _OFFICE),
    **dict.fromkeys(
        (mt.ODT, mt.ODP, mt.ODS, mt.FLAT_OPEN),
        ("opendocument/5", _OFFICE),
    ),
    mt.EPUB: ("epub/4", _OFFICE),
    mt.IPYNB: ("ipynb/3", _OFFICE),
    mt.ICS: ("ics/2", _OFFICE),
    mt.FB2: ("fb2/2", _OFFICE),
    mt.VSDX: ("vsdx/2", _OFFICE),
    mt.RTF: ("rtf/3", _OFFICE),
    mt.DOC: ("doc/2", _OFFICE),
    mt.PPT: ("ppt/2", _OFFICE),
    mt.MSG: ("msg/3", _OFFICE),
    mt.XLSX: ("xlsx/6", _OFFICE),
    mt.XLS: ("xls/4", _OFFICE),
    mt.EML: ("eml/4", _OFFICE),
    mt.MHTML: ("mhtml/4", _OFFICE),
    mt.XLSB: ("xlsb/4", _OFFICE),
    **dict.fromkeys(mt.IMAGES, ("image/2", "ingest.loaders.image:load_image")),
}
# what holds other files: archives (no loader beside it), mails (a loader for the mail itself)
_UNPACKERS: dict[str, str] = {
    mt.ZIP: "ingest.loaders.archive:unpack_zip",
    mt.TAR: "ingest.loaders.archive:unpack_tar",
    mt.SEVEN_ZIP: "ingest.loaders.archive_seven_zip:unpack_seven_zip",
    **dict.fromkeys(
        (mt.GZIP, mt.BZIP2, mt.XZ, mt.ZSTD), "ingest.loaders.archive:unpack_compressed"
    ),
    mt.EML: "ingest.loaders.mail:unpack_eml",
    mt.MSG: "ingest.loaders.msg:unpack_msg",
    mt.MBOX: "ingest.loaders.mail:unpack_mbox",
    mt.PDF: "ingest.loaders.pdf_attachments:unpack_pdf",
}
_registered: dict[str, Loader] = {}


def register(*media_types: str) -> Callable[[Loader], Loader]:
    """Decorator: the function loads these media types from now on, ours included."""

    def remember(loader: Loader) -> Loader:
        _registered.update(dict.fromkeys(media_types, loader))
        return loader

    return remember


def load(path: str | os.PathLike[str], *, uri: str | None = None) -> Document:
    """The document in the file at `path`; `uri` (by default the path) names it in errors and hits.

    Raises LoadError: missing, not a file, unreadable, empty, damaged, encrypted, not text;
    Unsupported where no loader takes it.
    """
    path = Path(path)
    uri = path.as_posix() if uri is None else uri
    return load_bytes(read_file(path, uri), uri=uri)


def load_bytes(data: bytes, *, uri: str, media_type: str | None = None) -> Document:
    """The document in `data`; its type is told by content and by the suffix of `uri`, or given."""
    if not data:
        raise LoadError(uri, "is empty")
    media_type = media_type or media_type_of(data, uri)
    parser, loader = _loader_of(media_type, uri)
    source = Source(uri, data, media_type, hashlib.sha256(data).hexdigest())
    try:
        document = loader(source)
    except LoadError:
        raise
    except MemoryError as exc:
        raise LoadError(uri, "needs more memory than there is") from exc
    except Exception as exc:  # the seam to the parsers: whatever they raise is about this file
        reason = " ".join(str(exc).split())[:200] or type(exc).__name__
        raise LoadError(uri, f"cannot be read as {media_type}: {reason}") from exc
    if not document.text.strip():
        raise LoadError(uri, "holds no text")
    return replace(document, parser=document.parser or parser)


def media_type_of(data: bytes, uri: str) -> str:
    """Media type by content and name; that of another package for a suffix only it knows.

    Raises what `detect_media_type` raises.
    """
    suffix = PurePosixPath(uri).suffix.lower()
    foreign = plugins.media_type_of(uri) if suffix and suffix not in supported_suffixes() else ""
    return foreign or detect_media_type(data, uri)


def parser_of(media_type: str) -> str:
    """Name and version of what would read this media type now; "" where nothing does."""
    if media_type in _registered:
        return _registered_name(_registered[media_type])
    known = _built_in(media_type)
    return known[0] if known else plugins.parser_of(media_type)


def has_loader(media_type: str) -> bool:
    """Whether a file of this type is a document itself (an archive only holds some)."""
    here = media_type in _registered or _built_in(media_type) is not None
    return here or bool(plugins.parser_of(media_type))


def registered() -> dict[str, Loader]:
    """The loaders that were registered at run time, by media type."""
    return dict(_registered)


def unpacker_of(media_type: str) -> Unpacker | None:
    """What takes files of this type apart, if they hold other files."""
    target = _UNPACKERS.get(media_type)
    return cast(Unpacker, _imported(target)) if target else None


def read_file(path: Path, uri: str) -> bytes:
    """All bytes of the file; raises LoadError with the reason where that cannot be."""
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
    known = _built_in(media_type)
    if known is None and (plugin := plugins.loader_of(media_type)) is not None:
        return plugins.parser_of(media_type), cast(Loader, plugin)
    if known is None and media_type in _UNPACKERS:
        raise Unsupported(uri, "is an archive: `sync_folder` and `kbqa ingest` read what is in it")
    if known is None:
        raise Unsupported(uri, f"no loader for {media_type}")
    parser, target = known
    return parser, cast(Loader, _imported(target))


def _built_in(media_type: str) -> tuple[str, str] | None:
    """A kind of text that has neither a loader nor an unpacker is loaded as plain text."""
    own = BINARY | _UNPACKERS.keys()
    text = media_type in mt.BY_SUFFIX.values() and media_type not in own
    return _BUILT_IN.get(media_type) or (_BUILT_IN[mt.PLAIN] if text else None)


def _registered_name(loader: Loader) -> str:
    return f"{loader.__module__}:{getattr(loader, '__qualname__', type(loader).__name__)}"


def _imported(target: str) -> object:
    module, _, function = target.partition(":")
    return getattr(import_module(module), function)
