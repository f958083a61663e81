"""The inside of a .docx file, made safe and plain before a parser sees it.

Only the text, the styles and the numbering go on, in a package built anew: no images, macros,
embedded files or external targets. Strict OOXML becomes transitional. What python-docx (and so
unstructured) passes over is put where it looks: content controls, insertions, smart tags, links,
equations, text boxes. What the author deleted is gone.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from lxml import etree

from ingest.errors import LoadError

MAX_UNPACKED = 200_000_000
MAX_RATIO = 200  # with more than 20 MB: real documents stay below 60
_RATIO_FLOOR = 20_000_000

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_MATH = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_COMPATIBILITY = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_STRICT = re.compile(rb"http://purl\.oclc\.org/ooxml/(wordprocessingml|officeDocument|drawingml)/")
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
_MIME = "application/vnd.openxmlformats-officedocument.wordprocessingml"
_XML_LANG = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'

_WRAPPERS = "sdt sdtContent ins moveTo smartTag customXml hyperlink fldSimple"
_DROPPED = (
    "del moveFrom sdtPr sdtEndPr customXmlPr smartTagPr headerReference footerReference drawing"
    " pict object instrText delText footnoteRef endnoteRef annotationRef commentReference"
    " footnoteReference endnoteReference sectPrChange pPrChange rPrChange tblPrChange"
)
_NOTES = (("footnotes", "footnote"), ("endnotes", "endnote"), ("comments", "comment"))


@dataclass(frozen=True, slots=True)
class Package:
    """A cleaned document: `body` for reading it ourselves, `data` for unstructured.

    `notes` are the texts of footnotes, endnotes and comments; `title` is what the properties say.
    """

    body: Any
    styles: Any | None
    data: bytes
    notes: tuple[str, ...]
    title: str


def open_package(data: bytes, uri: str) -> Package:
    """The cleaned package. Raises LoadError for a bomb or a file without a document inside."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        _refuse_bomb(archive, uri)
        members = _Members(archive)
        document = members.xml(members.main)
        if document is None:
            raise LoadError(uri, "is damaged: no word/document.xml inside")
        parts = {name: members.xml(f"{members.folder}{name}.xml") for name in _PARTS}
        core = members.xml("docProps/core.xml")
        notes = tuple(_notes(members))
    body = document.find(f"{W}body")
    if body is None:
        raise LoadError(uri, "is damaged: its document has no body")
    _clean(document)
    title = core.findtext("{http://purl.org/dc/elements/1.1/}title") if core is not None else ""
    return Package(body, parts["styles"], _repack(document, parts), notes, title or "")


_PARTS = ("styles", "numbering")


def text_of(element: Any) -> str:
    """The text of a paragraph or run: tabs and line breaks are characters."""
    texts = []
    for node in element.iter():
        if node.tag == f"{W}t":
            texts.append(node.text or "")
        elif node.tag == f"{W}tab" and node.getparent().tag == f"{W}r":
            texts.append("\t")
        elif node.tag in (f"{W}br", f"{W}cr"):
            texts.append("\n")
        elif node.tag == f"{W}noBreakHyphen":
            texts.append("-")
    return "".join(texts)


class _Members:
    """The XML members of an archive, wherever the package keeps its main document."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._names = set(archive.namelist())
        self.main = self._find_main()
        self.folder = self.main.rpartition("/")[0] + "/" if "/" in self.main else ""

    def xml(self, name: str) -> Any | None:
        """Root element of a member without comments, entities and DTD; None where it is missing."""
        if name not in self._names:
            return None
        markup = _STRICT.sub(_transitional, self._archive.read(name))
        parser = etree.XMLParser(
            resolve_entities=False, no_network=True, load_dtd=False, recover=True,
            remove_comments=True, remove_pis=True, huge_tree=False,
        )  # fmt: skip
        root = etree.fromstring(markup, parser)
        if root is not None:
            etree.strip_tags(root, etree.Entity)
        return root

    def _find_main(self) -> str:
        relations = self.xml("_rels/.rels")
        for relation in relations if relations is not None else ():
            target = str(relation.get("Target", "")).lstrip("/")
            if str(relation.get("Type", "")).endswith("/officeDocument") and target in self._names:
                return target
        return "word/document.xml"


def _transitional(match: re.Match[bytes]) -> bytes:
    """Strict namespaces end in the word, transitional ones carry 2006 and `main`."""
    return {
        b"wordprocessingml": b"http://schemas.openxmlformats.org/wordprocessingml/2006/",
        b"officeDocument": b"http://schemas.openxmlformats.org/officeDocument/2006/",
        b"drawingml": b"http://schemas.openxmlformats.org/drawingml/2006/",
    }[match[1]]


def _refuse_bomb(archive: zipfile.ZipFile, uri: str) -> None:
    members = archive.infolist()
    if any(member.flag_bits & 1 for member in members):
        raise LoadError(uri, "is password protected")
    unpacked = sum(member.file_size for member in members)
    packed = max(sum(member.compress_size for member in members), 1)
    if unpacked > MAX_UNPACKED or (unpacked > _RATIO_FLOOR and unpacked / packed > MAX_RATIO):
        raise LoadError(uri, f"unpacks to {unpacked:,} bytes from {packed:,}: refused as a bomb")


def _clean(document: Any) -> None:
    _drop_contents(document)
    _unfold_alternatives(document)
    _lift_text_boxes(document)
    _spell_equations(document)
    etree.strip_elements(document, *(W + name for name in _DROPPED.split()), with_tail=False)
    etree.strip_tags(document, *(W + name for name in _WRAPPERS.split()))
    _mark_page_breaks(document)


def _drop_contents(document: Any) -> None:
    """A generated table of contents says everything twice."""
    for gallery in list(document.iter(f"{W}docPartGallery")):
        control = next(gallery.iterancestors(f"{W}sdt"), None)
        if gallery.get(f"{W}val") == "Table of Contents" and control is not None:
            control.getparent().remove(control)


def _unfold_alternatives(document: Any) -> None:
    """mc:AlternateContent holds the same thing twice: keep the first form."""
    etree.strip_elements(document, f"{_COMPATIBILITY}Fallback", with_tail=False)
    etree.strip_tags(document, f"{_COMPATIBILITY}AlternateContent", f"{_COMPATIBILITY}Choice")


def _lift_text_boxes(document: Any) -> None:
    """The paragraphs of a text box go behind the paragraph that it hangs on."""
    for box in reversed(list(document.iter(f"{W}txbxContent"))):
        anchor = next(box.iterancestors(f"{W}p"), None)
        if anchor is None:
            continue
        for block in reversed([child for child in box if child.tag in (f"{W}p", f"{W}tbl")]):
            anchor.addnext(block)


def _spell_equations(document: Any) -> None:
    """An equation becomes a run of its symbols."""
    for tag in (f"{_MATH}oMathPara", f"{_MATH}oMath"):
        for equation in list(document.iter(tag)):
            parent = equation.getparent()
            if parent is None:
                continue
            run = etree.Element(f"{W}r")
            text = etree.SubElement(run, f"{W}t")
            text.text = "".join(node.text or "" for node in equation.iter(f"{_MATH}t"))
            run.tail = equation.tail
            parent.replace(equation, run)


def _mark_page_breaks(document: Any) -> None:
    """Word records where pages ended when it last drew them; other writers only ask for breaks."""
    if next(document.iter(f"{W}lastRenderedPageBreak"), None) is not None:
        return
    for line_break in list(document.iter(f"{W}br")):
        if line_break.get(f"{W}type") == "page":
            line_break.addnext(etree.Element(f"{W}lastRenderedPageBreak"))
            line_break.getparent().remove(line_break)


def _notes(members: _Members) -> Iterator[str]:
    for part, tag in _NOTES:
        root = members.xml(f"{members.folder}{part}.xml")
        for note in root.iter(W + tag) if root is not None else ():
            paragraphs = (text_of(paragraph).strip() for paragraph in note.iter(f"{W}p"))
            if text := " ".join(filter(None, paragraphs)):
                yield text


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
