"""What kind of file it is: the content decides, the suffix only where the content is just text."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import PurePosixPath

from ingest.errors import LoadError, Unsupported
from ingest.loaders.media_types import DOCX

_TEXT = (
    ".txt .text .log .rst .csv .tsv .json .jsonl .yaml .yml .toml .ini .cfg .conf .properties .org"
    " .adoc .tex .srt .py .js .ts .java .go .rs .c .h .cpp .cs .rb .php .sh .sql .css"
)
_BY_SUFFIX = {
    **dict.fromkeys(_TEXT.split(), "text/plain"),
    **dict.fromkeys((".md", ".markdown"), "text/markdown"),
    **dict.fromkeys((".html", ".htm", ".xhtml"), "text/html"),
    ".docx": DOCX,
    ".pdf": "application/pdf",
}
_MAGIC = (  # (offset, bytes, what people call it)
    (0, b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (0, b"\xff\xd8\xff", "a JPEG image"),
    (0, b"GIF87a", "a GIF image"),
    (0, b"GIF89a", "a GIF image"),
    (0, b"II*\0", "a TIFF image"),
    (0, b"MM\0*", "a TIFF image"),
    (8, b"WEBP", "a WebP image"),
    (4, b"ftyphei", "a HEIC image"),
    (4, b"ftyp", "an MP4 file"),
    (0, b"RIFF", "a RIFF file (audio, video)"),
    (0, b"OggS", "an Ogg file"),
    (0, b"ID3", "an MP3 file"),
    (0, b"fLaC", "a FLAC file"),
    (0, b"\x1aE\xdf\xa3", "a Matroska video"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"BZh", "a bzip2 archive"),
    (0, b"\xfd7zXZ\0", "an xz archive"),
    (0, b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (0, b"Rar!\x1a", "a RAR archive"),
    (257, b"ustar", "a tar archive"),
    (0, b"\x7fELF", "a Linux program"),
    (0, b"MZ\x90", "a Windows program"),
    (0, b"\xca\xfe\xba\xbe", "a Java class or macOS program"),
    (0, b"\xcf\xfa\xed\xfe", "a macOS program"),
    (0, b"SQLite format 3\0", "an SQLite database"),
    (0, b"{\\rtf", "an RTF document"),
    (0, b"%!PS", "a PostScript document"),
    (0, b"ITSF", "a CHM help file"),
)
_ZIPS = (  # (start of a member's name, what it is)
    ("xl/", "an Excel workbook"),
    ("ppt/", "a PowerPoint presentation"),
    ("visio/", "a Visio drawing"),
    ("META-INF/container.xml", "an EPUB book"),
    ("META-INF/MANIFEST.MF", "a Java archive"),
    ("content.xml", "an OpenDocument file"),
)
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_HTML = re.compile(
    rb"(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff)?\s*(?:<\?xml[^>]{0,200}\?>\s*)?(?:<!--.*?-->\s*)*"
    rb"<(?:!doctype\s+html|html)[\s>]",
    re.I | re.S,
)


def supported_suffixes() -> frozenset[str]:
    """Lower-case suffixes, dot included, of the files worth trying.

    A file without a suffix (README) is loaded as text when it is asked for by name.
    """
    return frozenset(_BY_SUFFIX)


def detect_media_type(data: bytes, name: str) -> str:
    """Media type of `data`, whose file is called `name`.

    Raises Unsupported for kinds without a loader (the reason says what the content looks like),
    LoadError for a password-protected Office file.
    """
    suffix = PurePosixPath(name).suffix.lower()
    if data[:1024].lstrip().startswith(b"%PDF-") or (suffix == ".pdf" and b"%PDF-" in data[:1024]):
        return "application/pdf"
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip_type(data, name, suffix)
    if data.startswith(_OLE):
        raise _ole_error(data, name)
    for offset, magic, kind in _MAGIC:
        if data.startswith(magic, offset):
            raise Unsupported(name, f"looks like {kind}, which no loader takes")
    if suffix != ".md" and _HTML.match(data[:8192].replace(b"\0", b"")):
        return "text/html"
    if not suffix:
        return "text/plain"
    if suffix not in _BY_SUFFIX:
        raise Unsupported(name, f"no loader for {suffix} files")
    return _BY_SUFFIX[suffix]


def _zip_type(data: bytes, name: str, suffix: str) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as exc:
        if suffix in _BY_SUFFIX:
            raise LoadError(name, "is damaged: an incomplete or broken ZIP container") from exc
        raise Unsupported(name, "looks like a damaged ZIP archive") from exc
    if any(member.startswith("word/") for member in members):
        return DOCX
    for start, kind in _ZIPS:
        if any(member.startswith(start) for member in members):
            raise Unsupported(name, f"looks like {kind}, which no loader takes")
    raise Unsupported(name, "looks like a ZIP archive, which no loader takes")


def _ole_error(data: bytes, name: str) -> LoadError:
    if "EncryptedPackage".encode("utf-16-le") in data:
        return LoadError(name, "is password protected")
    return Unsupported(name, "looks like an old Office file (.doc, .xls, .ppt, .msg)")
