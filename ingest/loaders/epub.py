"""E-books (.epub): the chapters in the order of the spine, each read as an HTML page."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from ingest.documents import Document, Scalar
from ingest.errors import LoadError
from ingest.loaders.blocks import Block, around_headings, headed, join_blocks
from ingest.loaders.encoding import normalise
from ingest.loaders.html import page_blocks, parse_page
from ingest.loaders.office_zip import OfficeZip
from ingest.loaders.registry import Source
from ingest.loaders.sections import sections_at, sensible_title, title_of

# XHTML may close any element in its own tag; an HTML parser reads <title/> as an open one
_SELF_CLOSED = re.compile(
    r"<(?!(?:area|base|br|col|embed|hr|img|input|link|meta|source|track|wbr)\b)"
    r"([a-zA-Z][\w.-]*)([^<>]*)/>"
)
_FONTS = re.compile(r"(?i)\.(?:ttf|otf|woff2?|ttc)\Z")
_MAX_CHAPTERS = 5_000


def load_epub(source: Source) -> Document:
    """A book: its chapters without the table of contents; those without a heading get its entry."""
    with OfficeZip(source.data, source.uri) as archive:
        package = _package_part(archive)
        root = archive.xml(package)
        if root is None:
            raise LoadError(source.uri, "is damaged: no OPF package inside")
        _refuse_encrypted(archive, source.uri)
        labels = _labels(archive, root, package)
        parts = _spine(root, package)
        blocks = [block for part in parts for block in _chapter(archive, part, labels, source)]
    text, starts = join_blocks(blocks)
    sections = sections_at(starts, len(text))
    facts: dict[str, Scalar] = {key: value for key, value in _facts(root) if value}
    named = sensible_title(str(facts.pop("title", "")))
    return Document(
        uri=source.uri,
        sha256=source.sha256,
        text=text,
        title=named or title_of(sections) or source.stem,
        media_type=source.media_type,
        sections=sections,
        metadata=facts,
    )


def _package_part(archive: OfficeZip) -> str:
    container = archive.xml("META-INF/container.xml")
    for rootfile in container.iter("{*}rootfile") if container is not None else ():
        part = posixpath.normpath(unquote(rootfile.get("full-path", "")))
        if part in archive:
            return part
    return next((name for name in archive.names if name.lower().endswith(".opf")), "")


def _refuse_encrypted(archive: OfficeZip, uri: str) -> None:
    """Fonts are often obfuscated, which does not matter; an encrypted chapter does."""
    encryption = archive.xml("META-INF/encryption.xml")
    for reference in encryption.iter("{*}CipherReference") if encryption is not None else ():
        if not _FONTS.search(reference.get("URI", "")):
            raise LoadError(uri, "is protected by DRM")


def _items(root: Any, package: str) -> dict[str, tuple[str, Any]]:
    """(name of the part, manifest entry) by id."""
    folder = posixpath.dirname(package)
    return {
        item.get("id", ""): (_joined(folder, item.get("href", "")), item)
        for item in root.iterfind("{*}manifest/{*}item")
    }


def _spine(root: Any, package: str) -> list[str]:
    items = _items(root, package)
    references = [r.get("idref", "") for r in root.iterfind("{*}spine/{*}itemref")]
    found = [items[i] for i in references if i in items]
    kept = [part for part, item in found if "nav" not in item.get("properties", "").split()]
    return list(dict.fromkeys(kept))[:_MAX_CHAPTERS]


def _labels(archive: OfficeZip, root: Any, package: str) -> dict[str, str]:
    """Entry of the table of contents by part."""
    labels: dict[str, str] = {}
    for part, item in _items(root, package).values():
        ncx = item.get("media-type", "") == "application/x-dtbncx+xml"
        if not ncx and "nav" not in item.get("properties", "").split():
            continue
        contents = archive.xml(part)
        for target, label in _entries(contents) if contents is not None else ():
            labels.setdefault(_joined(posixpath.dirname(part), target), label)
    return labels


def _entries(contents: Any) -> Iterator[tuple[str, str]]:
    for point in contents.iter("{*}navPoint"):
        target = point.find("{*}content")
        label = " ".join((point.findtext("{*}navLabel/{*}text") or "").split())
        if target is not None and label:
            yield target.get("src", ""), label
    for link in contents.iter("{*}a"):
        if label := " ".join("".join(link.itertext()).split()):
            yield link.get("href", ""), label


def _joined(folder: str, target: str) -> str:
    return posixpath.normpath(posixpath.join(folder, unquote(target.partition("#")[0])))


def _chapter(archive: OfficeZip, part: str, labels: dict[str, str], source: Source) -> list[Block]:
    markup = archive.read(part)
    if not markup.strip():
        return []
    page = Source(part, _opened(markup), "text/html", source.sha256)
    tree = parse_page(page)[1]
    for aside in tree.css("aside"):  # what stands beside a page's text is part of a book's
        aside.attrs["role"] = "note"
    blocks = page_blocks(tree)
    label = normalise(labels.get(part, ""))
    if blocks and label and not _is_headed(blocks):
        first, *rest = blocks
        if not first.text.startswith(label):
            rest, first = blocks, headed(2, label)
        else:
            first = replace(first, text=f"## {first.text}", is_heading=True)
        blocks = [first, *rest]
    return list(around_headings(blocks))


def _is_headed(blocks: list[Block]) -> bool:
    """True where a heading stands near the start."""
    return any(block.is_heading and start < 2000 for start, block in join_blocks(blocks)[1])


def _opened(markup: bytes) -> bytes:
    """XHTML as HTML: an element closed in its own tag gets an end tag."""
    if b"\0" in markup[:100]:
        return markup
    text = markup.decode("latin-1")  # any byte survives, and the tags are ASCII
    return _SELF_CLOSED.sub(r"<\1\2></\1>", text).encode("latin-1")


def _facts(root: Any) -> Iterator[tuple[str, str]]:
    metadata = root.find("{*}metadata")
    if metadata is None:
        return
    for name, key in (("title", "title"), ("creator", "author"), ("language", "language")):
        found = next(metadata.iter(f"{{*}}{name}"), None)
        yield (
            key,
            normalise(" ".join("".join(found.itertext()).split())) if found is not None else "",
        )
