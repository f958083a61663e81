"""HTML: selectolax's parser and a walker of ours that writes Markdown-like text.

Measured on the HTML of docs-mixed: all four libraries find the 4 phrases, so what else they do
decides. This: 5-15 MB/s, furniture and hidden text gone. html-to-markdown: 12 MB/s, keeps headers,
footers and link targets (the Wikipedia page is 71,550 characters, here 23,878). markdownify:
2 MB/s, keeps the menus too. unstructured's partition_html: 1 MB/s, keeps footers and display:none,
turns list items and tables into flat text. lexbor also takes nesting that libxml2 cuts off.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice

from selectolax.lexbor import LexborHTMLParser, LexborNode

from ingest.documents import Document, Scalar
from ingest.loaders.blocks import Block, fenced, headed, join_blocks, table
from ingest.loaders.encoding import Decoded, fits, normalise
from ingest.loaders.equations import mathml, raised, spaced
from ingest.loaders.html_tree import is_left_out
from ingest.loaders.markdown import decode_source, quality_of
from ingest.loaders.registry import Source
from ingest.loaders.sections import sections_at, sensible_title, title_of

_BLOCK_NAMES = (
    "address article aside blockquote body center dd details dir div dl dt fieldset figcaption"
    " figure footer form header hgroup hr html legend li main menu nav ol p section summary ul"
    " caption table tbody td tfoot th thead tr pre h1 h2 h3 h4 h5 h6 search turbo-frame"
)
_BLOCKS = frozenset(_BLOCK_NAMES.split())
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_LAYOUT = "td h1, td h2, td h3, td h4, article, section"  # what no cell of data holds
_LISTING = "pre, ul, ol"  # what a cell of data holds now and then
_DESCRIBES = 3  # blanks, or twice as many signs of Chinese; less is a name: Logo, Search icon
_CHINESE = re.compile("[\u2e80-\u9fff\uac00-\ud7af]")
_MAX_SPAN = 100  # cells; a page may ask for colspan="1000000000"
_MAX_INDENT = 8  # levels of lists
_CHARSET = re.compile(rb"charset\s*=\s*[\"']?\s*([a-zA-Z0-9_.:\-]+)|encoding=[\"']([\w.\-]+)", re.I)
_SPACES = re.compile(r"[ \t\n\f\r\xa0\u2000-\u200a\u202f\u3000]+")
# 256 start tags in a row, and the rest of the run. Only traps look like that, and lexbor's time is
# quadratic in depth: 9 s for 100,000 nested <div>.
_DEEP = re.compile(r"((?:<[a-zA-Z][^<>]*>\s*){256})(?:<[a-zA-Z][^<>]*>\s*)+")


def load_html(source: Source) -> Document:
    """An HTML page: headings, lists, tables and code keep their form, the page's furniture goes."""
    decoded, tree = parse_page(source)
    text, starts = join_blocks(page_blocks(tree))
    sections = sections_at(starts, len(text))
    named = tree.css_first("title")
    title = sensible_title(normalise(named.text())) if named is not None else ""
    return Document(
        uri=source.uri,
        sha256=source.sha256,
        text=text,
        title=title or title_of(sections) or source.stem,
        media_type=source.media_type,
        sections=sections,
        metadata=_metadata(tree) | {"encoding": decoded.encoding},
        quality=quality_of(decoded),
    )


def parse_page(source: Source) -> tuple[Decoded, LexborHTMLParser]:
    """The text of a page and its tree."""
    decoded = decode_source(source, declared=declared_encoding(source.data))
    return decoded, LexborHTMLParser(_DEEP.sub(r"\1", decoded.text.replace("\f", " ")))


def declared_encoding(data: bytes) -> str | None:
    """The first encoding that the markup names and that the content agrees with."""
    names = [(a or b).decode("ascii") for a, b in _CHARSET.findall(data[:65536])]
    return next((name for name in dict.fromkeys(names[:8]) if fits(data, name)), None)


def page_blocks(tree: LexborHTMLParser) -> list[Block]:
    """The blocks of a page: all of it where it is nothing but navigation and footers."""
    return blocks_of(tree) or blocks_of(tree, furniture=True)


def blocks_of(tree: LexborHTMLParser, *, furniture: bool = False) -> list[Block]:
    """The blocks with words of a page; `furniture=True` keeps navigation and footers."""
    root = tree.body or tree.root
    if root is None:
        return []
    writer = _Writer()
    _walk(root, writer, furniture=furniture)
    writer.flush()
    blocks = [replace(block, text=normalise(block.text)) for block in writer.blocks]
    return [block for block in blocks if block.text.strip()]


def render(tree: LexborHTMLParser) -> str:
    """The text of a page without its furniture."""
    return join_blocks(blocks_of(tree))[0]


def table_text(node: LexborNode, *, furniture: bool = False) -> str:
    """A table of data as `| a | b |` lines."""
    rows: list[list[str]] = []
    covered: list[int] = []
    pending: dict[int, tuple[int, str]] = {}  # column -> (rows to go, text) of a rowspan
    for row in node.css("tr"):
        if _is_in(row, node):
            covered = covered if rows else _covered(row)
            rows.append(_cells(row, pending, furniture=furniture))
    return table(rows, covered)


def _covered(row: LexborNode) -> list[int]:
    """The columns of the first row over which a cell to their left reaches."""
    columns: list[int] = []
    width = 0
    for cell in row.iter():
        if cell.tag in ("td", "th"):
            span = _span(cell, "colspan")
            columns += range(width + 1, width + span)
            width += span
    return columns


@dataclass(slots=True)
class _List:
    ordered: bool
    number: int


@dataclass(slots=True)
class _Writer:
    """Collects inline text and closes it into blocks; `cell`: to stand on one line of a table."""

    cell: bool = False
    blocks: list[Block] = field(default_factory=list)
    lists: list[_List] = field(default_factory=list)
    inline: list[str] = field(default_factory=list)
    list_number: int = 0  # counts the outermost lists
    marker: str = ""  # of the list item whose first line is still to come

    def flush(self, *, level: int = 0) -> None:
        """Close the inline text as a paragraph, a list item's line, or a heading of `level`."""
        text = "".join(self.inline)
        self.inline.clear()
        lines = [flat for line in text.split("\v") if (flat := _SPACES.sub(" ", line).strip())]
        if not lines:
            return
        if level and not self.cell:
            self.blocks.append(headed(level, " ".join(lines)))
        else:
            self.add("\n".join(lines))

    def add(self, text: str) -> None:
        """A block, indented and marked as the lists around it ask."""
        if not text.strip():
            return
        depth = min(len(self.lists), _MAX_INDENT)
        if not depth:
            self.blocks.append(Block(text))
            return
        indent = "  " * (depth - 1)
        first = indent + (self.marker or "  ")
        rest = indent + " " * len(self.marker or "  ")
        self.marker = ""
        head, *tail = text.split("\n")
        lines = [first + head, *((rest + line).rstrip() for line in tail)]
        self.blocks.append(Block("\n".join(lines), self.list_number))

    def enter(self, node: LexborNode, tag: str) -> None:
        """The start of a block element."""
        self.flush()
        if tag in ("ul", "ol", "menu", "dir"):
            self.list_number += not self.lists
            self.lists.append(_List(tag == "ol", _count(node, "start") or 1))
        elif tag == "li":
            self._open_item(_count(node, "value"))

    def leave(self, tag: str) -> None:
        """The end of a block element."""
        self.flush(level=int(tag[1]) if tag in _HEADINGS else 0)
        if tag in ("ul", "ol", "menu", "dir") and self.lists:
            self.lists.pop()
        elif tag == "li":
            self.marker = ""

    def _open_item(self, number: int | None) -> None:
        if not self.lists:
            self.marker = ""
            return
        current = self.lists[-1]
        current.number = current.number if number is None else number
        self.marker = f"{current.number}. " if current.ordered else "- "
        current.number += 1


def _count(node: LexborNode, name: str) -> int | None:
    value = node.attributes.get(name) or ""
    return int(value) if re.fullmatch(r"\d{1,6}", value) else None


def _walk(root: LexborNode, writer: _Writer, *, furniture: bool) -> None:
    """Depth first without recursion: pages nest 100,000 deep on purpose."""
    node: LexborNode | None = root
    while node is not None:
        tag = node.tag or ""
        below = _visit(node, tag, writer, furniture=furniture)
        if below is not None:
            node = below
            continue
        while node is not None:
            if node.mem_id == root.mem_id:
                return
            if node.next is not None:
                node = node.next
                break
            node = node.parent
            if node is not None and (tag := node.tag or "") in _BLOCKS:
                writer.leave(tag)


def _visit(node: LexborNode, tag: str, writer: _Writer, *, furniture: bool) -> LexborNode | None:
    """Write what `node` itself says; its first child where the walk shall go on below it."""
    if tag == "-text":
        writer.inline.append(node.text_content or "")
        return None
    if is_left_out(node, tag, furniture=furniture):
        return None
    if tag == "br":
        writer.inline.append("\v")
        return None
    if tag == "math":
        writer.inline.append(spaced("".join(writer.inline[-3:]), mathml(node)))
        return None
    if tag == "sup":
        writer.inline.append(raised("".join(writer.inline[-3:]), _beginning(node)))
        return node.child
    if tag == "pre":
        writer.flush()
        writer.add(_verbatim(node) if writer.cell else _code(node))
        return None
    if tag == "img":
        writer.inline.append(_description(node))
        return None
    if tag == "table" and not writer.cell and not _is_layout(node):
        writer.flush()
        for caption in node.css("caption"):
            writer.add(_inline_text(caption, furniture=furniture))
        writer.add(table_text(node, furniture=furniture))
        return None
    if tag not in _BLOCKS:
        return node.child
    writer.enter(node, tag)
    if node.child is None:
        writer.leave(tag)
    return node.child


def _description(image: LexborNode) -> str:
    """What an image shows, where its page says it in a few words at least; formulas as they are."""
    words = " ".join((image.attributes.get("alt") or "").split())
    if "\\" in words:
        return f" {words} "
    if words.count(" ") < _DESCRIBES and len(_CHINESE.findall(words)) < 2 * _DESCRIBES:
        return ""
    return f" ![{words.replace('[', '(').replace(']', ')')}] "


def _beginning(node: LexborNode) -> str:
    """The first words below a node, however much and deep the rest is."""
    below = islice(node.traverse(include_text=True), 8)
    return "".join(child.text_content or "" for child in below if child.tag == "-text")


def _is_layout(node: LexborNode) -> bool:
    """A table that places parts of the page: its cells hold blocks that no row of data holds.

    With a row of headers, or rows that are alike, lists and code are data too.
    """
    if node.attributes.get("role") in ("presentation", "none"):
        return True
    if any(child.css_first(_LAYOUT) is not None for child in node.iter()):
        return True
    if any(child.css_first("table") is not None for child in node.iter()):
        return _places_tables(node)
    if node.css_first(_LISTING) is None or node.css_first("th") is not None:
        return False
    widths = [sum(cell.tag == "td" for cell in row.iter()) for row in node.css("tr")]
    return len(widths) < 3 or min(widths) < 2 or len({*widths}) > 1


def _places_tables(node: LexborNode) -> bool:
    """Whether the tables in a table are what it is for: it has no headers, or fewer cells."""
    rows = (row for row in node.css("tr") if _is_in(row, node))
    own = [cell.tag for row in rows for cell in row.iter() if cell.tag in ("td", "th")]
    if "th" not in own:
        return True
    inner = (table for child in node.iter() for table in child.css("table"))
    return any(len(table.css("td, th")) >= len(own) for table in inner)


def _is_in(row: LexborNode, node: LexborNode) -> bool:
    """True where `row` belongs to the table `node`, not to one inside it."""
    parent = row.parent
    while parent is not None and parent.tag != "table":
        parent = parent.parent
    return parent is not None and parent.mem_id == node.mem_id


def _cells(row: LexborNode, pending: dict[int, tuple[int, str]], *, furniture: bool) -> list[str]:
    """The texts of a row by column: a rowspan repeats its text, a colspan leaves columns empty."""
    cells: list[str] = []

    def fill() -> None:
        while len(cells) in pending:
            left, text = pending.pop(len(cells))
            if left > 1:
                pending[len(cells)] = (left - 1, text)
            cells.append(text)

    for cell in row.iter():
        if cell.tag not in ("td", "th"):
            continue
        fill()
        text = _inline_text(cell, furniture=furniture)
        if (down := _span(cell, "rowspan")) > 1:
            pending[len(cells)] = (down - 1, text)
        cells += [text, *[""] * (_span(cell, "colspan") - 1)]
    fill()
    return cells


def _span(cell: LexborNode, name: str) -> int:
    value = cell.attributes.get(name) or "1"
    return min(int(value), _MAX_SPAN) if re.fullmatch(r"[1-9]\d{0,5}", value.strip()) else 1


def _inline_text(node: LexborNode, *, furniture: bool) -> str:
    """All of a node's text on one line."""
    writer = _Writer(cell=True)
    for child in node.iter(include_text=True):
        if child.tag == "-text":
            writer.inline.append(child.text_content or "")
        else:
            _walk(child, writer, furniture=furniture)
            if child.tag in _BLOCKS:
                writer.flush()
    writer.flush()
    return " ".join(" ".join(block.text.split()) for block in writer.blocks)


def _code(pre: LexborNode) -> str:
    code = pre.css_first("code")
    names = " ".join(n.attributes.get("class") or "" for n in (pre, code) if n is not None)
    match = re.search(r"(?:language|lang|highlight-source)-([\w+#.\-]{1,20})", names)
    text = normalise(_verbatim(pre))
    if re.fullmatch(r"[\d\s]+", text) and text.count("\n") > 1:
        return ""  # the line numbers beside a listing
    return fenced(text, match[1] if match else "")


def _verbatim(pre: LexborNode) -> str:
    return "".join(
        "\n" if node.tag == "br" else node.text_content or ""
        for node in pre.traverse(include_text=True)
        if node.tag in ("br", "-text")
    )


def _metadata(tree: LexborHTMLParser) -> dict[str, Scalar]:
    """The page's language and description, where it gives them."""
    return {key: value for key, value in _claims(tree) if value}


def _claims(tree: LexborHTMLParser) -> Iterator[tuple[str, str]]:
    root = tree.css_first("html")
    if root is not None:
        yield "language", (root.attributes.get("lang") or "").strip()
    description = tree.css_first('meta[name="description" i]')
    if description is not None:
        words = (description.attributes.get("content") or "").split()
        yield "description", normalise(" ".join(words))
