"""reStructuredText, Org, AsciiDoc and TeX as they are: their headings are found by their form."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from ingest.documents import Document, Mark, Scalar, Section
from ingest.loaders.markdown import decode_source, quality_of
from ingest.loaders.media_types import ASCIIDOC, ORG, RST, TEX
from ingest.loaders.registry import Source

Heading = tuple[int, int, str]  # offset of its first line, level, title

_RST_RULE = re.compile(r"([!-/:-@\[-`{-~])\1{2,}[ \t]*\Z")
_ORG_HEADING = re.compile(r"^(\*{1,9})[ \t]+(.+?)(?:[ \t]+:[\w@#%:]+:)?[ \t]*$", re.M)
_ORG_TODO = re.compile(r"^(?:TODO|DONE|WAITING|NEXT|CANCELLED)[ \t]+|\[#[A-Z]\][ \t]*")
_ORG_TITLE = re.compile(r"^#\+TITLE:[ \t]*(.+)$", re.M | re.I)
_ORG_HIDDEN = re.compile(
    r"^[ \t]*:PROPERTIES:[ \t]*\n(?:.*\n){0,200}?[ \t]*:END:[ \t]*$|^[ \t]*# .*$", re.M | re.I
)
_ADOC_HEADING = re.compile(r"^(={1,6}|#{1,6})[ \t]+(\S.*?)(?:[ \t]+\1)?[ \t]*$", re.M)
_ADOC_BLOCK = re.compile(r"^(-{4,}|\.{4,}|={4,}|\*{4,}|_{4,}|\+{4,}|/{4,}|```.*)[ \t]*$", re.M)
_ADOC_COMMENT = re.compile(r"^//(?!/).*$", re.M)
_TEX_LEVELS = {
    "part": 1,
    "chapter": 1,
    "section": 2,
    "subsection": 3,
    "subsubsection": 4,
    "paragraph": 5,
    "frametitle": 3,
}
_TEX_HEADING = re.compile(
    rf"^[ \t]*\\({'|'.join(_TEX_LEVELS)})\*?[ \t]*(?:\[[^\]]{{0,500}}\])?[ \t]*\{{", re.M
)
_TEX_TITLE = re.compile(r"\\title\s*(?:\[[^\]]{0,500}\])?\s*\{")
_TEX_COMMENT = re.compile(r"^[ \t]*%.*$", re.M)
_TEX_ASIDE = re.compile(r"\\(?:label|footnote|thanks|index|cite\w*)\*?\{[^{}]*\}")
_TEX_COMMAND = re.compile(r"\\[a-zA-Z]+\*?(?:\[[^\]]{0,200}\])?[ \t]*|[{}$]")
_TEX_BEGIN = "\\begin{document}"


def load_markup(source: Source) -> Document:
    """A document in a markup language that people read as it is; line 1 is its first line."""
    decoded = decode_source(source)
    text = decoded.text.replace("\f", " ")
    headings_of, marks_of = _LANGUAGES[source.media_type]
    headings = list(headings_of(text))
    sections = sections_from(headings, len(text))
    title = _declared_title(text, source.media_type)
    metadata: dict[str, Scalar] = {"encoding": decoded.encoding}
    return Document(
        uri=source.uri,
        sha256=source.sha256,
        text=text,
        title=title or (sections[0].title if sections else source.stem),
        media_type=source.media_type,
        sections=sections,
        metadata=metadata,
        quality=quality_of(decoded),
        marks=tuple(marks_of(text)),
        first_line=1,
    )


def sections_from(headings: list[Heading], end: int) -> tuple[Section, ...]:
    """Sections that go on to the next heading of their level or above."""
    sections: list[Section] = []
    following: dict[int, int] = {}
    for start, level, title in reversed(headings):
        ends = (other for below, other in following.items() if below <= level)
        sections.append(Section(title, level, start, min(ends, default=end)))
        following[level] = start
    return tuple(reversed(sections))


def rst_headings(text: str) -> Iterator[Heading]:
    """Titles with a rule below, perhaps above too; levels in the order in which rules appear."""
    levels: dict[str, int] = {}
    lines = text.split("\n")
    offset, skip = 0, -1
    for row, line in enumerate(lines):
        start = offset
        offset += len(line) + 1
        if row <= skip or not line.strip() or row + 1 >= len(lines):
            continue
        rule = _RST_RULE.match(line)
        above = bool(rule) and row + 2 < len(lines) and lines[row + 2].rstrip() == line.rstrip()
        if rule and not above:
            continue
        title, below = (lines[row + 1], lines[row + 2]) if above else (line, lines[row + 1])
        found = _RST_RULE.match(below)
        if not found or not title.strip() or _RST_RULE.match(title.strip()):
            continue
        if len(below.rstrip()) < len(title.strip()) and len(below.rstrip()) < 4:
            continue
        if not above and (line[0] in " \t" or (row and lines[row - 1].strip())):
            continue
        style = found[1] + ("=" if above else "")
        yield start, levels.setdefault(style, len(levels) + 1), " ".join(title.split())[:300]
        skip = row + (2 if above else 1)


def _org_headings(text: str) -> Iterator[Heading]:
    for match in _ORG_HEADING.finditer(text):
        if title := _ORG_TODO.sub("", match[2]).strip():
            yield match.start(), len(match[1]), title[:300]


def _adoc_headings(text: str) -> Iterator[Heading]:
    blocks = _adoc_blocks(text)
    for match in _ADOC_HEADING.finditer(text):
        if not any(start <= match.start() < end for start, end in blocks):
            yield match.start(), len(match[1]), match[2][:300]


def _adoc_blocks(text: str) -> list[tuple[int, int]]:
    """Listings and other delimited blocks, where a `=` starts no heading."""
    blocks: list[tuple[int, int]] = []
    opened = ""
    start = 0
    for match in _ADOC_BLOCK.finditer(text):
        mark = match[1].strip()
        if not opened:
            opened, start = mark, match.start()
        elif mark == opened or (mark == "```" and opened.startswith("```")):
            blocks.append((start, match.end()))
            opened = ""
    return blocks[:1000]


def _tex_headings(text: str) -> Iterator[Heading]:
    for match in _TEX_HEADING.finditer(text):
        title = plain_tex(_braced(text, match.end()))
        if title:
            yield match.start(), _TEX_LEVELS[match[1]], title


def plain_tex(markup: str) -> str:
    """The words of a TeX argument, without commands, labels, notes and braces."""
    words = _TEX_ASIDE.sub("", markup.replace("\\\\", " ").replace("~", " "))
    return " ".join(_TEX_COMMAND.sub("", words).split())[:300]


def _braced(text: str, start: int) -> str:
    """What stands from `start` to the brace that closes there."""
    depth = 1
    for match in re.compile(r"[{}]").finditer(text, start, start + 2000):
        depth += 1 if match[0] == "{" else -1
        if not depth:
            return text[start : match.start()]
    return text[start : start + 80].partition("\n")[0]


def _declared_title(text: str, media_type: str) -> str:
    if media_type == ORG and (found := _ORG_TITLE.search(text[:10_000])):
        return " ".join(found[1].split())
    if media_type == TEX and (found := _TEX_TITLE.search(text[:100_000])):
        return plain_tex(_braced(text, found.end()))
    return ""


def _tex_marks(text: str) -> Iterator[Mark]:
    """The preamble is boilerplate, comments are hidden."""
    begin = text.find(_TEX_BEGIN)
    if begin > 0:
        yield Mark("boilerplate", 0, begin)
    for match in _TEX_COMMENT.finditer(text, max(begin, 0)):
        yield Mark("hidden", match.start(), match.end())


def _hidden(pattern: re.Pattern[str]) -> Callable[[str], Iterator[Mark]]:
    def marks(text: str) -> Iterator[Mark]:
        for match in pattern.finditer(text):
            yield Mark("hidden", match.start(), match.end())

    return marks


def _none(_: str) -> Iterator[Mark]:
    return iter(())


_LANGUAGES: dict[
    str, tuple[Callable[[str], Iterator[Heading]], Callable[[str], Iterator[Mark]]]
] = {
    RST: (rst_headings, _none),
    ORG: (_org_headings, _hidden(_ORG_HIDDEN)),
    ASCIIDOC: (_adoc_headings, _hidden(_ADOC_COMMENT)),
    TEX: (_tex_headings, _tex_marks),
}
