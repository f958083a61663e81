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
from ingest.loaders.blocks import around_headings, heading, markdown_blocks
from ingest.loaders.encoding import normalise
from ingest.loaders.ole import OleFile, kreuzberg_markdown
from ingest.loaders.registry import Source
from ingest.loaders.slides import Piece, Slide, slides_document

_SLIDE_ATOM, _PERSIST, _HEADER, _CHARS, _BYTES, _STRING = 1007, 1011, 3999, 4000, 4008, 4026
_LIST, _EDIT, _DIRECTORY, _COMMENT = 4080, 4085, 6002, 12000
_OF_SLIDES, _OF_NOTES = 0, 2  # instances of _LIST
_ENCRYPTED = 0xF3D1C4DF
_TITLES = (0, 6)  # title, centred title
_MAX_RECORDS = 2_000_000
_MAX_EDITS = 10_000
_MAX_DEPTH = 64


@dataclass(slots=True)
class _Found:
    """What the records of one slide say."""

    persist: int = 0
    identity: int = 0
    notes: int = 0
    title: str = ""
    texts: list[str] = field(default_factory=list)


def load_ppt(source: Source) -> Document:
    """An old presentation: a page for each slide, notes and comments with it."""
    with OleFile(source.data, source.uri) as ole:
        stream = ole.read("PowerPoint Document")
        if not stream:
            raise LoadError(source.uri, "is damaged: no PowerPoint Document inside")
        title = ole.title()
        user = ole.read("Current User")
    if int.from_bytes(user[12:16], "little") == _ENCRYPTED:
        raise LoadError(source.uri, "is password protected")
    slides = _slides(stream, int.from_bytes(user[16:20], "little"))
    if any(piece.text.strip() for slide in slides for piece in slide.pieces):
        return slides_document(source, slides, title=title)
    markdown = kreuzberg_markdown(source.data, source.media_type, source.uri)
    parts = normalise(markdown).split("\n-----\n")
    slides = [Slide(list(_markdown_pieces(part.strip("-\n ")))) for part in parts]
    return slides_document(source, slides, title=title, quality={"fallback": "kreuzberg"})


def _markdown_pieces(text: str) -> Iterator[Piece]:
    for block in around_headings(markdown_blocks(text)):
        yield Piece(block.text, "title" if block.is_heading else "text")


def _slides(stream: bytes, edit: int) -> list[Slide]:
    """The slides in their order; [] where the directory of the file is broken."""
    offsets, document = _directory(stream, edit)
    if document not in offsets:
        return []
    slides, notes = _lists(stream, offsets[document])
    for found in (*slides, *notes):
        if found.persist in offsets:
            _add_shapes(stream, offsets[found.persist], found)
    by_identity = {note.identity: note for note in notes}
    return [_slide(found, by_identity.get(found.notes)) for found in slides]


def _directory(stream: bytes, edit: int) -> tuple[dict[int, int], int]:
    """(where each object lies, number of the document): the newest of all that was ever saved."""
    offsets: dict[int, int] = {}
    document = -1
    for _ in range(_MAX_EDITS):
        if not 0 <= edit <= len(stream) - 36 or _kind(stream, edit) != _EDIT:
            break
        last, directory, newest = struct.unpack_from("<III", stream, edit + 16)
        document = newest if document < 0 else document
        if directory + 8 > len(stream) or _kind(stream, directory) != _DIRECTORY:
            break
        size = int.from_bytes(stream[directory + 4 : directory + 8], "little")
        for number, place in _entries(stream[directory + 8 : directory + 8 + size]):
            offsets.setdefault(number, place)
        if last >= edit:
            break
        edit = last
    return offsets, document


def _entries(body: bytes) -> Iterator[tuple[int, int]]:
    place = 0
    while place + 4 <= len(body):
        head = int.from_bytes(body[place : place + 4], "little")
        first, count = head & 0xFFFFF, head >> 20
        place += 4
        for number in range(min(count, (len(body) - place) // 4)):
            yield first + number, int.from_bytes(body[place : place + 4], "little")
            place += 4


def _kind(stream: bytes, place: int) -> int:
    return int.from_bytes(stream[place + 2 : place + 4], "little")


def _object(stream: bytes, place: int) -> bytes:
    size = int.from_bytes(stream[place + 4 : place + 8], "little")
    return stream[place : place + 8 + size]


def _lists(stream: bytes, place: int) -> tuple[list[_Found], list[_Found]]:
    """(slides, notes) of the document, with the texts of its outline."""
    lists: dict[int, list[_Found]] = {_OF_SLIDES: [], _OF_NOTES: []}
    kind, text_type = -1, -1
    for record, instance, body, _ in _records(_object(stream, place)):
        if record == _LIST:
            kind = instance
        elif record == _PERSIST and kind in lists and len(body) >= 16:
            found = _Found(
                int.from_bytes(body[:4], "little"), int.from_bytes(body[12:16], "little")
            )
            lists[kind].append(found)
        elif record == _HEADER:
            text_type = int.from_bytes(body[:4], "little")
        elif record in (_CHARS, _BYTES) and kind == _OF_SLIDES and lists[kind]:
            _add(lists[kind][-1], _text(record, body), text_type)
    return lists[_OF_SLIDES], lists[_OF_NOTES]


def _add_shapes(stream: bytes, place: int, found: _Found) -> None:
    """What the shapes of a slide or of its notes say themselves, and its comments."""
    text_type = -1
    for record, instance, body, above in _records(_object(stream, place)):
        if record == _SLIDE_ATOM and len(body) >= 20:
            found.notes = int.from_bytes(body[16:20], "little")
        elif record == _HEADER:
            text_type = int.from_bytes(body[:4], "little")
        elif record in (_CHARS, _BYTES):
            _add(found, _text(record, body), text_type)
        elif record == _STRING and instance == 1 and _COMMENT in above:
            _add(found, f"Comment: {_text(_CHARS, body)}", -1)


def _add(found: _Found, text: str, text_type: int) -> None:
    if not text or text == "*" or text == found.title or text in found.texts:
        return  # * stands for a number or a date
    if text_type in _TITLES and not found.title:
        found.title = text
    else:
        found.texts.append(text)


def _slide(found: _Found, notes: _Found | None) -> Slide:
    pieces = [Piece(heading(1, found.title), "title"), *map(Piece, found.texts)]
    said = "\n".join(notes.texts) if notes is not None else ""
    return Slide((*pieces, Piece(f"Notes: {said}" if said else "")))


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
