"""OpenDocument files (.odt, .odp, .ods, and the flat .fodt, .fodp, .fods), read from their XML.

kreuzberg reads texts and sheets but no presentations, and no notes, comments, headers and cell
addresses; unstructured goes through pandoc, 1 s a file, for texts alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
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
    table,
)
from ingest.loaders.encoding import normalise
from ingest.loaders.office_zip import OfficeZip, local_name, parse_xml
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
_MAX_ROW = 1_048_576
_MAX_REPEATED = 200  # cells of a table in a text; Word has 63 columns
_MAX_BLANKS = 100  # <text:s text:c="1000000000"/>
# what has no words of its own, or words that stand elsewhere
_SKIPPED = frozenset(
    {"tracked-changes", "table-of-content", "sequence-decls", "forms", "annotation-end",
     "variable-decls", "user-field-decls", "desc", "title", "bookmark-start", "bookmark-end",
     "event-listeners", "binary-data", "scripts", "shapes", "alphabetical-index-mark"}
)  # fmt: skip
_FURNITURE = frozenset({"footer", "date-time", "page-number", "header"})


@dataclass(frozen=True, slots=True)
class _File:
    """The parts that matter, wherever they were."""

    body: Any
    styles: Any | None
    title: str


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
        return _file(root, root, root, source.uri)
    with OfficeZip(source.data, source.uri) as archive:
        if b"encryption-data" in archive.read("META-INF/manifest.xml"):
            raise LoadError(source.uri, "is password protected")
        content, meta = archive.xml("content.xml"), archive.xml("meta.xml")
        return _file(content, archive.xml("styles.xml"), meta, source.uri)


def _file(content: Any, styles: Any, meta: Any, uri: str) -> _File:
    bodies = content.iterfind("{*}body") if content is not None else iter(())
    body = next((child for body in bodies for child in body), None)
    if body is None:
        raise LoadError(uri, "is damaged: no OpenDocument content inside")
    title = ""
    for element in meta.iter("{*}title") if meta is not None else ():
        if "dc/elements" in element.tag:
            title = element.text or ""
            break
    return _File(body, styles, title)


# Texts


@dataclass(slots=True)
class _Notes:
    """What is said at the end: footnotes, endnotes, comments; and the pictures met."""

    texts: list[str] = field(default_factory=list)
    images: list[tuple[str, str]] = field(default_factory=list)


def _text(source: Source, file: _File) -> Document:
    notes = _Notes()
    blocks = list(_blocks(file.body, notes))
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
                words = (_inline(p, _Notes()) for p in part.iter("{*}p", "{*}h"))
                found[" ".join(filter(None, map(_flat, words)))] = None
    return [text for text in found if any(map(str.isalpha, text))]


def _blocks(parent: Any, notes: _Notes) -> Iterator[Block]:
    """The blocks below an element, in order."""
    for child in parent:
        kind = local_name(child)
        if kind in _SKIPPED or not kind:
            continue
        if kind == "h":
            text = _flat(_inline(child, notes))
            yield headed(_level(child), text) if len(text) <= _MAX_HEADING else Block(text)
            yield from _frames(child, notes)
        elif kind == "p":
            yield Block(_flat(_inline(child, notes)))
            yield from _frames(child, notes)
        elif kind == "list":
            yield from _items(child, notes, 0, id(child))
        elif kind == "table":
            yield Block(_table(child, notes))
        elif kind == "frame":
            yield from _frame(child, notes)
        else:
            yield from _blocks(child, notes)


def _items(items: Any, notes: _Notes, depth: int, group: int) -> Iterator[Block]:
    for item in items:
        first = True
        for child in item:
            kind = local_name(child)
            if kind == "list":
                yield from _items(child, notes, min(depth + 1, 8), group)
            elif kind in ("p", "h"):
                text = " ".join(_flat(_inline(child, notes)).split("\n"))
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


def _frames(element: Any, notes: _Notes) -> Iterator[Block]:
    """Text boxes and pictures that hang on a paragraph stand behind it, with what is in them."""
    for child in element:
        if local_name(child) in ("frame", "custom-shape"):
            yield from _frame(child, notes)
        else:
            yield from _frames(child, notes)


def _frame(frame: Any, notes: _Notes) -> Iterator[Block]:
    kinds = ("text-box", "p", "list", "table")
    yield from _blocks((child for child in frame if local_name(child) in kinds), notes)
    pictures = frame.findall("{*}image")
    target = next((v for p in pictures for k, v in p.attrib.items() if k.endswith("}href")), "")
    preview = frame.find("{*}table") is not None
    if target.startswith("Pictures/") and not preview:
        words = " ".join(_flat(n.text or "") for n in frame.iterfind("{*}desc"))
        text = f"![{words}]({target})"
        notes.images.append((text, target))
        yield Block(text)


def _table(element: Any, notes: _Notes) -> str:
    """A table as lines; tables inside its cells become text, what is merged stands in each row."""
    rows = element.iter("{*}table-row")
    own = (row for row in rows if next(row.iterancestors("{*}table"), None) is element)
    running: dict[int, tuple[int, str]] = {}  # column -> (rows to go, text)
    return table([_cells(row, notes, running) for row in own])


def _cells(row: Any, notes: _Notes, running: dict[int, tuple[int, str]]) -> list[str]:
    cells: list[str] = []
    for cell in row:
        if local_name(cell) not in ("table-cell", "covered-table-cell"):
            continue
        times = _count(cell, "number-columns-repeated")
        paragraphs = (_flat(_inline(p, notes)) for p in _paragraphs(cell))
        text = " ".join(" ".join(filter(None, paragraphs)).split())
        if text and (down := _count(cell, "number-rows-spanned")) > 1:
            running[len(cells)] = (down, text)
        for _ in range(min(times, max(_MAX_REPEATED - len(cells), 1))):
            left, above = running.pop(len(cells), (0, ""))
            if left > 1:
                running[len(cells)] = (left - 1, above)
            cells.append(text or above)
    return cells


def _paragraphs(element: Any) -> Iterator[Any]:
    """The paragraphs below an element, but those of notes and comments in them."""
    for child in element:
        kind = local_name(child)
        if kind in ("p", "h"):
            yield child
        if kind not in ("note", "annotation"):
            yield from _paragraphs(child)


def _inline(element: Any, notes: _Notes) -> str:
    """The text of a paragraph; notes and comments in it go to the end of the document."""
    texts: list[str] = [element.text or ""]
    for child in element:
        kind = local_name(child)
        if kind == "s":
            texts.append(" " * min(_count(child, "c"), _MAX_BLANKS))
        elif kind == "tab":
            texts.append("\t")
        elif kind == "line-break":
            texts.append("\n")
        elif kind == "note":
            words = (_flat(_inline(p, notes)) for p in child.iterfind("{*}note-body/{*}p"))
            notes.texts.append(" ".join(filter(None, words)))
        elif kind == "annotation":
            words = (_flat(_inline(p, notes)) for p in child.iter("{*}p"))
            if text := " ".join(filter(None, words)):
                notes.texts.append(f"Comment: {text}")
        elif kind not in _SKIPPED and kind not in ("frame", "custom-shape", "ruby-text"):
            texts.append(_inline(child, notes))
        texts.append(child.tail or "")
    return "".join(texts)


# Presentations


def _presentation(source: Source, file: _File) -> Document:
    slides = [_slide(page) for page in file.body.iterfind("{*}page")]
    return slides_document(source, slides, title=file.title)


def _slide(page: Any) -> Slide:
    notes = _Notes()
    pieces: list[Piece] = []
    for shape in page:
        kind = local_name(shape)
        role = next((v for k, v in shape.attrib.items() if k.endswith("}class")), "")
        if kind == "notes":
            words = [_flat(_inline(p, notes)) for p in shape.iter("{*}p")]
            text = "\n".join(filter(None, words))
            pieces.append(Piece(f"Notes: {text}" if text else ""))
        elif kind == "annotation":
            words = [_flat(_inline(p, notes)) for p in shape.iter("{*}p")]
            pieces.append(Piece(f"Comment: {' '.join(filter(None, words))}"))
        elif role == "title":
            words = [_flat(_inline(p, notes)) for p in shape.iter("{*}p", "{*}h")]
            pieces.insert(0, Piece(heading(1, " ".join(words)), "title"))
        else:
            pieces += _shape(shape, notes, furniture=role in _FURNITURE)
    pieces += [Piece(text) for text in notes.texts]
    return Slide(tuple(pieces))


def _shape(shape: Any, notes: _Notes, *, furniture: bool) -> Iterator[Piece]:
    _, starts = join_blocks(_blocks([shape], notes))
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
        rows = list(_rows(element, budget, notes, merges))
        fill_merged(rows, merges, budget)
        hidden = names.get("style-name", "") in styles
        shapes = (p for s in element.iterfind("{*}shapes") for p in s.iter("{*}p"))
        texts = [text for p in shapes if (text := _flat(_inline(p, _Notes())))]
        sheets.append(Sheet(names.get("name", ""), rows, hidden, notes, texts))
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
    element: Any, budget: CellBudget, notes: list[tuple[str, str]], merges: list[Merge]
) -> Iterator[Row]:
    number = 1
    for row in element.iter("{*}table-row"):
        times = _count(row, "number-rows-repeated")
        cells = _row_cells(row, number, notes, merges)
        if cells:
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
        times = _count(cell, "number-columns-repeated")
        words = (_flat(_inline(p, _Notes())) for p in cell if local_name(p) in ("p", "h"))
        text = " ".join(" ".join(filter(None, words)).split()) or _stored(cell)
        for comment in cell.iterfind("{*}annotation"):
            said = " ".join(_flat(_inline(p, _Notes())) for p in comment.iter("{*}p"))
            notes.append((f"{column_letters(column)}{number}", said))
        if text and (down := _count(cell, "number-rows-spanned")) > 1:
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
    return _flat(next((values[name] for name in names if values.get(name)), ""))


def _count(element: Any, name: str) -> int:
    value = next((v for k, v in element.attrib.items() if k.rpartition("}")[2] == name), "1")
    return max(int(value), 1) if value.isascii() and value.isdigit() and len(value) < 10 else 1


def _flat(text: str) -> str:
    """Lines without blanks at their ends, one space where there were several."""
    lines = (" ".join(line.split()) for line in normalise(text).split("\n"))
    return "\n".join(line for line in lines if line)
