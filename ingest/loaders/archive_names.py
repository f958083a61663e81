"""Names of archive members: what they say, and paths that stay inside the archive."""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from ingest.loaders.frequent import plausibility
from ingest.walking import is_passed_over

_UTF8_FLAG = 0x800
_UNICODE_PATH = 0x7075  # extra field of Info-ZIP: the name in UTF-8
_ENCODINGS = ("utf-8", "gb18030", "cp932", "big5hkscs", "cp949", "cp1252")
_MAX_LENGTH = 1000  # characters of a path
_DRIVE = re.compile(r"[A-Za-z]:")
_UNPRINTABLE = re.compile("[\0-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a member lies: its path inside the archive, and the reason if it is refused."""

    path: str
    reason: str = ""


class Names:
    """The names of one archive, told apart."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def place(self, name: str) -> Place | None:
        """Where the member called `name` lies; None for what a walk of a folder skips as well.

        A leading `/` or drive is dropped, `\\` separates folders. The second of a name becomes
        `name (2).suffix`. A name that leads out with `..` is refused.
        """
        name = name.encode("utf-8", "backslashreplace").decode()
        plain = _UNPRINTABLE.sub("_", _DRIVE.sub("", name.replace("\\", "/"), count=1))
        parts = [part for part in plain.split("/") if part not in ("", ".")]
        inside = [part for part in parts if part != ".."]
        if any(map(is_passed_over, inside)):
            return None
        reason = ""
        if len(inside) < len(parts) or not inside:
            reason = f"its path leads out of the archive: {name[:200]}"
        path = "/".join(inside) or "unnamed"
        if len(path) > _MAX_LENGTH:
            path, reason = path[:_MAX_LENGTH], f"its path is longer than {_MAX_LENGTH} characters"
        return Place(self._free(path), reason)

    def _free(self, path: str) -> str:
        folder, slash, name = path.rpartition("/")
        stem, dot, suffix = name.rpartition(".")
        if not stem:
            stem, dot, suffix = name, "", ""
        free, number = path, 1
        while free in self._taken:
            number += 1
            free = f"{folder}{slash}{stem} ({number}){dot}{suffix}"
        self._taken.add(free)
        return free


def legacy_names(infos: Sequence[zipfile.ZipInfo]) -> list[str]:
    """Names of the members of a ZIP archive; those without the mark of UTF-8 in their encoding.

    Windows writes them in that of its language (Shift-JIS, GBK), and zipfile takes all for cp437.
    """
    raw = [_raw_name(info) for info in infos]
    foreign = b"\n".join(name for name in raw if name and not name.isascii())
    encoding = _encoding_of(foreign) if foreign else "ascii"
    names = []
    for info, name in zip(infos, raw, strict=True):
        told = _unicode_path(info, name) if name else ""
        names.append(told or (name.decode(encoding, "replace") if name else info.filename))
    return names


def _raw_name(info: zipfile.ZipInfo) -> bytes:
    """The bytes of a name that is in an encoding not told; b"" where it is UTF-8."""
    if info.flag_bits & _UTF8_FLAG:
        return b""
    try:
        return info.orig_filename.partition("\0")[0].encode("cp437")
    except UnicodeEncodeError:
        return b""


def _encoding_of(names: bytes) -> str:
    sure = _decoded(names, "utf-8")
    if sure is not None:
        return "utf-8"
    best, most = "cp437", 0.05
    for encoding in _ENCODINGS:
        text = _decoded(names, encoding)
        score = plausibility(text, encoding) if text else 0.0
        if score > most:
            best, most = encoding, score
    return best


def _decoded(names: bytes, encoding: str) -> str | None:
    try:
        return names.decode(encoding)
    except UnicodeDecodeError:
        return None


def _unicode_path(info: zipfile.ZipInfo, name: bytes) -> str:
    """The name in UTF-8 from the extra field, if it belongs to this name."""
    extra = info.extra
    while len(extra) >= 4:
        kind, length = struct.unpack("<HH", extra[:4])
        field, extra = extra[4 : 4 + length], extra[4 + length :]
        if kind == _UNICODE_PATH and len(field) > 5 and field[0] == 1:
            (checksum,) = struct.unpack("<I", field[1:5])
            if checksum == zlib.crc32(name):
                return _decoded(field[5:], "utf-8") or ""
    return ""
