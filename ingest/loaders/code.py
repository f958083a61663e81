"""Source code as it is; its classes and functions are its sections, found by tree-sitter."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from itertools import accumulate
from typing import TYPE_CHECKING

from ingest.documents import Document, Section
from ingest.loaders.markdown import decode_source, quality_of
from ingest.loaders.registry import Source

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

# Parsing is linear but for broken or generated files: these are cut by their lines.
MAX_CHARACTERS, MAX_LINE = 1_000_000, 20_000
MAX_DEPTH = 12  # of nodes between two definitions
_GRAMMARS = {
    "csharp": ("tree_sitter_c_sharp", "language"),
    "tsx": ("tree_sitter_typescript", "language_tsx"),
    "typescript": ("tree_sitter_typescript", "language_typescript"),
    "php": ("tree_sitter_php", "language_php"),
}
_DEFINITION = re.compile(
    r"(?:async_)?(?:function|method|singleton_method|constructor|class|abstract_class|struct|union"
    r"|interface|trait|impl|enum|module|mod|namespace|object|protocol|record|type|macro|package"
    r"|internal_module|file_scoped_namespace|init|local_function)"
    r"(?:_signature)?(?:_definition|_declaration|_item|_statement|_spec|_specifier)?"
    r"|create_(?:table|function|view|procedure|trigger|type|index)(?:_statement)?"
)
_WRAPPERS = frozenset({"decorated_definition", "export_statement", "template_declaration"})
_ABOVE = re.compile(r".*comment.*|decorator|attribute_item|attribute|annotation")
_NAMES = ("name", "declarator", "type")
_IDENTIFIER = re.compile(r".*identifier|constant|object_reference|word|name|type_identifier")
_KINDS = (
    "class",
    "interface",
    "struct",
    "trait",
    "impl",
    "enum",
    "namespace",
    "object",
    "protocol",
)


def load_code(source: Source) -> Document:
    """A file of source code; line 1 is its first line."""
    decoded = decode_source(source)
    text = decoded.text.replace("\f", " ")
    language = source.media_type.removeprefix("text/x-")
    return Document(
        uri=source.uri,
        sha256=source.sha256,
        text=text,
        title=source.uri.rsplit("/", 1)[-1],
        media_type=source.media_type,
        sections=code_sections(text, language),
        metadata={"encoding": decoded.encoding, "language": language},
        quality=quality_of(decoded),
        first_line=1,
    )


def code_sections(text: str, language: str) -> tuple[Section, ...]:
    """Classes and functions of `text`, with the comments and decorators above them.

    None where the language's grammar is not installed, or the file is not one to parse.
    """
    lines = text.split("\n")
    if len(text) > MAX_CHARACTERS or max(map(len, lines)) > MAX_LINE:
        return ()
    parser = _parser(language)
    if parser is None:
        return ()
    tree = parser.parse(text.encode("utf-8", "replace"))
    if tree is None or tree.root_node is None:
        return ()
    starts = [0, *accumulate(len(line) + 1 for line in lines)]
    starts[-1] = len(text)
    found = [
        Section(name, level, starts[first], starts[min(last + 1, len(lines))])
        for name, level, first, last in _definitions(tree.root_node)
    ]
    found = [section for section in found if section.start < section.end]
    return tuple(sorted(found, key=lambda section: (section.start, section.level)))


def _parser(language: str) -> Parser | None:
    module, function = _GRAMMARS.get(language, (f"tree_sitter_{language}", "language"))
    try:
        from tree_sitter import Language, Parser

        return Parser(Language(getattr(import_module(module), function)()))
    except ImportError:
        return None


@dataclass(frozen=True, slots=True)
class _Visit:
    node: Node
    level: int
    depth: int
    first: int  # row where the definition begins that wraps this one; -1 for none


def _definitions(root: Node) -> Iterator[tuple[str, int, int, int]]:
    """(name, level, first row, last row) of each definition, without recursion."""
    todo = [_Visit(root, 1, 0, -1)]
    while todo:
        visit = todo.pop()
        level, depth = visit.level, visit.depth + 1
        if depth > MAX_DEPTH:
            continue
        above = -1  # first row of the comments that lead to the next node
        last_row = -2
        for node in visit.node.named_children:
            row, end = node.start_point.row, node.end_point.row
            if node.end_point.column == 0 and end > row:
                end -= 1
            if _ABOVE.fullmatch(node.type):
                above = above if above >= 0 and row <= last_row + 1 else row
                last_row = end
                continue
            first = above if above >= 0 and row <= last_row + 1 else row
            above = -1
            if 0 <= visit.first < first:
                first = visit.first
            if node.type in _WRAPPERS:
                todo.append(_Visit(node, level, depth, first))
            elif (name := _defined(node)) and end > row:
                yield name, level, first, end
                todo.append(_Visit(node, level + 1, 0, -1))
            elif end > row:
                todo.append(_Visit(node, level, depth, -1))


def _defined(node: Node) -> str:
    """`class Name` or `name` where `node` defines something that has a body; else ""."""
    if node.type in ("lexical_declaration", "variable_declaration"):
        return _assigned_function(node)
    if not _DEFINITION.fullmatch(node.type):
        return ""
    name = _name(node)
    kind = next((kind for kind in _KINDS if node.type.startswith(kind)), "")
    return f"{kind} {name}".strip() if name else ""


def _assigned_function(node: Node) -> str:
    for child in node.named_children:
        value = child.child_by_field_name("value")
        if value is not None and value.type in ("arrow_function", "function_expression"):
            return _name(child)
    return ""


def _name(node: Node) -> str:
    for _ in range(6):
        following = next(
            (found for field in _NAMES if (found := node.child_by_field_name(field))), None
        )
        if following is None:
            following = next(
                (c for c in node.named_children if _IDENTIFIER.fullmatch(c.type)), None
            )
        if following is None:
            break
        node = following
        if not node.named_children:
            break
    words = (node.text or b"").decode("utf-8", "replace").split()
    return " ".join(words)[:80] if node.parent is not None and len(words) <= 4 else ""
