"""The inside of a .docx file, made safe and plain before a parser sees it.

Only the text, the styles and the numbering go on, in a package built anew: no images, macros,
embedded files or external targets. Strict OOXML becomes transitional. What python-docx (and so
unstructured) passes over is put where it looks: content controls, insertions, smart tags, links,
equations, text boxes. What the author deleted is gone.
"""

from __future__ import annotations

import io
import posixpath
import zipfile
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from lxml import etree

from ingest.documents import Document, Scalar
from ingest.errors import LoadError
from ingest.loaders.docx_cleaning import W, clean, hidden_styles, mark_page_breaks, text_of
from ingest.loaders.docx_inside import pages_inside, spell_graphics
from ingest.loaders.office_zip import OfficeZip, Relation, local_name, lost_tables

_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
_MIME = "application/vnd.openxmlformats-officedocument.wordprocessingml"
_XML_LANG = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'

_NOTES = (("footnotes", "footnote"), ("endnotes", "endnote"), ("comments", "comment"))


@dataclass(frozen=True, slots=True)
class Package:
    """A cleaned document: `body` for reading it ourselves, `data` for unstructured.

    `pages` are documents inside of it by relation, `notes` the texts of footnotes,
    endnotes and comments, `running` those of headers and footers, each once; `title` is what the
    properties say. `lost` is what was not read: see `lost_tables`; `parts_lost` counts charts,
    diagrams and documents inside.
    """

    body: Any
    styles: Any | None
    numbering: Any | None
    data: bytes
    notes: tuple[str, ...]
    running: tuple[str, ...]
    pages: Mapping[str, Document | None]
    title: str
    lost: Mapping[str, Scalar]


def open_package(data: bytes, uri: str) -> Package:
    """The cleaned package. Raises LoadError for a bomb or a file without a document inside."""
    with OfficeZip(data, uri) as archive:
        main = archive.main_part("word/document.xml")
        document = archive.xml(main)
        if document is None:
            raise LoadError(uri, "is damaged: no word/document.xml inside")
        folder = posixpath.dirname(main)
        parts = {name: archive.xml(posixpath.join(folder, f"{name}.xml")) for name in _PARTS}
        title = archive.core_title()
        hidden = hidden_styles(parts["styles"])
        notes = tuple(_notes(archive, folder, hidden))
        relations = archive.relations(main)
        running = tuple(dict.fromkeys(_running(archive, relations, hidden)))
        pages = pages_inside(archive, document, relations)
        told = {relations[identity].target for identity, page in pages.items() if page is not None}
        lost = lost_tables(archive, told)
        parts_lost = spell_graphics(archive, document, relations)
        parts_lost += sum(page is None for page in pages.values())
    body = document.find(f"{W}body")
    if body is None:
        raise LoadError(uri, "is damaged: its document has no body")
    _name_images(document, relations)
    clean(document, hidden)
    mark_page_breaks(document)
    data = _repack(document, parts)
    if parts_lost:
        lost = lost | {"parts_lost": parts_lost}
    return Package(
        body, parts["styles"], parts["numbering"], data, notes, running, pages, title, lost
    )


_PARTS = ("styles", "numbering")


def _cleaned(archive: OfficeZip, part: str, hidden: frozenset[str]) -> Any:
    """The root of a part beside the document; an empty element where there is none."""
    root = archive.xml(part)
    if root is None:
        return etree.Element("none")
    clean(root, hidden)
    return root


def _notes(archive: OfficeZip, folder: str, hidden: frozenset[str]) -> Iterator[str]:
    for part, tag in _NOTES:
        root = _cleaned(archive, posixpath.join(folder, f"{part}.xml"), hidden)
        for note in root.iter(W + tag):
            paragraphs = (text_of(paragraph).strip() for paragraph in note.iter(f"{W}p"))
            if text := " ".join(filter(None, paragraphs)):
                yield f"Comment: {text}" if tag == "comment" else text


def _running(
    archive: OfficeZip, relations: dict[str, Relation], hidden: frozenset[str]
) -> Iterator[str]:
    """Headers and footers; page numbers alone are none."""
    for relation in relations.values():
        if relation.kind in ("header", "footer") and not relation.external:
            paragraphs = _cleaned(archive, relation.target, hidden).iter(f"{W}p")
            text = " ".join(" ".join(text_of(paragraph).split()) for paragraph in paragraphs)
            if any(map(str.isalpha, text)):
                yield " ".join(text.split())


def _name_images(document: Any, relations: dict[str, Relation]) -> None:
    """A picture becomes a run that says what it shows and where it lies; nothing is fetched."""
    for drawing in list(document.iter(f"{W}drawing")):
        ids = (v for n in drawing.iter() for k, v in n.attrib.items() if k.endswith("}embed"))
        relation = relations.get(next(ids, ""))
        run = drawing.getparent()
        if relation is None or relation.external or relation.kind != "image" or run is None:
            continue
        named = next((n for n in drawing.iter() if local_name(n) == "docPr"), None)
        words = " ".join((named.get("descr", "") if named is not None else "").split())
        words = words.replace("[", "(").replace("]", ")")
        text = etree.Element(f"{W}t")
        text.text = f" ![{words}]({relation.target.replace(' ', '%20')}) "
        drawing.addnext(text)


def _repack(document: Any, parts: dict[str, Any | None]) -> bytes:
    """A new package of the main document and the parts that shape its text."""
    kept = {name: root for name, root in parts.items() if root is not None}
    overrides = "".join(
        f'<Override PartName="/word/{name}.xml" ContentType="{_MIME}.{kind}+xml"/>'
        for name, kind in (("document", "document.main"), *((name, name) for name in kept))
    )
    relations = "".join(
        f'<Relationship Id="r{number}" Type="{_OFFICE}/{name}" Target="{name}.xml"/>'
        for number, name in enumerate(kept)
    )
    main = f'<Relationship Id="r0" Type="{_OFFICE}/officeDocument" Target="word/document.xml"/>'
    rels = '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.'
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        types = f'<Types xmlns="{_TYPES}">{rels}relationships+xml"/>{overrides}</Types>'
        archive.writestr("[Content_Types].xml", _XML_LANG + types)
        archive.writestr("_rels/.rels", _XML_LANG + _wrap_relations(main))
        archive.writestr("word/_rels/document.xml.rels", _XML_LANG + _wrap_relations(relations))
        for name, root in (("document", document), *kept.items()):
            archive.writestr(f"word/{name}.xml", etree.tostring(deepcopy(root), encoding="UTF-8"))
    return buffer.getvalue()


def _wrap_relations(relations: str) -> str:
    return f'<Relationships xmlns="{_RELATIONS}">{relations}</Relationships>'
