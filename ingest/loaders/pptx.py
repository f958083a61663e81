"""PowerPoint presentations: a page for each slide, in reading order, with its notes and comments.

Our own reader on lxml: unstructured and kreuzberg find the same phrases, but give neither comments,
chart values, SmartArt nor hidden slides, and no spans of slides.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ingest.documents import Document
from ingest.errors import LoadError
from ingest.loaders.blocks import Block, heading, is_table, join_blocks, table
from ingest.loaders.drawing import flat, graphic_of, paragraphs, runs
from ingest.loaders.encoding import normalise
from ingest.loaders.inside import blocks_inside, document_inside
from ingest.loaders.listings import CODE, ONE_WIDTH, with_fences
from ingest.loaders.office_zip import OfficeZip, local_name, lost_tables
from ingest.loaders.registry import Source
from ingest.loaders.slides import Piece, Slide, slides_document

_TITLES = frozenset({"title", "ctrTitle"})
_FURNITURE = frozenset({"ftr", "dt", "sldNum", "hdr"})
_LISTS = frozenset({"body", "obj", "subTitle", ""})
_BAND = 230_000  # EMU (a quarter of an inch): shapes within it stand in one row
_LINE = 1  # the group of the lines of a shape, which stand without a blank one between them
_MAX_SLIDES = 5_000
_MAX_GROUPS = 20  # within each other
_TRANSFORM = (("ext", "cy", "cx"), ("chExt", "cy", "cx"), ("chOff", "y", "x"))

Position = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Layout:
    """What a slide inherits: where its placeholders stand, and the words drawn behind it."""

    positions: dict[tuple[str, str], Position] = field(default_factory=dict)
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Group:
    """The groups around a shape, as positions on the slide, and what makes a position in the inner
    one a position on the slide: `scale * position + shift`, down and across."""

    places: tuple[Position, ...] = ()
    scale: tuple[float, float] = (1, 1)
    shift: tuple[float, float] = (0, 0)

    def placed(self, place: Position) -> Position:
        (down, across), (top, left) = self.scale, self.shift
        return int(down * place[0] + top), int(across * place[1] + left)


_NO_GROUP = _Group()


def load_pptx(source: Source) -> Document:
    """A presentation: `# title`, texts, tables, charts and notes of each slide."""
    with OfficeZip(source.data, source.uri) as archive:
        main = archive.main_part("ppt/presentation.xml")
        presentation = archive.xml(main)
        if presentation is None:
            raise LoadError(source.uri, "is damaged: no ppt/presentation.xml inside")
        parts = _slide_parts(archive, main, presentation)
        reader = _Reader(archive)
        slides = [reader.slide(part) for part in parts[:_MAX_SLIDES]]
        title, lost = archive.core_title(), lost_tables(archive, reader.told)
        return slides_document(source, slides, title=title, quality=lost)


def _slide_parts(archive: OfficeZip, main: str, presentation: Any) -> list[str]:
    """The slides in the order in which they are shown."""
    relations = archive.relations(main)
    ids = [
        next((value for name, value in element.attrib.items() if name.endswith("}id")), "")
        for element in presentation.iterfind("{*}sldIdLst/{*}sldId")
    ]
    found = [relations[i].target for i in ids if i in relations and not relations[i].external]
    return found or sorted(
        (n for n in archive.names if n.startswith("ppt/slides/slide") and n.endswith(".xml")),
        key=lambda name: (len(name), name),
    )


class _Reader:
    """Reads slides; remembers layouts, and what was said by one already."""

    def __init__(self, archive: OfficeZip) -> None:
        self._archive = archive
        self._layouts: dict[str, _Layout] = {}
        self._said: set[str] = set()
        self.told: set[str] = set()  # documents on slides

    def slide(self, part: str) -> Slide:
        """One slide; an unreadable one is empty."""
        root = self._archive.xml(part)
        if root is None:
            return Slide(())
        relations = self._archive.relations(part)
        layouts = [r.target for r in relations.values() if r.kind == "slideLayout"]
        layout = self._layout(layouts[0]) if layouts else _Layout()
        pieces = list(_ordered(self._shapes(root, relations, layout)))
        for text in layout.texts:
            if text not in self._said:
                self._said.add(text)
                pieces.append(Piece(text, "boilerplate"))
        for relation in relations.values():
            if relation.kind == "notesSlide":
                pieces += self._notes(relation.target)
            elif relation.kind == "comments":
                pieces += self._comments(relation.target)
        return Slide(tuple(pieces), hidden=root.get("show") in ("0", "false"))

    def _layout(self, part: str) -> _Layout:
        """A layout with its master below it."""
        if part in self._layouts:
            return self._layouts[part]
        self._layouts[part] = _Layout()  # a layout that inherits from itself ends here
        relations = self._archive.relations(part).values()
        masters = [r.target for r in relations if r.kind == "slideMaster"]
        master = self._layout(masters[0]) if masters else _Layout()
        positions, texts = dict(master.positions), list(master.texts)
        root = self._archive.xml(part)
        for shape in root.iter("{*}sp") if root is not None else ():
            holder = _placeholder(shape)
            place = _position(shape)
            if holder is not None and place is not None:
                positions[holder] = place
                positions[(holder[0], "")] = place
            if holder is None or holder[0] == "ftr":
                texts += paragraphs(shape)
        self._layouts[part] = _Layout(positions, tuple(dict.fromkeys(texts)))
        return self._layouts[part]

    def _shapes(
        self, root: Any, relations: Any, layout: _Layout
    ) -> Iterator[tuple[tuple[Position, ...], int, Piece]]:
        """(positions of its groups and its own, 0 for a title, what it says) of each shape."""
        trees = root.findall("{*}cSld/{*}spTree")
        todo = [(child, _NO_GROUP) for tree in trees for child in reversed(tree)]
        while todo:
            shape, group = todo.pop()
            kind = local_name(shape)
            if kind == "AlternateContent":
                choice = next((c for c in shape if len(c)), None)
                todo += [(c, group) for c in reversed(choice if choice is not None else ())]
            elif kind == "grpSp":
                inner = _within(shape, group)
                todo += [(child, inner) for child in reversed(shape)]
            elif kind in ("sp", "graphicFrame", "pic", "cxnSp"):
                holder = _placeholder(shape)
                own = _position(shape)
                place = group.placed(own) if own else _inherited(layout, holder)
                title = holder is not None and holder[0] in _TITLES
                for piece in self._pieces(shape, kind, holder, relations):
                    yield (*group.places, place), 0 if title else 1, piece

    def _pieces(
        self, shape: Any, kind: str, holder: tuple[str, str] | None, relations: Any
    ) -> Iterator[Piece]:
        if kind == "pic":
            yield from _picture(shape, relations)
            return
        if kind == "graphicFrame":
            yield from self._graphic(shape, relations)
            return
        role = holder[0] if holder is not None else None
        if role in _TITLES:
            yield Piece(heading(1, " ".join(paragraphs(shape))), "title")
        elif role in _FURNITURE:
            text = " ".join(paragraphs(shape))
            yield Piece(text, "boilerplate")
            self._said.add(text)
        else:
            lines = with_fences(_lines(shape, listed=role in _LISTS), most=1)
            yield Piece(join_blocks(lines)[0])

    def _graphic(self, frame: Any, relations: Any) -> Iterator[Piece]:
        for grid in frame.iter("{*}tbl"):
            first = next(grid.iter("{*}tr"), ())
            merged = [n for n, cell in enumerate(first) if cell.get("hMerge") in ("1", "true")]
            yield Piece(table(_rows(grid), merged), "table")
        ids = [v for n in frame.iter() for k, v in n.attrib.items() if k.endswith(("}id", "}dm"))]
        for identity in dict.fromkeys(ids):
            relation = relations.get(identity)
            if relation is None:
                continue
            graphic = graphic_of(self._archive, relation)
            if graphic is not None:
                yield Piece(graphic.title)
                yield Piece(table(graphic.rows), "table")
                yield Piece("\n".join(f"- {line}" for line in graphic.lines))
            elif (inside := document_inside(self._archive, relation)) is not None:
                self.told.add(relation.target)
                for block in blocks_inside(inside):
                    yield Piece(block.text, "table" if is_table(block.text) else "text")

    def _notes(self, part: str) -> Iterator[Piece]:
        root = self._archive.xml(part)
        for shape in root.iter("{*}sp") if root is not None else ():
            holder = _placeholder(shape)
            said = holder is None or holder[0] not in (_FURNITURE | {"sldImg"})
            if said and (text := "\n".join(paragraphs(shape))):
                yield Piece(f"Notes: {text}")

    def _comments(self, part: str) -> Iterator[Piece]:
        root = self._archive.xml(part)
        for comment in root.iter() if root is not None else ():
            kind = local_name(comment)
            if kind == "cm" or kind == "reply":
                old = [flat(node.text or "") for node in comment.iterfind("{*}text")]
                texts = old or [
                    line for body in comment.iterfind("{*}txBody") for line in paragraphs(body)
                ]
                if text := " ".join(filter(None, texts)):
                    yield Piece(f"Comment: {text}")


def _ordered(shapes: Iterator[tuple[tuple[Position, ...], int, Piece]]) -> Iterator[Piece]:
    """Titles first, then rows from top to bottom, each from left to right; a group's shapes so, in
    its place."""
    items = [item for item in shapes if item[2].text.strip()]
    items.sort(key=lambda item: (item[1], [(top // _BAND, left) for top, left in item[0]]))
    return (piece for _, _, piece in items)


def _placeholder(shape: Any) -> tuple[str, str] | None:
    """(type, index) of a placeholder; None for another shape."""
    found = next(shape.iterfind("*/{*}nvPr/{*}ph"), None)
    return None if found is None else (found.get("type", ""), found.get("idx", ""))


def _position(shape: Any) -> Position | None:
    """(top, left) in EMU."""
    found = next(shape.iterfind("*/{*}xfrm"), None)
    return _pair(found if found is not None else shape.find("{*}xfrm"), "off", "y", "x")


def _within(shape: Any, outer: _Group) -> _Group:
    """The group that `shape` is: its shapes stand in coordinates of its own."""
    place = _position(shape)
    if place is None or len(outer.places) == _MAX_GROUPS:
        return outer
    top, left = outer.placed(place)
    found = next(shape.iterfind("{*}grpSpPr/{*}xfrm"), None)
    size, inner, start = (_pair(found, *names) for names in _TRANSFORM)
    if not size or not inner or not start or not all(inner):
        return _Group((*outer.places, (top, left)), outer.scale, outer.shift)
    down, across = outer.scale[0] * size[0] / inner[0], outer.scale[1] * size[1] / inner[1]
    shift = (top - down * start[0], left - across * start[1])
    return _Group((*outer.places, (top, left)), (down, across), shift)


def _pair(transform: Any, name: str, down: str, across: str) -> Position | None:
    """Two measures of a transform in EMU; None where one is missing."""
    found = transform.find(f"{{*}}{name}") if transform is not None else None
    values = [found.get(axis, "") for axis in (down, across)] if found is not None else []
    if len(values) == 2 and all(re.fullmatch(r"-?\d{1,12}", value) for value in values):
        return int(values[0]), int(values[1])
    return None


def _inherited(layout: _Layout, holder: tuple[str, str] | None) -> Position:
    if holder is None:
        return (0, 0)
    kind, index = holder
    for key in ((kind, index), ("body", index), ("", index), (kind, ""), ("body", "")):
        if key in layout.positions:
            return layout.positions[key]
    return (1_000_000, 0)


def _picture(shape: Any, relations: Any) -> Iterator[Piece]:
    """A picture by what its author said of it, and where it lies in the file."""
    named = next(shape.iterfind("*/{*}cNvPr"), None)
    words = flat(named.get("descr", "")) if named is not None else ""
    ids = (v for n in shape.iter("{*}blip") for k, v in n.attrib.items() if k.endswith("}embed"))
    relation = relations.get(next(ids, ""))
    part = relation.target if relation and not relation.external else ""
    if part:
        yield Piece(f"![{words}]({part})", "image", part)
    elif words:
        yield Piece(words)


def _is_code(paragraph: Any) -> bool:
    """Whether all words of a paragraph are in type of one width."""
    words = [run for run in paragraph.iterfind("{*}r") if flat(run.findtext("{*}t") or "")]
    fonts = [run.find("{*}rPr/{*}latin") for run in words]
    return bool(words) and all(
        font is not None and ONE_WIDTH.search(font.get("typeface", "")) for font in fonts
    )


def _lines(shape: Any, *, listed: bool) -> Iterator[Block]:
    """The paragraphs of a shape; the items of a list are marked and indented."""
    bodies = shape.findall("{*}txBody")
    found = [p for body in bodies for p in body.iterfind("{*}p") if flat(runs(p))]
    for paragraph in found:
        if _is_code(paragraph):
            yield Block(normalise(runs(paragraph)), CODE)
            continue
        text = "\n".join(flat(line) for line in runs(paragraph).split("\n") if flat(line))
        properties = paragraph.find("{*}pPr")
        level = properties.get("lvl", "0") if properties is not None else "0"
        depth = int(level) if level in list("12345678") else 0
        asked = {local_name(child) for child in (properties if properties is not None else ())}
        bullet = bool(asked & {"buChar", "buAutoNum"}) or (
            listed and len(found) > 1 and "buNone" not in asked
        )
        yield Block(f"{'  ' * depth}- {text}" if bullet else text, _LINE)


def _rows(grid: Any) -> list[list[str]]:
    """Texts by row and column; what is merged downwards stands in each of its rows."""
    rows: list[list[str]] = []
    for row in grid.iter("{*}tr"):
        cells = [" ".join(paragraphs(cell)) for cell in row.iterfind("{*}tc")]
        for column, cell in enumerate(row.iterfind("{*}tc")):
            if rows and cell.get("vMerge") in ("1", "true") and column < len(rows[-1]):
                cells[column] = cells[column] or rows[-1][column]
        rows.append(cells)
    return rows
