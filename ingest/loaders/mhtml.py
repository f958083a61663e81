"""Web pages saved as one file (.mhtml, .mht): its pages are read as HTML, nothing is fetched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ingest.documents import Document
from ingest.errors import LoadError
from ingest.loaders.blocks import join_blocks
from ingest.loaders.html import load_html
from ingest.loaders.mime import Part, children, parse_message
from ingest.loaders.registry import Source
from ingest.loaders.sections import document_blocks, sections_at, sensible_title

_PAGES = ("text/html", "application/xhtml+xml")


def load_mhtml(source: Source) -> Document:
    """The page that the file was saved for, and behind it the pages in its frames."""
    message = parse_message(source.data)
    parts = [part for part in _parts(message) if part.kind in _PAGES]
    start = str(message.headers.get_param("start") or "")
    parts.sort(key=lambda part: bool(start) and part.header("content-id") != start)
    pages: dict[str, tuple[Part, Document]] = {}  # by text: frames may show the same
    for part in parts:
        markup = part.text().encode("utf-8", "replace")
        page = Source(source.uri, markup, source.media_type, source.sha256)
        document = load_html(page) if markup.strip() else None
        if document is not None and document.text.strip():
            pages.setdefault(document.text, (part, document))
    if not pages:
        raise LoadError(source.uri, "holds no HTML page")
    (part, document), *frames = pages.values()
    subject = sensible_title(message.header("subject"))
    title = subject if document.title == source.stem and subject else document.title
    facts = {**document.metadata, "source": part.header("content-location")}
    facts.pop("encoding", None)
    document = replace(document, title=title, metadata={k: v for k, v in facts.items() if v})
    return _with_frames(document, [frame for _, frame in frames])


def _with_frames(document: Document, frames: list[Document]) -> Document:
    if not frames:
        return document
    text, starts = join_blocks(b for page in (document, *frames) for b in document_blocks(page))
    return replace(document, text=text, sections=sections_at(starts, len(text)))


def _parts(part: Part, depth: int = 0) -> Iterator[Part]:
    inner = children(part) if depth < 20 else []
    if not inner:
        yield part
    for child in inner:
        yield from _parts(child, depth + 1)
