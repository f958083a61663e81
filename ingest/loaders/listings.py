"""Code in texts: paragraphs in type of one width become one block with their lines and blanks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from ingest.loaders.blocks import Block, fenced
from ingest.loaders.encoding import flat_lines

CODE = 2  # the group of blocks that are lines of code, their blanks kept
ONE_WIDTH = re.compile(
    r"courier|consol|mono|menlo|monaco|typewriter|fixedsys|terminal|(?:fira|source) code|cmtt", re.I
)
_MOST = 0.9  # of a text in such type: a typewriter wrote it, and none of it is code


def with_fences(blocks: Iterable[Block], *, most: float = _MOST) -> Iterator[Block]:
    """The blocks, those of code that follow each other as one; a line of code alone is text.

    None is where more than `most` of the text is such.
    """
    known = list(blocks)
    typed = sum(len(block.text) for block in known if block.group == CODE)
    is_code = typed <= most * sum(len(block.text) for block in known)
    for group, run in groupby(_told(known), key=lambda block: block.group):
        lines = list(run)
        if group != CODE:
            yield from lines
        elif is_code and "\n" in "\n".join(block.text for block in lines).strip("\n"):
            yield _fenced(lines)
        else:
            yield from (replace(block, text=flat_lines(block.text), group=0) for block in lines)


def _told(blocks: Sequence[Block]) -> Iterator[Block]:
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
