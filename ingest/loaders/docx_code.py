"""Code in Word documents: paragraphs in type of one width, which keep their blanks and lines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from ingest.loaders.blocks import Block, fenced
from ingest.loaders.docx_cleaning import W, inherits, text_of
from ingest.loaders.encoding import normalise

CODE = 2  # the group of blocks that are code
_ONE_WIDTH = re.compile(
    r"courier|consol|mono|menlo|monaco|typewriter|fixedsys|terminal|(?:fira|source) code|cmtt", re.I
)
_MOST = 0.9  # of a text in such type: a typewriter wrote it, and none of it is code


def code_styles(styles: Any | None) -> frozenset[str]:
    """Ids of the styles that set type of one width, by themselves or by what they are based on."""
    own: dict[str, bool] = {}
    bases: dict[str, str] = {}
    for style in styles.iter(f"{W}style") if styles is not None else ():
        identity = style.get(f"{W}styleId", "")
        base = style.find(f"{W}basedOn")
        bases[identity] = base.get(f"{W}val", "") if base is not None else ""
        fonts = style.find(f"{W}rPr/{W}rFonts")
        if fonts is not None and (name := fonts.get(f"{W}ascii")):
            own[identity] = bool(_ONE_WIDTH.search(name))
    return frozenset(identity for identity in bases if inherits(identity, own, bases))


def code_paragraphs(body: Any, styles: frozenset[str]) -> frozenset[Any]:
    """The paragraphs with words that are code; none where most of the text is set like it."""
    code: list[Any] = []
    set_so = total = 0
    for paragraph in body.iter(f"{W}p"):
        runs = [(run, len(text_of(run).strip())) for run in paragraph.iterfind(f"{W}r")]
        length = sum(size for _, size in runs)
        total += length
        if length and all(not size or _one_width(run, styles) for run, size in runs):
            code.append(paragraph)
            set_so += length
    return frozenset(code) if set_so <= _MOST * total else frozenset()


def _one_width(run: Any, styles: frozenset[str]) -> bool:
    fonts = run.find(f"{W}rPr/{W}rFonts")
    if fonts is not None and (name := fonts.get(f"{W}ascii")):
        return bool(_ONE_WIDTH.search(name))
    named = (run.find(f"{W}rPr/{W}rStyle"), run.getparent().find(f"{W}pPr/{W}pStyle"))
    return any(one is not None and one.get(f"{W}val") in styles for one in named)


def code_text(paragraph: Any) -> str:
    """The lines of a paragraph with their blanks."""
    return normalise(text_of(paragraph)).replace("\xa0", " ")


def with_fences(blocks: Iterator[Block]) -> Iterator[Block]:
    """The blocks, those of code that follow each other as one; a line of code alone is text."""
    for group, run in groupby(_told(blocks), key=lambda block: block.group):
        if group != CODE:
            yield from run
            continue
        lines = list(run)
        if "\n" in "\n".join(block.text for block in lines).strip("\n"):
            yield _fenced(lines)
        else:
            yield from (Block(block.text.strip(), page=block.page) for block in lines)


def _told(blocks: Iterator[Block]) -> Iterator[Block]:
    """The blocks, without empty ones but those between two of code."""
    blank: list[Block] = []
    code = False
    for block in blocks:
        if not block.text.strip():
            blank += [Block("", CODE, block.page)] if code else []
            continue
        code = block.group == CODE
        yield from blank if code else ()
        blank.clear()
        yield block


def _fenced(lines: Sequence[Block]) -> Block:
    texts = ["\n".join(line.rstrip() for line in block.text.split("\n")) for block in lines]
    text = fenced("\n".join(texts))
    at = text.index("\n") + 1
    turns: list[tuple[int, int]] = []
    page = lines[0].page
    for said, block in zip(texts, lines, strict=True):
        if block.page is not None and block.page != page:
            turns.append((at, block.page))
            page = block.page
        turns += [(at + inside, number) for inside, number in block.turns]
        page = block.turns[-1][1] if block.turns else page
        at += len(said) + 1
    return Block(text, page=lines[0].page, turns=tuple(turns))
