"""PowerPoint 97-2003 (.ppt) without LibreOffice: the text records of its stream, slide by slide.

kreuzberg, the fallback, finds the words but mixes the master's prompts and slides; unstructured
needs LibreOffice for this format.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from ingest.documents import Document
from ingest.errors import LoadError
from ingest.loaders.blocks import heading
from ingest.loaders.encoding import normalise
from ingest.loaders.ole import OleFile, kreuzberg_markdown
from ingest.loaders.registry import Source
from ingest.loaders.slides import Piece, Slide, slides_document

_SLIDE, _NOTES, _NOTES_ATOM, _PERSIST = 1006, 1008, 1009, 1011
_HEADER, _CHARS, _BYTES, _STRING, _LIST, _COMMENT = 3999, 4000, 4008, 4026, 4080, 12000
_TITLES = (0, 6)  # title, centred title
_MAX_RECORDS = 2_000_000
_MAX_DEPTH = 64


@dataclass(slots=True)
class _Found:
    """What the records of one slide say."""

    identity: int = 0
    title: str = ""
    texts: list[str] = field(default_factory=list)


def load_ppt(source: Source) -> Document:
    """An old presentation: a page for each slide, notes and comments with it."""
    with OleFile(source.data, source.uri) as ole:
        stream = ole.read("PowerPoint Document")
        if not stream:
            raise LoadError(source.uri, "is damaged: no PowerPoint Document inside")
        title = ole.title()
        if ole.read("EncryptedSummary"):
            raise LoadError(source.uri, "is password protected")
    slides = _slides(stream)
    if any(piece.text.strip() for slide in slides for piece in slide.pieces):
        return slides_document(source, slides, title=title)
    markdown = kreuzberg_markdown(source.data, source.media_type, source.uri)
    parts = normalise(markdown).split("\n-----\n")
    slides = [Slide((Piece(part.strip("-\n ")),)) for part in parts]
    return slides_document(source, slides, title=title, quality={"fallback": "kreuzberg"})


def _slides(stream: bytes) -> list[Slide]:
    """The slides in their order: the outline's texts, then what other shapes say."""
    outlines: list[_Found] = []
    notes: list[_Found] = []
    shapes: list[_Found] = []
    kind: int | None = None
    inside: int | None = None
    text_type = -1
    current = _Found()
    for record, instance, body, ancestors in _records(stream):
        if record == _LIST:
            kind, inside = instance, None
        elif record in (_SLIDE, _NOTES):
            inside, kind = record, None
            current = _Found()
            (shapes if record == _SLIDE else notes).append(current)
        elif record == _PERSIST and kind is not None:
            current = _Found(int.from_bytes(body[12:16], "little"))
            if kind == 0:
                outlines.append(current)
        elif record == _NOTES_ATOM:
            current.identity = int.from_bytes(body[:4], "little")
        elif record == _HEADER and len(body) >= 4:
            text_type = int.from_bytes(body[:4], "little")
        elif record in (_CHARS, _BYTES) and (kind == 0 or (inside and inside in ancestors)):
            text = _text(record, body)
            if not text:
                continue
            if inside != _NOTES and text_type in _TITLES and not current.title:
                current.title = text
            else:
                current.texts.append(text)
        elif record == _STRING and _COMMENT in ancestors and instance == 1:
            current.texts.append(f"Comment: {_text(_CHARS, body)}")
    return list(_joined(outlines, shapes, notes))


def _joined(outlines: list[_Found], shapes: list[_Found], notes: list[_Found]) -> Iterator[Slide]:
    """Title masters are slides too, and come first: the last ones are the slides."""
    outlines = outlines or [_Found() for _ in shapes]
    shapes = shapes[-len(outlines) :] if len(shapes) >= len(outlines) else []
    by_slide = {note.identity: note for note in notes}
    for number, outline in enumerate(outlines):
        shape = shapes[number] if number < len(shapes) else _Found()
        title = outline.title or shape.title
        said = {title, *outline.texts}
        texts = [shape.title, *shape.texts]
        pieces = [Piece(heading(1, title), "title")]
        pieces += [Piece(text) for text in outline.texts]
        pieces += [Piece(text) for text in dict.fromkeys(texts) if text not in said]
        note = by_slide.get(outline.identity)
        for text in note.texts if note is not None else ():
            pieces.append(Piece(f"Notes: {text}" if text != "*" else ""))
        yield Slide(tuple(piece for piece in pieces if piece.text != "*"))


def _records(stream: bytes) -> Iterator[tuple[int, int, bytes, tuple[int, ...]]]:
    """(type, instance, body, types of the containers around) in the order of the stream."""
    ends: list[tuple[int, int]] = []  # (end, type) of the open containers
    place = 0
    for _ in range(_MAX_RECORDS):
        if place + 8 > len(stream):
            return
        while ends and place >= ends[-1][0]:
            ends.pop()
        head, kind, size = struct.unpack_from("<HHI", stream, place)
        place += 8
        above = tuple(k for _, k in ends)
        if head & 0xF == 0xF and len(ends) < _MAX_DEPTH:
            yield kind, head >> 4, b"", above
            ends.append((place + size, kind))
        else:
            yield kind, head >> 4, stream[place : place + size], above
            place += size


def _text(record: int, body: bytes) -> str:
    text = body.decode("utf-16-le" if record == _CHARS else "latin-1", "replace")
    lines = normalise(text.replace("\v", "\r")).split("\n")
    return "\n".join(" ".join(line.split()) for line in lines if line.strip())
