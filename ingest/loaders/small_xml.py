"""Two more XML formats that cost little: FictionBook e-books (.fb2) and Visio drawings (.vsdx)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ingest.documents import Document
from ingest.errors import LoadError
from ingest.loaders.blocks import Block, headed, heading, join_blocks, table
from ingest.loaders.encoding import normalise
from ingest.loaders.office_zip import OfficeZip, local_name, parse_xml
from ingest.loaders.registry import Source
from ingest.loaders.sections import sections_at, sensible_title, title_of
from ingest.loaders.slides import Piece, Slide, slides_document


def load_fb2(source: Source) -> Document:
    """A book: its bodies, titles of sections as headings; pictures are left out."""
    root = parse_xml(source.data)
    if root is None or local_name(root) != "FictionBook":
        raise LoadError(source.uri, "is damaged: no FictionBook inside")
    blocks = [block for body in root.iterfind("{*}body") for block in _blocks(body, 1)]
    text, starts = join_blocks(blocks)
    sections = sections_at(starts, len(text))
    named = root.findtext("{*}description/{*}title-info/{*}book-title")
    return Document(
        uri=source.uri,
        sha256=source.sha256,
        text=text,
        title=sensible_title(_flat(named or "")) or title_of(sections) or source.stem,
        media_type=source.media_type,
        sections=sections,
    )


def _blocks(parent: Any, level: int) -> Iterator[Block]:
    for child in parent:
        kind = local_name(child)
        if kind == "title":
            words = (_flat("".join(p.itertext())) for p in child.iter("{*}p"))
            yield headed(level, " ".join(filter(None, words)))
        elif kind == "section":
            yield from _blocks(child, level + 1)
        elif kind in ("p", "v", "subtitle", "text-author", "date"):
            yield Block(_flat("".join(child.itertext())), id(parent) if kind == "v" else 0)
        elif kind == "table":
            yield Block(table([[_flat("".join(cell.itertext())) for cell in row] for row in child]))
        elif kind not in ("image", "empty-line"):
            yield from _blocks(child, level)


def load_vsdx(source: Source) -> Document:
    """A drawing: the words of its shapes, a page for each page."""
    with OfficeZip(source.data, source.uri) as archive:
        main = archive.main_part("visio/document.xml")
        pages = [r.target for r in archive.relations(main).values() if r.kind == "pages"]
        listed = archive.xml(pages[0]) if pages else None
        if listed is None:
            raise LoadError(source.uri, "is damaged: no pages inside")
        relations = archive.relations(pages[0])
        slides = []
        for page in listed.iterfind("{*}Page"):
            link = page.find("{*}Rel")
            ids = link.attrib.values() if link is not None else ()
            part = next((relations[i].target for i in ids if i in relations), "")
            name = page.get("Name", "")
            slides.append(Slide([Piece(heading(1, name), "title"), *_shapes(archive.xml(part))]))
        return slides_document(source, slides, title=archive.core_title())


def _shapes(root: Any | None) -> Iterator[Piece]:
    for text in root.iter("{*}Text") if root is not None else ():
        lines = "".join(text.itertext()).split("\n")
        yield Piece("\n".join(filter(None, map(_flat, lines))))


def _flat(text: str) -> str:
    return " ".join(normalise(text).split())
