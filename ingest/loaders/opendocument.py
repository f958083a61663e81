"""OpenDocument files (.odt, .odp, .ods, and the flat .fodt, .fodp, .fods), read from their XML.

kreuzberg reads texts and sheets but no presentations, and no notes, comments, headers and cell
addresses; unstructured goes through pandoc, 1 s a file, for texts alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ingest.documents import Document, Mark
from ingest.errors import LoadError
from ingest.loaders.blocks import (
    Block,
    around_headings,
    headed,
    heading,
    is_table,
    join_blocks,
)
from ingest.loaders.encoding import flat_lines
from ingest.loaders.listings import CODE, ONE_WIDTH, with_fences
from ingest.loaders.office_zip import OfficeZip, local_name, parse_xml
from ingest.loaders.opendocument_text import (
    SKIPPED,
    Notes,
    attribute,
    chart_title,
    count,
    covered_columns,
    inline,
    is_code,
    object_in,
    table_lines,
)
from ingest.loaders.registry import Source
from ingest.loaders.sections import sections_at, sensible_title, title_of
from ingest.loaders.sheets import (
    MAX_COLUMN,
    CellBudget,
    Merge,
    Row,
    Sheet,
    column_letters,
    fill_merged,
    sheets_document,
)
from ingest.loaders.slides import Piece, PieceKind, Slide, slides_document

_MAX_HEADING = 200
_RAISED = re.compile(r"[1-9]\d*%")
_MAX_OBJECTS = 1_000
_MAX_ROW = 1_048_576
_FURNITURE = frozenset({"footer", "date-time", "page-number", "header"})


@dataclass(frozen=True, slots=True)
class _File:
    """The parts that matter, wherever they were; `blank` are notes without anything said yet."""

    body: Any
    styles: Any | None
    title: str
    blank: Notes

    def notes(self) -> Notes:
        """For a part of the text."""
        return replace(self.blank, texts=[], images=[])


def _notes(roots: Iterable[Any | None], objects: Mapping[str, Any]) -> Notes:
    """What the styles below these roots say, and the objects."""
    found = {
        attribute(style, "name"): style
        for root in roots
        if root is not None
        for style in root.iter("{*}style")
    }
    high = frozenset(name for name, style in found.items() if _is_raised(style))
    code = frozenset(name for name in found if _is_one_width(name, found))
    return Notes(objects=objects, raised=high, code=code)


def _is_one_width(name: str, styles: Mapping[str, Any]) -> bool:
    """Whether a style, or the nearest one above it that names a font, sets type of one width."""
    for _ in range(20):  # styles may be based on each other in a circle
        style = styles.get(name)
        if style is None:
            return False
        for properties in style.iterfind("{*}text-properties"):
            if font := attribute(properties, "font-name") or attribute(properties, "font-family"):
                return bool(ONE_WIDTH.search(font))
        name = attribute(style, "parent-style-name")
    return False


def _is_raised(style: Any) -> bool:
    places = (attribute(p, "text-position") for p in style.iterfind("{*}text-properties"))
    return any(place.startswith("super") or _RAISED.match(place) for place in places)


def load_opendocument(source: Source) -> Document:
    """A text, a presentation (a page for each slide) or a workbook (a page for each sheet)."""
    file = _open(source)
    kind = local_name(file.body)
    if kind == "spreadsheet":
        return _workbook(source, file)
    if kind == "presentation" or kind == "drawing":
        return _presentation(source, file)
    return _text(source, file)


def _open(source: Source) -> _File:
    if not source.data.startswith(b"PK"):
        root = parse_xml(source.data)
        return _file(root, root, root, {}, source.uri)
    with OfficeZip(source.data, source.uri) as archive:
        if b"encryption-data" in archive.read("META-INF/manifest.xml"):
            raise LoadError(source.uri, "is password protected")
        content, meta = archive.xml("content.xml"), archive.xml("meta.xml")
        parts = [name for name in archive.names if name.endswith("/content.xml")][:_MAX_OBJECTS]
        objects = {name.removesuffix("/content.xml"): archive.xml(name) for name in parts}
        return _file(content, archive.xml("styles.xml"), meta, objects, source.uri)


def _file(content: Any, styles: Any, meta: Any, objects: Mapping[str, Any], uri: str) -> _File:
    bodies = content.iterfind("{*}body") if content is not None else iter(())
    body = next((child for body in bodies for child in body), None)
    if body is None:
        raise LoadError(uri, "is damaged: no OpenDocument content inside")
    title = ""
    for element in meta.iter("{*}title") if meta is not None else ():
        if "dc/elements" in element.tag:
            title = element.text or ""
            break
    return _File(body, styles, title, _notes((styles, content), objects))


# Texts


def _text(source: Source, file: _File) -> Document:
    notes = file.notes()
    blocks = list(with_fences(_blocks(file.body, notes)))
    running = [Block(text) for text in _running_texts(file.styles)]
    blocks += [Block(text) for text in notes.texts]
    text, starts = join_blocks([*running, *blocks])
    sections = sections_at(starts, len(text))
    marks = [Mark("boilerplate", start, start + len(block.text)) for start, block in starts
             if any(block is one for one in running)]  # fmt: skip
    marks += _block_marks(starts, dict(notes.images))
    return Document(
        uri=source.uri,
        sha256=source.sha256,
        text=text,
        title=sensible_title(file.title) or title_of(sections) or source.stem,
        media_type=source.media_type,
        sections=sections,
        marks=tuple(sorted(marks, key=lambda mark: mark.start)),
    )


def _block_marks(starts: list[tuple[int, Block]], images: dict[str, str]) -> Iterator[Mark]:
    for start, block in starts:
        if is_table(block.text):
            yield Mark("table", start, start + len(block.text))
        elif block.text in images:
            yield Mark("image", start, start + len(block.text), images[block.text])


def _running_texts(styles: Any | None) -> list[str]:
    """Headers and footers, each once."""
    found: dict[str, None] = {}
    for master in styles.iter("{*}master-page") if styles is not None else ():
        for part in master:
            if local_name(part).startswith(("header", "footer")):
                words = (inline(p, Notes()) for p in part.iter("{*}p", "{*}h"))
                found[" ".join(filter(None, map(flat_lines, words)))] = None
    return [text for text in found if any(map(str.isalpha, text))]


def _blocks(parent: Any, notes: Notes) -> Iterator[Block]:
    """The blocks below an element, in order."""
    for child in parent:
        kind = local_name(child)
        if kind in SKIPPED or not kind:
            continue
        if kind == "h":
            text = flat_lines(inline(child, notes))
            yield headed(_level(child), text) if len(text) <= _MAX_HEADING else Block(text)
            yield from _frames(child, notes)
        elif kind == "p":
            text = inline(child, notes)
            yield Block(text, CODE) if is_code(child, notes) else Block(flat_lines(text))
            yield from _frames(child, notes)
        elif kind == "list":
            yield from _items(child, notes, 0, id(child))
        elif kind == "table" and _lays_out(child):
            for cell in _own_cells(child):
                yield from _blocks(cell, notes)
        elif kind == "table":
            yield Block(table_lines(child, notes))
        elif kind == "frame":
            yield from _frame(child, notes)
        else:
            yield from _blocks(child, notes)


def _items(items: Any, notes: Notes, depth: int, group: int) -> Iterator[Block]:
    for item in items:
        first = True
        for child in item:
            kind = local_name(child)
            if kind == "list":
                yield from _items(child, notes, min(depth + 1, 8), group)
            elif kind in ("p", "h"):
                text = " ".join(flat_lines(inline(child, notes)).split("\n"))
                if kind == "h" and depth == 0 and first:
                    yield replace(headed(_level(child), text), group=group)
                    first = False
                elif text:
                    yield Block(f"{'  ' * depth}{'- ' if first else '  '}{text}", group)
                    first = False
                yield from _frames(child, notes)


def _level(element: Any) -> int:
    value = next((v for k, v in element.attrib.items() if k.endswith("outline-level")), "1")
    return int(value) if value.isdigit() and len(value) < 3 else 1


def _frames(element: Any, notes: Notes) -> Iterator[Block]:
    """Text boxes and pictures that hang on a paragraph stand behind it, with what is in them."""
    for child in element:
        if local_name(child) in ("frame", "custom-shape"):
            yield from _frame(child, notes)
        else:
            yield from _frames(child, notes)


def _frame(frame: Any, notes: Notes) -> Iterator[Block]:
    kinds = ("text-box", "p", "list", "table")
    yield from _blocks((child for child in frame if local_name(child) in kinds), notes)
    pictures = frame.findall("{*}image")
    target = next((v for p in pictures for k, v in p.attrib.items() if k.endswith("}href")), "")
    preview = frame.find("{*}table") is not None or frame.find("{*}object") is not None
    root = object_in(frame, notes)
    if root is not None:
        yield from _object(root, notes)
    if target.startswith("Pictures/") and not preview:
        words = " ".join(flat_lines(n.text or "") for n in frame.iterfind("{*}desc"))
        text = f"![{words}]({target})"
        notes.images.append((text, target))
        yield Block(text)


def _object(root: Any, notes: Notes) -> Iterator[Block]:
    """A chart by its title and the table of its values, sheets by their rows, a text."""
    yield Block(chart_title(root, notes))
    for grid in root.iterfind("{*}body/{*}chart/{*}chart/{*}table"):
        yield Block(table_lines(grid, notes))
    for grid in root.iterfind("{*}body/{*}spreadsheet/{*}table"):
        yield Block(table_lines(grid, notes))
    for body in root.iterfind("{*}body/{*}text"):
        yield from _blocks(body, notes)


def _lays_out(element: Any) -> bool:
    """True for a table that places paragraphs on the page and has no rows of data.

    Its cells stand one below the other and hold several paragraphs, or one holds a heading with
    what it governs, or a table larger than this.
    """
    cells = list(_own_cells(element))
    long = [cell for cell in cells if len(_told(cell)) > 1]
    if any(local_name(paragraph) == "h" for cell in long for paragraph in _told(cell)):
        return True
    if long and len(cells) == len({cell.getparent() for cell in cells}):
        return True
    inner = (grid for cell in cells for grid in cell.iterfind("{*}table"))
    return any(len(list(_own_cells(grid))) > len(cells) for grid in inner)


def _own_cells(element: Any) -> Iterator[Any]:
    """The cells of a table, without those of tables in it and those that are covered."""
    cells = element.iter("{*}table-cell")
    return (cell for cell in cells if next(cell.iterancestors("{*}table"), None) is element)


def _told(cell: Any) -> list[Any]:
    """The paragraphs with words in a cell, those of tables in it included."""
    return [p for p in cell.iter("{*}p", "{*}h") if "".join(p.itertext()).strip()]


# Presentations


def _presentation(source: Source, file: _File) -> Document:
    slides = [_slide(page, file.notes()) for page in file.body.iterfind("{*}page")]
    return slides_document(source, slides, title=file.title)


def _slide(page: Any, notes: Notes) -> Slide:
    pieces: list[Piece] = []
    for shape in page:
        kind = local_name(shape)
        role = next((v for k, v in shape.attrib.items() if k.endswith("}class")), "")
        if kind == "notes":
            words = [flat_lines(inline(p, notes)) for p in shape.iter("{*}p")]
            text = "\n".join(filter(None, words))
            pieces.append(Piece(f"Notes: {text}" if text else ""))
        elif kind == "annotation":
            words = [flat_lines(inline(p, notes)) for p in shape.iter("{*}p")]
            pieces.append(Piece(f"Comment: {' '.join(filter(None, words))}"))
        elif role == "title":
            words = [flat_lines(inline(p, notes)) for p in shape.iter("{*}p", "{*}h")]
            pieces.insert(0, Piece(heading(1, " ".join(words)), "title"))
        else:
            pieces += _shape(shape, notes, furniture=role in _FURNITURE)
    pieces += [Piece(text) for text in notes.texts]
    return Slide(tuple(pieces))


def _shape(shape: Any, notes: Notes, *, furniture: bool) -> Iterator[Piece]:
    _, starts = join_blocks(with_fences(_blocks([shape], notes)))
    images = dict(notes.images)
    for _, block in starts:
        if block.text in images:
            yield Piece(block.text, "image", images[block.text])
        elif is_table(block.text):
            yield Piece(block.text, "table")
    rest = [b for _, b in starts if b.text not in images and not is_table(b.text)]
    for block in around_headings(rest):
        kind: PieceKind = "title" if block.is_heading else "text"
        yield Piece(block.text, "boilerplate" if furniture else kind)


# Workbooks: the text in a cell is what its formats show


def _workbook(source: Source, file: _File) -> Document:
    budget = CellBudget(source.uri)
    styles = _hidden_styles(file.body)
    sheets = []
    for element in file.body.iterfind("{*}table"):
        names = {k.rpartition("}")[2]: v for k, v in element.attrib.items()}
        notes: list[tuple[str, str]] = []
        merges: list[Merge] = []
        covered: dict[int, list[int]] = {}
        rows = list(_rows(element, budget, notes, merges, covered))
        fill_merged(rows, merges, budget)
        hidden = names.get("style-name", "") in styles
        shapes = (p for s in element.iterfind("{*}shapes") for p in s.iter("{*}p"))
        texts = [text for p in shapes if (text := flat_lines(inline(p, Notes())))]
        roots = [object_in(frame, file.blank) for frame in element.iter("{*}frame")]
        texts += [t for root in roots if root is not None and (t := chart_title(root, Notes()))]
        sheets.append(Sheet(names.get("name", ""), rows, hidden, notes, texts, covered))
    return sheets_document(source, sheets, title=file.title)


def _hidden_styles(body: Any) -> set[str]:
    """Names of the table styles that do not show their table."""
    root = body.getroottree().getroot()
    return {
        next((v for k, v in style.attrib.items() if k.endswith("}name")), "")
        for style in root.iter("{*}style")
        for properties in style.iterfind("{*}table-properties")
        if any(k.endswith("}display") and v == "false" for k, v in properties.attrib.items())
    }


def _rows(
    element: Any,
    budget: CellBudget,
    notes: list[tuple[str, str]],
    merges: list[Merge],
    covered: dict[int, list[int]],
) -> Iterator[Row]:
    number = 1
    for row in element.iter("{*}table-row"):
        times = count(row, "number-rows-repeated")
        cells = _row_cells(row, number, notes, merges)
        if cells:
            if places := covered_columns(row):
                covered[number] = [place + 1 for place in places]
            for repeated in range(min(times, _MAX_ROW)):
                budget.take(cells)
                yield number + repeated, cells
        number += times
        if number > _MAX_ROW:
            return


def _row_cells(
    row: Any, number: int, notes: list[tuple[str, str]], merges: list[Merge]
) -> dict[int, str]:
    cells: dict[int, str] = {}
    column = 1
    for cell in row:
        if local_name(cell) not in ("table-cell", "covered-table-cell"):
            continue
        times = count(cell, "number-columns-repeated")
        words = (flat_lines(inline(p, Notes())) for p in cell if local_name(p) in ("p", "h"))
        text = " ".join(" ".join(filter(None, words)).split()) or _stored(cell)
        for comment in cell.iterfind("{*}annotation"):
            said = " ".join(flat_lines(inline(p, Notes())) for p in comment.iter("{*}p"))
            notes.append((f"{column_letters(column)}{number}", said))
        if text and (down := count(cell, "number-rows-spanned")) > 1:
            merges.append((column, number, number + down - 1))
        if text:
            for place in range(column, min(column + times, MAX_COLUMN + 1)):
                cells[place] = text
        column += times
        if column > MAX_COLUMN:
            break
    return cells


def _stored(cell: Any) -> str:
    """The value of a cell whose program has left it to the reader to show it."""
    values = {name.rpartition("}")[2]: value for name, value in cell.attrib.items()}
    names = ("string-value", "date-value", "time-value", "boolean-value", "value")
    return flat_lines(next((values[name] for name in names if values.get(name)), ""))
