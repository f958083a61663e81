"""Rich Text Format, read token by token.

kreuzberg and unstructured (through pandoc) both lose the encodings of Asian RTF, which change with
the font; kreuzberg is the fallback where this reader finds nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from ingest.documents import Document, Mark, Page
from ingest.errors import LoadError
from ingest.loaders.blocks import Block, headed, is_table, join_blocks, table
from ingest.loaders.encoding import normalise
from ingest.loaders.registry import Source
from ingest.loaders.sections import sections_at, sensible_title, title_of

_TOKEN = re.compile(
    rb"\\([a-zA-Z]{1,32})(-?\d{1,10})? ?|\\'([0-9a-fA-F]{2})|\\([^a-zA-Z'])|([{}])|([^\\{}\r\n]+)"
    rb"|[\r\n]+"
)
# groups that hold no text of the document
_SKIPPED = frozenset(
    b"colortbl datastore fldinst filetbl generator info listtable listoverridetable pict objdata"
    b" themedata colorschememapping latentstyles revtbl rsidtbl xmlnstbl userprops bkmkstart"
    b" mmathPr bkmkend nonshppict atnid atnauthor atndate atnref atntime atrfstart atrfend template"
    b" objclass objname pnseclvl sp wgrffmtfilter defchp defpap pgptbl ftnsep ftnsepc aftnsep"
    b" aftnsepc aftncn ftncn xe tc txe rxe shprslt".split()
)
_NOTES = frozenset((b"footnote", b"annotation"))
_RUNNING = frozenset(b"header headerl headerr headerf footer footerl footerr footerf".split())
_CHARSETS = {
    0: "cp1252", 77: "mac_roman", 128: "cp932", 129: "cp949", 130: "cp949", 134: "gb18030",
    136: "big5hkscs", 161: "cp1253", 162: "cp1254", 163: "cp1258", 177: "cp1255", 178: "cp1256",
    186: "cp1257", 204: "cp1251", 222: "cp874", 238: "cp1250",
}  # fmt: skip
_PAGES = {65001: "utf-8", 936: "gb18030", 950: "big5hkscs", 932: "cp932", 949: "cp949",
          10000: "mac_roman", 1361: "johab", 437: "cp437", 850: "cp850", 708: "cp1256"}  # fmt: skip
_SYMBOLS = {
    b"par": "\n", b"line": "\v", b"tab": "\t", b"emdash": "—", b"endash": "–", b"lquote": "‘",
    b"rquote": "’", b"ldblquote": "“", b"rdblquote": "”", b"bullet": "•", b"enspace": " ",
    b"emspace": " ", b"qmspace": " ", b"softline": "\v",
}  # fmt: skip
_BULLET = re.compile(r"(?:[•·▪◦o\-–\uf0a7\uf0b7\uf06e]|\uf0d8)\s*")
_HEADING_NAME = re.compile(r"(?:heading|标题|標題|見出し|Überschrift|Titre) ?([1-9])|title;", re.I)
_MAX_DEPTH = 2_000
_MAX_HEADING = 200


@dataclass(frozen=True, slots=True)
class _State:
    """What a group inherits and its end restores."""

    target: str = "body"  # body, box, note, running, style, font, title, list, none
    encoding: str = ""
    skip: int = 1  # bytes to leave out after a \u
    hidden: bool = False


@dataclass(slots=True)
class _Paragraph:
    level: int = 0
    style: int = -1
    in_table: bool = False
    label: str = ""


@dataclass(slots=True)
class _Reader:
    """The document as it is put together."""

    encoding: str = "cp1252"
    fonts: dict[int, str] = field(default_factory=dict)
    default_font: int = 0
    styles: dict[int, int] = field(default_factory=dict)  # number -> heading level
    blocks: list[Block] = field(default_factory=list)
    texts: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    boxes: list[str] = field(default_factory=list)  # those in the paragraph at hand
    running: dict[str, None] = field(default_factory=dict)
    rows: list[list[str]] = field(default_factory=list)
    row: list[str] = field(default_factory=list)
    paragraph: _Paragraph = field(default_factory=_Paragraph)
    raw: bytearray = field(default_factory=bytearray)
    font: int = 0
    style: int = 0
    page: int = 1
    to_skip: int = 0


def load_rtf(source: Source) -> Document:
    """A text: headings by style and outline level, lists, tables, notes at the end, pages."""
    if not source.data.lstrip()[:5] == b"{\\rtf":
        raise LoadError(source.uri, "is damaged: no RTF inside")
    reader = _Reader()
    _read(source.data, reader)
    running = [Block(text) for text in reader.running if any(map(str.isalpha, text))]
    notes = [Block(note) for note in reader.notes if note]
    text, starts = join_blocks([*running, *reader.blocks, *notes])
    sections = sections_at(starts, len(text))
    title = " ".join("".join(reader.texts.get("title", ())).split())
    heads = {id(block) for block in running}
    marks = [
        Mark("boilerplate" if id(block) in heads else "table", start, start + len(block.text))
        for start, block in starts
        if id(block) in heads or is_table(block.text)
    ]
    return Document(
        uri=source.uri,
        sha256=source.sha256,
        text=text,
        title=sensible_title(normalise(title)) or title_of(sections) or source.stem,
        media_type=source.media_type,
        pages=_pages(starts, len(text)) if reader.page > 1 else (),
        sections=sections,
        marks=tuple(marks),
    )


def _pages(starts: list[tuple[int, Block]], length: int) -> tuple[Page, ...]:
    heads: dict[int, int] = {}
    for start, block in starts:
        heads.setdefault(block.page or 1, start)
    ordered = sorted(heads.items())
    ends = [*(start for _, start in ordered[1:]), length]
    return tuple(Page(n, start, end) for (n, start), end in zip(ordered, ends, strict=True))


def _read(data: bytes, reader: _Reader) -> None:
    stack: list[_State] = []
    state = _State()
    fresh = ignorable = False  # just after {, after {\*
    place, end = 0, len(data)
    while place < end:
        match = _TOKEN.match(data, place)
        if match is None:
            place += 1
            continue
        place = match.end()
        word, number, byte, symbol, brace, text = match.groups()
        if brace == b"{":
            if len(stack) < _MAX_DEPTH:
                stack.append(state)
            fresh, ignorable = True, False
            continue
        if brace == b"}":
            _flush(reader, state)
            if state.target == "style":
                _name_style(reader)
            before = stack.pop() if stack else _State(target="none")
            if before.target != state.target:
                _close(reader, state.target)
            state, fresh, ignorable = before, False, False
            continue
        if text is not None or byte is not None:
            content = text if text is not None else bytes([int(byte, 16)])
            if reader.to_skip:
                dropped = min(reader.to_skip, len(content))
                reader.to_skip -= dropped
                content = content[dropped:]
            reader.raw += content
            fresh = False
            continue
        if symbol is not None:
            if symbol == b"*" and fresh:
                ignorable = True
                continue
            _flush(reader, state)
            _symbol(reader, state, symbol)
            continue
        if word is None:
            continue
        if word == b"bin" and number:
            place += max(int(number), 0)
            continue
        new = _word(reader, state, word, int(number) if number else None, fresh, ignorable)
        state, fresh, ignorable = new, False, False
    _flush(reader, state)
    _end_paragraph(reader, "")
    _end_table(reader)


def _word(
    reader: _Reader, state: _State, word: bytes, number: int | None, fresh: bool, ignorable: bool
) -> _State:
    """Obey one control word; the state that holds from there."""
    if word == b"u" and number is not None:
        _flush(reader, state)
        _write(reader, state, chr(number & 0xFFFF))
        reader.to_skip = state.skip
        return state
    reader.to_skip = 0
    if word in _SYMBOLS or word in (b"cell", b"row", b"page", b"nestcell", b"nestrow", b"sect"):
        _flush(reader, state)
        _structure(reader, state, word)
        return state
    if word == b"uc":
        return replace(state, skip=min(max(number or 0, 0), 10))
    if word in (b"f", b"af") and number is not None:
        _flush(reader, state)
        reader.font = number
        if state.target == "font":
            return state
        return replace(state, encoding=reader.fonts.get(number, "")) if word == b"f" else state
    if word in (b"v", b"deleted"):  # hidden, or taken out by a reviewer
        _flush(reader, state)
        return replace(state, hidden=number != 0)
    if word == b"plain":
        _flush(reader, state)
        return replace(state, encoding=reader.fonts.get(reader.default_font, ""), hidden=False)
    if word in _DESTINATIONS or word in _NOTES or word in _RUNNING or word in _SKIPPED:
        _flush(reader, state)
        return _entered(state, word)
    if ignorable:
        return replace(state, target="none")
    _format(reader, state, word, number)
    return state


_DESTINATIONS = {
    b"fonttbl": "font", b"stylesheet": "style", b"title": "title", b"pntext": "list",
    b"listtext": "list", b"shpinst": "", b"shptxt": "box", b"fldrslt": "",
}  # fmt: skip


def _entered(state: _State, word: bytes) -> _State:
    if state.target == "none" and word != b"title":
        return state
    if word == b"title":
        return replace(state, target="title")
    if word == b"info":
        return replace(state, target="none")
    if word in _NOTES:
        return replace(state, target="note")
    if word in _RUNNING:
        return replace(state, target="running")
    if word == b"shptxt" and state.target != "body":  # a box in a header, or in a box
        return state
    if word in _DESTINATIONS:
        return replace(state, target=_DESTINATIONS[word] or state.target)
    return replace(state, target="none")


def _format(reader: _Reader, state: _State, word: bytes, number: int | None) -> None:
    """Words that say how the paragraph, the fonts or the styles are."""
    if word == b"ansicpg" and number:
        reader.encoding = _code_page(number)
    elif word in (b"mac", b"pc", b"pca"):
        reader.encoding = {b"mac": "mac_roman", b"pc": "cp437", b"pca": "cp850"}[word]
    elif word == b"deff":
        reader.default_font = number or 0
    elif word == b"fcharset" and state.target == "font":
        if number in _CHARSETS and number:
            reader.fonts[reader.font] = _CHARSETS[number]
    elif word == b"cpg" and state.target == "font" and number:
        reader.fonts[reader.font] = _code_page(number)
    elif word == b"outlinelevel" and number is not None and number < 9:
        if state.target == "style":
            reader.styles[reader.style] = number + 1
        else:
            reader.paragraph.level = number + 1
    elif word == b"s" and number is not None:
        if state.target == "style":
            reader.style = number
        else:
            reader.paragraph.style = number
    elif word == b"intbl":
        reader.paragraph.in_table = True
    elif word == b"pard":
        label = reader.paragraph.label
        reader.paragraph = _Paragraph(label=label)


def _code_page(number: int) -> str:
    name = _PAGES.get(number, f"cp{number}")
    try:
        "".encode(name)
    except LookupError:
        return "cp1252"
    return name


def _symbol(reader: _Reader, state: _State, symbol: bytes) -> None:
    if symbol in (b"\n", b"\r"):
        _structure(reader, state, b"par")
    else:
        shown = {b"~": " ", b"_": "-", b"-": "", b"\t": "\t", b"|": "", b":": ""}
        _write(reader, state, shown.get(symbol, symbol.decode("latin-1")))


def _flush(reader: _Reader, state: _State) -> None:
    """Decode the bytes collected, which may be parts of one character each."""
    if reader.raw:
        encoding = state.encoding or reader.encoding
        _write(reader, state, bytes(reader.raw).decode(encoding, "replace"))
        reader.raw.clear()


def _write(reader: _Reader, state: _State, text: str) -> None:
    if state.target != "none" and not state.hidden:
        reader.texts.setdefault(state.target, []).append(text)


def _structure(reader: _Reader, state: _State, word: bytes) -> None:
    if state.target == "box" and word in (b"par", b"line", b"row"):
        _write(reader, state, "\n")
        return
    if state.target != "body":
        _write(reader, state, " " if word in _SYMBOLS and word != b"tab" else "\t")
        return
    if word in (b"cell", b"nestcell"):
        reader.row.append(" ".join(_taken(reader, "body").split()))
    elif word in (b"row", b"nestrow"):
        if reader.row:
            reader.rows.append(reader.row)
        reader.row = []
    elif word in (b"par", b"sect", b"page"):
        _end_paragraph(reader, "\n" if reader.paragraph.in_table else "")
        reader.page += word == b"page"
    else:
        _write(reader, state, _SYMBOLS[word])


def _taken(reader: _Reader, target: str) -> str:
    text = "".join(reader.texts.pop(target, ()))
    # characters beyond U+FFFF come as two \u
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _end_paragraph(reader: _Reader, glue: str) -> None:
    if glue:
        reader.texts.setdefault("body", []).append(glue)
        return
    _end_table(reader)
    paragraph = reader.paragraph
    text = _flat(_taken(reader, "body"))
    level = paragraph.level or reader.styles.get(paragraph.style, 0)
    label, paragraph.label = paragraph.label, ""
    boxes, reader.boxes = reader.boxes, []
    if text:
        _add(reader, text, label, level)
    reader.blocks += [Block(box, page=reader.page) for box in boxes]


def _add(reader: _Reader, text: str, label: str, level: int) -> None:
    """A paragraph with its number or bullet."""
    if level and len(text) <= _MAX_HEADING:
        reader.blocks.append(headed(level, f"{label} {text}", reader.page))
    elif label:
        mark = "-" if _BULLET.fullmatch(label) else label
        reader.blocks.append(Block(f"{mark} {text}", 1, reader.page))
    else:
        reader.blocks.append(Block(text, page=reader.page))


def _end_table(reader: _Reader) -> None:
    if reader.row:
        reader.rows.append(reader.row)
        reader.row = []
    if reader.rows:
        reader.blocks.append(Block(normalise(table(reader.rows)), page=reader.page))
        reader.rows = []


def _close(reader: _Reader, target: str) -> None:
    """The end of a group that was no text of the body."""
    if target == "title":
        return
    text = _flat(_taken(reader, target)) if target != "body" else ""
    if target == "note":
        reader.notes.append(" ".join(text.split()))
    elif target == "running":
        reader.running[" ".join(text.split())] = None
    elif target == "box":
        reader.boxes.append(text)
    elif target == "list":
        reader.paragraph.label = " ".join(text.split())


def _name_style(reader: _Reader) -> None:
    """One style of the style sheet: `heading 2;` is of level 2 whatever else it says."""
    name = _HEADING_NAME.match(_taken(reader, "style").strip())
    if name:
        reader.styles[reader.style] = int(name[1] or 1)
    reader.style = 0


def _flat(text: str) -> str:
    lines = (" ".join(line.split()) for line in normalise(text.replace("\v", "\n")).split("\n"))
    return "\n".join(line for line in lines if line)
