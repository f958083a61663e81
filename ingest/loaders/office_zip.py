"""The inside of files that are ZIP archives of XML: OOXML, OpenDocument, EPUB, Visio.

Everything in them is hostile: sizes are checked before anything is unpacked, XML is read without
entities, DTD and network.
"""

from __future__ import annotations

import io
import posixpath
import re
import zipfile
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from lxml import etree

from ingest.documents import Scalar
from ingest.errors import LoadError

MAX_UNPACKED = 400_000_000  # bytes of XML; media do not count, they are never unpacked
MAX_RATIO = 200  # with more than 20 MB: real documents stay below 60
_RATIO_FLOOR = 20_000_000
MAX_MEMBER = 250_000_000
MAX_MEMBERS = 50_000
_WORKBOOKS = (".xls", ".xlsx", ".xlsm", ".xlsb")
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_STRICT = re.compile(rb"http://purl\.oclc\.org/ooxml/(wordprocessingml|officeDocument|drawingml"
                     rb"|spreadsheetml|presentationml)/")  # fmt: skip
_MEDIA = re.compile(r"(?i)\.(?:png|jpe?g|gif|bmp|tiff?|emf|wmf|svm|mp[34]|m4[av]|wav|avi|mov|wmv|"
                    r"webp|svg|ttf|otf|woff2?|odttf|bin|vml)\Z")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Relation:
    """One relationship of an OOXML part: the last word of its type, and where it points."""

    kind: str
    target: str
    external: bool = False


class OfficeZip:
    """The members of such an archive, by name. Use it as a context manager."""

    def __init__(self, data: bytes, uri: str) -> None:
        """Raises LoadError: damaged, encrypted, a bomb."""
        if data.startswith(OLE):
            encrypted = _ENCRYPTED in data
            raise LoadError(uri, "is password protected" if encrypted else "is damaged: no ZIP")
        try:
            self._archive = zipfile.ZipFile(io.BytesIO(data))
        except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as exc:
            raise LoadError(uri, "is damaged: an incomplete or broken ZIP container") from exc
        self._uri = uri
        self._infos = {info.filename.replace("\\", "/"): info for info in self._archive.infolist()}
        self._lower = {name.lower(): name for name in self._infos}
        _refuse_bomb(self._archive.infolist(), uri)

    def __enter__(self) -> OfficeZip:
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.close()

    @property
    def names(self) -> list[str]:
        """Names of all members, in their order in the archive."""
        return list(self._infos)

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._lower

    def read(self, name: str) -> bytes:
        """The bytes of a member; b"" where it is missing. Raises LoadError where it is damaged."""
        info = self._infos.get(self._lower.get(name.lower(), ""))
        if info is None:
            return b""
        if info.file_size > MAX_MEMBER:
            raise LoadError(self._uri, f"holds {name} of {info.file_size:,} bytes: refused")
        try:
            with self._archive.open(info) as member:
                return member.read(MAX_MEMBER)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as exc:
            raise LoadError(self._uri, f"is damaged: {name} inside cannot be unpacked") from exc

    def xml(self, name: str) -> Any | None:
        """Root element of a member without comments, entities and DTD; None where it is missing."""
        return parse_xml(transitional(self.read(name)))

    def relations(self, part: str) -> dict[str, Relation]:
        """The relationships of `part` ("" for those of the package), by id; targets are names."""
        folder, _, name = part.rpartition("/")
        root = self.xml(f"{folder}/_rels/{name}.rels" if folder else f"_rels/{name}.rels")
        return {
            relation.get("Id", ""): _relation(relation, folder)
            for relation in (root if root is not None else ())
            if relation.get("Target")
        }

    def main_part(self, default: str) -> str:
        """The name of the main document, wherever the package keeps it."""
        for relation in self.relations("").values():
            if relation.kind == "officeDocument" and relation.target in self:
                return relation.target
        return default

    def core_title(self) -> str:
        """What the properties of an OOXML file call it."""
        core = self.xml("docProps/core.xml")
        if core is None:
            return ""
        return core.findtext("{http://purl.org/dc/elements/1.1/}title") or ""


def lost_tables(archive: OfficeZip, told: Collection[str]) -> dict[str, Scalar]:
    """The figure `tables_lost`: workbooks in a document or on a slide that are not among those
    `told` in its text, nor behind a chart: charts tell their values."""
    embedded = [
        name
        for name in archive.names
        if "/embeddings/" in name and name.lower().endswith(_WORKBOOKS)
    ]
    charts = [name for name in archive.names if "/charts/" in name and name.endswith(".xml")]
    charted = {
        relation.target
        for chart in (charts if embedded else ())
        for relation in archive.relations(chart).values()
    }
    lost = sum(name not in charted and name not in told for name in embedded)
    return {"tables_lost": lost} if lost else {}


def parse_xml(markup: bytes) -> Any | None:
    """Root element of `markup`, damaged or not; None where there is none. No entities, no DTD."""
    if not markup.strip():
        return None
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, recover=True,
        remove_comments=True, remove_pis=True, huge_tree=False,
    )  # fmt: skip
    try:
        root = etree.fromstring(markup, parser)
    except etree.XMLSyntaxError:
        return None
    if root is not None:
        etree.strip_tags(root, etree.Entity)
    return root


def iterate_xml(markup: bytes, *tags: str) -> Iterator[Any]:
    """The elements with these local names, one at a time, so that large parts stay cheap."""
    events = etree.iterparse(
        io.BytesIO(transitional(markup)), events=("end",), tag=[f"{{*}}{tag}" for tag in tags],
        resolve_entities=False, no_network=True, load_dtd=False, recover=True,
        remove_comments=True, remove_pis=True, huge_tree=False,
    )  # fmt: skip
    try:
        for _, element in events:
            yield element
            element.clear()
            while (before := element.getprevious()) is not None:
                before.getparent().remove(before)
    except etree.XMLSyntaxError:
        return  # what came before the damage counts


def local_name(element: Any) -> str:
    """`p` of `{namespace}p`; "" for what is no element."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def transitional(markup: bytes) -> bytes:
    """Strict OOXML in the namespaces of the transitional one."""
    return _STRICT.sub(_renamed, markup) if b"purl.oclc.org" in markup[:20_000] else markup


def _renamed(match: re.Match[bytes]) -> bytes:
    """Strict namespaces end in the word, transitional ones carry 2006 and `main`."""
    return b"http://schemas.openxmlformats.org/" + match[1] + b"/2006/"


def _relation(relation: Any, folder: str) -> Relation:
    kind = str(relation.get("Type", "")).rpartition("/")[2]
    target = str(relation.get("Target", ""))
    if relation.get("TargetMode") == "External":
        return Relation(kind, target, external=True)
    target = unquote(target).replace("\\", "/")
    name = target.lstrip("/") if target.startswith("/") else posixpath.join(folder, target)
    return Relation(kind, posixpath.normpath(name))


def _refuse_bomb(members: list[zipfile.ZipInfo], uri: str) -> None:
    if any(member.flag_bits & 1 for member in members):
        raise LoadError(uri, "is password protected")
    if len(members) > MAX_MEMBERS:
        raise LoadError(uri, f"holds {len(members):,} members: refused as a bomb")
    parts = [member for member in members if not _MEDIA.search(member.filename)]
    unpacked = sum(member.file_size for member in parts)
    packed = max(sum(member.compress_size for member in parts), 1)
    if unpacked > MAX_UNPACKED or (unpacked > _RATIO_FLOOR and unpacked / packed > MAX_RATIO):
        raise LoadError(uri, f"unpacks to {unpacked:,} bytes from {packed:,}: refused as a bomb")
