"""ZIP and OLE containers: which document they are, told by what they hold."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Collection
from importlib import import_module
from typing import Any

from ingest.errors import LoadError, Unsupported
from ingest.loaders import media_types as mt

OLE_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_MAX_PART = 1 << 20  # bytes read of a part that tells the type
PASSWORD = "is password protected: save a copy without the password"

# what [Content_Types].xml calls the main part -> type, or what it is where nothing reads it
_MAIN_PARTS = (
    (b"wordprocessingml.", mt.DOCX),
    (b"ms-word.", mt.DOCX),
    (b"presentationml.", mt.PPTX),
    (b"ms-powerpoint.", mt.PPTX),
    (b"ms-excel.sheet.binary", mt.XLSB),
    (b"spreadsheetml.", mt.XLSX),
    (b"ms-excel.", mt.XLSX),
    (b"ms-visio.", mt.VSDX),
    (b"fixeddocument", "an XPS document"),
    (b"ms-package.xps", "an XPS document"),
)
_FOLDERS = (  # where the main part lies, for packages whose list of types is missing or damaged
    ("word/document", mt.DOCX),
    ("ppt/presentation", mt.PPTX),
    ("xl/workbook.bin", mt.XLSB),
    ("xl/workbook", mt.XLSX),
    ("visio/", mt.VSDX),
    ("meta-inf/container.xml", mt.EPUB),
    ("index/document.iwa", "an Apple Pages, Numbers or Keynote document"),
    ("index.apxl", "an Apple Keynote document"),
    ("androidmanifest.xml", "an Android app"),
    ("meta-inf/manifest.mf", "a Java archive"),
    ("fixeddocseq.fdseq", "an XPS document"),
)
_MIMETYPES = {
    b"application/vnd.oasis.opendocument.text": mt.ODT,
    b"application/vnd.oasis.opendocument.spreadsheet": mt.ODS,
    b"application/vnd.oasis.opendocument.presentation": mt.ODP,
    b"application/epub+zip": mt.EPUB,
    b"application/hwp+zip": "a Hangul document (HWPX)",
    b"application/vnd.sun.xml": "an OpenOffice 1 document",
    b"application/vnd.oasis.opendocument": "an OpenDocument drawing, chart, formula or database",
}
_STREAMS = (
    ("worddocument", mt.DOC),
    ("powerpoint document", mt.PPT),
    ("workbook", mt.XLS),
    ("book", mt.XLS),
    ("__properties_version1.0", mt.MSG),
    ("bodytext", "a Hangul document (HWP)"),
    ("visiodocument", "a Visio drawing"),
    ("quill", "a Publisher document"),
)
_FILEPASS = 0x2F  # BIFF record: what follows is encrypted
_BOFS = (0x0009, 0x0209, 0x0409, 0x0809)


def zip_type(data: bytes, name: str) -> str:
    """Type of a ZIP container: the document that it is, or `mt.ZIP` for an archive of files."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            kind = _package_type(archive, name)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as exc:
        raise LoadError(name, "is damaged: an incomplete or broken ZIP container") from exc
    return _known(kind, name)


def _package_type(archive: zipfile.ZipFile, name: str) -> str:
    names = {info.filename.replace("\\", "/").lower(): info for info in archive.infolist()}
    if "mimetype" in names:
        said = _part(archive, names["mimetype"]).strip()
        kind = next((kind for mime, kind in _MIMETYPES.items() if said.startswith(mime)), "")
        if kind:
            return _unless_encrypted(archive, names, kind, name)
    if "[content_types].xml" in names:
        types = _part(archive, names["[content_types].xml"])
        main = types.partition(b".main+xml")[0] if b".main+xml" in types else types
        for parts in (main.rpartition(b"<")[2], types):
            for mark, kind in _MAIN_PARTS:
                if mark in parts:
                    return kind
    elif "content.xml" in names and "meta-inf/manifest.xml" in names:
        manifest = _part(archive, names["meta-inf/manifest.xml"])
        kind = next((kind for mime, kind in _MIMETYPES.items() if b'"' + mime in manifest), "")
        if kind:
            return _unless_encrypted(archive, names, kind, name)
    return next((kind for path, kind in _FOLDERS if _has(names, path)), mt.ZIP)


def _unless_encrypted(
    archive: zipfile.ZipFile, names: dict[str, zipfile.ZipInfo], kind: str, name: str
) -> str:
    manifest = names.get("meta-inf/manifest.xml")
    if manifest is not None and b"encryption-data" in _part(archive, manifest):
        raise LoadError(name, PASSWORD)
    return kind


def _has(names: Collection[str], path: str) -> bool:
    return any(name.startswith(path) for name in names)


def _part(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """The beginning of a part; nothing of one that is damaged or encrypted."""
    try:
        with archive.open(info) as file:
            return file.read(_MAX_PART)
    except (zipfile.BadZipFile, zlib.error, RuntimeError, OSError, ValueError, EOFError):
        return b""


def ole_type(data: bytes, name: str) -> str:
    """Type of an OLE container (the old Office formats, Outlook's .msg), by its streams."""
    streams = _streams(data)
    if "encryptedpackage" in streams:
        raise LoadError(name, PASSWORD)
    for stream, kind in _STREAMS:
        if stream in streams:
            if _is_encrypted(kind, streams, streams[stream]):
                raise LoadError(name, PASSWORD)
            return _known(kind, name)
    raise Unsupported(name, "looks like an old Office file (OLE) of no kind that a loader takes")


def _streams(data: bytes) -> dict[str, bytes]:
    """Beginnings of the streams at the top of an OLE file by lower-case name.

    Of a damaged one, the names that stand somewhere in it.
    """
    olefile: Any = import_module("olefile")  # has no types
    try:
        with olefile.OleFileIO(io.BytesIO(data)) as ole:
            return {
                path[0].lower(): ole.openstream(path).read(4096) if len(path) == 1 else b""
                for path in ole.listdir()
            }
    except Exception:  # noqa: BLE001 - olefile raises what it meets; the names are enough
        wanted = ("EncryptedPackage", "WordDocument", "PowerPoint Document", "Workbook", "Book")
        found = [word for word in wanted if word.encode("utf-16-le") in data]
        return {word.lower(): b"" for word in found}


def _is_encrypted(kind: str, streams: Collection[str], start: bytes) -> bool:
    if kind == mt.DOC:
        return len(start) > 12 and bool(start[11] & 1)  # fEncrypted in the header of the file
    if kind == mt.PPT:
        return "encryptedsummary" in streams
    return kind == mt.XLS and _has_filepass(start)


def _has_filepass(start: bytes) -> bool:
    """Whether a workbook begins with the record that says that the rest is encrypted."""
    position = 0
    while position + 4 <= len(start):
        record = int.from_bytes(start[position : position + 2], "little")
        if record == _FILEPASS:
            return True
        if position == 0 and record not in _BOFS:
            return False
        position += 4 + int.from_bytes(start[position + 2 : position + 4], "little")
    return False


def _known(kind: str, name: str) -> str:
    if "/" in kind:
        return kind
    raise Unsupported(name, f"looks like {kind}, which no loader takes")
