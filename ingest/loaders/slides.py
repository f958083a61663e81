"""Slides as one text: a page for each, what is repeated or hidden marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ingest.documents import Document, Mark, Page, Scalar
from ingest.loaders.blocks import Block, is_table
from ingest.loaders.registry import Source
from ingest.loaders.sections import sections_at, sensible_title, title_of

PieceKind = Literal["text", "title", "table", "image", "boilerplate"]


@dataclass(frozen=True, slots=True)
class Piece:
    """Lines of a slide that belong together; `label` of an image says where it lies.

    A title is what `heading` wrote.
    """

    text: str
    kind: PieceKind = "text"
    label: str = ""


@dataclass(frozen=True, slots=True)
class Slide:
    """A slide's pieces in reading order."""

    pieces: Sequence[Piece]
    hidden: bool = False


def slides_document(
    source: Source,
    slides: Sequence[Slide],
    *,
    title: str = "",
    quality: Mapping[str, Scalar] | None = None,
) -> Document:
    """The document of a presentation; slides without words are pages without text."""
    parts: list[str] = []
    length = 0
    pages: list[Page] = []
    marks: list[Mark] = []
    titles: list[tuple[int, Block]] = []
    for number, slide in enumerate(slides, 1):
        start = -1
        for piece in slide.pieces:
            text = piece.text.strip("\n")
            if not text.strip():
                continue
            gap = "\n\n" if parts else ""
            begin = length + len(gap)
            start = begin if start < 0 else start
            parts += (gap, text)
            length = begin + len(text)
            if piece.kind == "title":
                titles.append((begin, Block(text, is_heading=True)))
            if piece.kind in ("table", "image", "boilerplate"):
                kind: Literal["table", "image", "boilerplate"] = piece.kind
                if kind != "table" or is_table(text):
                    marks.append(Mark(kind, begin, length, piece.label))
        start = length if start < 0 else start
        pages.append(Page(number, start, length))
        if slide.hidden and start < length:
            marks.append(Mark("hidden", start, length))
    text = "".join(parts)
    sections = sections_at(titles, length)
    return Document(
        uri=source.uri,
        sha256=source.sha256,
        text=text,
        title=sensible_title(title) or sensible_title(title_of(sections)) or source.stem,
        media_type=source.media_type,
        pages=tuple(pages),
        sections=sections,
        marks=tuple(sorted(marks, key=lambda mark: mark.start)),
        quality=dict(quality or {}),
    )
