"""WebVTT and SubRip as they are: what is said counts, numbers and times are marked."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ingest.documents import Document, Mark
from ingest.loaders.markdown import decode_source, quality_of
from ingest.loaders.registry import Source

_CLOCK = r"(?:\d{1,3}:)?\d{1,2}:\d{2}[.,]\d{1,3}"
_FURNITURE = re.compile(
    rf"^(?:[^\n]{{1,80}}\n)?[ \t]*{_CLOCK}[ \t]*-->[ \t]*{_CLOCK}[^\n]*$"  # an id, and the times
    r"|^WEBVTT[^\n]*(?:\n[\w-]+:[^\n]*)*$"
    r"|^(?:STYLE|REGION)[ \t]*\n(?:[^\n]+\n?)*",
    re.M,
)
# `<v Name>` keeps the name and its bracket, which parts it from what is said
_TAG = re.compile(r"<v(?:\.[\w.]+)?[ \t]+|</?[a-z][\w.]{0,20}(?:[ \t][^<>\n]{0,80})?>|<\d[\d:.]+>")


def load_subtitles(source: Source) -> Document:
    """Subtitles with the names of who speaks; line 1 is the file's first line."""
    decoded = decode_source(source)
    text = decoded.text.replace("\f", " ")
    return Document(
        uri=source.uri,
        sha256=source.sha256,
        text=text,
        title=source.stem,
        media_type=source.media_type,
        metadata={"encoding": decoded.encoding},
        quality=quality_of(decoded),
        marks=tuple(_marks(text)),
        first_line=1,
    )


def _marks(text: str) -> Iterator[Mark]:
    spans = [(match.start(), match.end()) for match in _FURNITURE.finditer(text)]
    spans += [(match.start(), match.end()) for match in _TAG.finditer(text)]
    end = 0
    for start, stop in sorted(spans):
        if start >= end:
            yield Mark("boilerplate", start, stop)
            end = stop
