"""Web pages saved as one file (.mhtml, .mht): the page is read as HTML, nothing is fetched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ingest.documents import Document
from ingest.errors import LoadError
from ingest.loaders.html import load_html
from ingest.loaders.mime import Part, children, parse_message
from ingest.loaders.registry import Source
from ingest.loaders.sections import sensible_title

_PAGES = ("text/html", "application/xhtml+xml")


def load_mhtml(source: Source) -> Document:
    """The page that the file was saved for; its frames and pictures are left out."""
    message = parse_message(source.data)
    pages = [part for part in _parts(message) if part.kind in _PAGES]
    start = str(message.headers.get_param("start") or "")
    pages.sort(key=lambda part: bool(start) and part.header("content-id") != start)
    for part in pages:
        markup = part.text().encode("utf-8", "replace")
        page = Source(source.uri, markup, source.media_type, source.sha256)
        document = load_html(page) if markup.strip() else None
        if document is not None and document.text.strip():
            subject = sensible_title(message.header("subject"))
            title = subject if document.title == source.stem and subject else document.title
            facts = {**document.metadata, "source": part.header("content-location")}
            facts.pop("encoding", None)
            return replace(document, title=title, metadata={k: v for k, v in facts.items() if v})
    raise LoadError(source.uri, "holds no HTML page")


def _parts(part: Part, depth: int = 0) -> Iterator[Part]:
    inner = children(part) if depth < 20 else []
    if not inner:
        yield part
    for child in inner:
        yield from _parts(child, depth + 1)
