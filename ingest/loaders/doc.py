"""Word 97-2003 (.doc) without LibreOffice: our reading of the piece table, kreuzberg's headings.

kreuzberg finds all words and knows headings, but joins paragraphs and drops tables and notes; the
piece table keeps them. Where one of the two fails, the other goes alone. unstructured needs
LibreOffice for this format.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ingest.documents import Document, Mark, Page, Scalar
from ingest.errors import LoadError
from ingest.loaders.blocks import Block, headed, is_table, join_blocks, markdown_blocks, table
from ingest.loaders.encoding import normalise
from ingest.loaders.ole import OleFile, kreuzberg_markdown
from ingest.loaders.registry import Source
from ingest.loaders.sections import sections_at, sensible_title, title_of

_WORD_97 = 0x00C1  # nFib of the format that is read here
_COUNTS = 0x4C  # in the FIB: characters of text, footnotes, headers, macros, comments, endnotes...
_CLX = 0x01A2
_FIELD = re.compile("\x13[^\x13\x14\x15]*\x14([^\x13\x15]*)\x15|\x13[^\x13\x14\x15]*\x15")
_CONTROLS = str.maketrans({"\x1e": "-", "\x1f": "", "\x0b": "\n", "\x01": "", "\x02": "",
                           "\x03": "", "\x04": "", "\x05": "", "\x08": "", "\x13": "",
                           "\x14": "", "\x15": ""})  # fmt: skip
_PUNCTUATION = re.compile(r"\W+")
_MAX_HEADING = 200


def load_doc(source: Source) -> Document:
    """An old Word document: paragraphs, headings, tables; notes, comments and text boxes last."""
    quality: dict[str, Scalar] = {}
    with OleFile(source.data, source.uri) as ole:
        stream = ole.read("WordDocument")
        if not stream:
            raise LoadError(source.uri, "is damaged: no WordDocument inside")
        if len(stream) > 12 and stream[0x0B] & 1:
            raise LoadError(source.uri, "is password protected")
        title = ole.title()
        parts = _parts(stream, ole)
    try:
        markdown = kreuzberg_markdown(source.data, source.media_type, source.uri)
    except LoadError:
        markdown = ""
    blocks = _blocks(parts, _headings(markdown)) if parts else []
    if not any(block.text.strip() for block in blocks):
        quality["fallback"] = "kreuzberg"
        blocks = markdown_blocks(normalise(markdown))
    text, starts = join_blocks(blocks)
    sections = sections_at(starts, len(text))
    marks = [Mark("table", start, start + len(block.text)) for start, block in starts
             if is_table(block.text)]  # fmt: skip
    running = parts[2] if len(parts) > 2 else ""
    marks += _running_marks(starts, running)
    return Document(
        uri=source.uri,
        sha256=source.sha256,
        text=text,
        title=sensible_title(normalise(title)) or title_of(sections) or source.stem,
        media_type=source.media_type,
        pages=_pages(starts, len(text)),
        sections=sections,
        marks=tuple(sorted(marks, key=lambda mark: mark.start)),
        quality=quality,
    )


def _parts(stream: bytes, ole: OleFile) -> list[str]:
    """Text, footnotes, headers, macros, comments, endnotes, text boxes; [] for other versions."""
    if int.from_bytes(stream[2:4], "little") < _WORD_97 or len(stream) < _CLX + 8:
        return []
    tables = ole.read("1Table" if stream[0x0B] & 2 else "0Table")
    start, size = (int.from_bytes(stream[at : at + 4], "little") for at in (_CLX, _CLX + 4))
    text = "".join(_pieces(stream, tables[start : start + size]))
    counts = [
        int.from_bytes(stream[at : at + 4], "little") for at in range(_COUNTS, _COUNTS + 32, 4)
    ]
    parts, place = [], 0
    for count in counts:
        parts.append(text[place : place + count])
        place += count
    return parts


def _pieces(stream: bytes, clx: bytes) -> Iterator[str]:
    place = 0
    while place + 3 <= len(clx) and clx[place] == 1:  # formatting, which comes first
        place += 3 + int.from_bytes(clx[place + 1 : place + 3], "little")
    if place >= len(clx) or clx[place] != 2:
        return
    size = int.from_bytes(clx[place + 1 : place + 5], "little")
    plc = clx[place + 5 : place + 5 + size]
    number = (len(plc) - 4) // 12
    total = 0
    for piece in range(max(number, 0)):
        first, last = (
            int.from_bytes(plc[4 * at : 4 * at + 4], "little") for at in (piece, piece + 1)
        )
        at = 4 * (number + 1) + 8 * piece + 2
        where = int.from_bytes(plc[at : at + 4], "little")
        length = max(last - first, 0)
        total += length
        if total > 2 * len(stream):  # pieces that repeat the same bytes are a trap
            return
        if where & 0x40000000:
            where = (where & 0x3FFFFFFF) // 2
            yield stream[where : where + length].decode("cp1252", "replace").ljust(length)
        else:
            raw = stream[where : where + 2 * length]
            # one code unit, one character: offsets into the text count units
            yield "".join(chr(raw[i] | raw[i + 1] << 8) for i in range(0, len(raw) - 1, 2))


def _blocks(parts: list[str], levels: dict[str, int]) -> list[Block]:
    body, notes, running, _, comments, ends, boxes, *_ = [*parts, *[""] * 8]
    blocks = [Block(text) for text in _running(running)]
    blocks += _paragraphs(body, levels)
    blocks += _paragraphs(boxes, {})
    blocks += [Block(line) for line in _lines(notes)]
    blocks += [Block(line) for line in _lines(ends)]
    blocks += [Block(f"Comment: {line}") for line in _lines(comments)]
    return blocks


def _running(text: str) -> list[str]:
    """Headers and footers, each once; page numbers alone are none."""
    return [t for t in dict.fromkeys(_lines(text)) if any(map(str.isalpha, t))]


def _running_marks(starts: list[tuple[int, Block]], running: str) -> Iterator[Mark]:
    texts = set(_running(running))
    for start, block in starts:
        if block.text not in texts:
            return
        yield Mark("boilerplate", start, start + len(block.text))


def _lines(text: str) -> Iterator[str]:
    for line in _plain(text).split("\r"):
        if flat := " ".join(line.replace("\x07", " ").split()):
            yield flat


def _paragraphs(text: str, levels: dict[str, int]) -> Iterator[Block]:
    """Paragraphs and tables: a cell ends in \\x07, a row in one more."""
    page = 1
    rows: list[list[str]] = []
    row: list[str] = []
    cell: list[str] = []
    for line in re.findall("[^\r\x07\x0c]*[\r\x07\x0c]?", _plain(text)):
        content, end = (line[:-1], line[-1:]) if line[-1:] in ("\r", "\x07", "\x0c") else (line, "")
        flat = _flat(content)
        if end == "\x07":
            if not flat and not cell and row:
                rows.append(row)
                row = []
            else:
                row.append(" ".join([*cell, " ".join(flat.split())]).strip())
                cell = []
            continue
        if row:  # a paragraph inside a cell
            cell.append(" ".join(flat.split()))
            continue
        if rows:
            yield Block(table(rows), page=page)
            rows = []
        level = levels.get(_key(flat), 0)
        yield headed(level, flat, page) if level else Block(flat, page=page)
        page += end == "\x0c"
    if row or rows:
        yield Block(table([*rows, row]), page=page)


def _plain(text: str) -> str:
    """Fields become what they show; characters beyond U+FFFF become one."""
    for _ in range(5):  # fields stand in fields
        text, found = _FIELD.subn(lambda match: match[1] or "", text)
        if not found:
            break
    text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text.translate(_CONTROLS)


def _headings(markdown: str) -> dict[str, int]:
    """Heading level by the text of the paragraph."""
    found: dict[str, int] = {}
    for line in markdown.split("\n"):
        marks, blank, text = line.partition(" ")
        if blank and marks and set(marks) == {"#"} and len(text) <= _MAX_HEADING:
            found[_key(text)] = len(marks)
    return {key: level for key, level in found.items() if key}


def _key(text: str) -> str:
    return _PUNCTUATION.sub("", text)


def _flat(text: str) -> str:
    lines = (" ".join(line.split()) for line in normalise(text).split("\n"))
    return "\n".join(line for line in lines if line)


def _pages(starts: list[tuple[int, Block]], length: int) -> tuple[Page, ...]:
    """Pages where the author broke them; none where he did not."""
    heads: dict[int, int] = {}
    for start, block in starts:
        if block.page:
            heads.setdefault(block.page, start)
    if len(heads) < 2:
        return ()
    ordered = sorted(heads.items())
    ends = [*(start for _, start in ordered[1:]), length]
    return tuple(Page(n, start, end) for (n, start), end in zip(ordered, ends, strict=True))
