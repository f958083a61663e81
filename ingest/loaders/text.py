"""Plain text, and what is close enough to it: logs, settings."""

from __future__ import annotations

import re
from itertools import pairwise

from ingest.documents import Document, Page
from ingest.loaders.markdown import decode_source, quality_of
from ingest.loaders.registry import Source

_TITLE_LENGTH = 80  # characters; a longer first line is a sentence
_SENTENCE = re.compile(r"[.。!！?？;；,，:：]$")
_RECORDS = (".log", ".toml", ".ini", ".cfg", ".conf", ".properties", ".csv", ".json", ".yaml")


def load_text(source: Source) -> Document:
    """A plain text; form feeds become line breaks and make pages."""
    decoded = decode_source(source)
    # after a line break it becomes a blank, so that lines stay those of the file
    text = decoded.text.replace("\n\f", "\n ").replace("\f", "\n")
    return Document(
        uri=source.uri,
        sha256=source.sha256,
        text=text,
        title=_title(source, text),
        media_type=source.media_type,
        pages=_pages(decoded.text),
        metadata={"encoding": decoded.encoding},
        quality=quality_of(decoded),
        first_line=1 if text.count("\n") == decoded.text.count("\n") else None,
    )


def _title(source: Source, text: str) -> str:
    """A short first line with a blank line below and no sentence mark; else the file's name."""
    if source.uri.lower().endswith(_RECORDS):
        return source.stem
    first, _, rest = text[:2000].lstrip("\n").partition("\n")
    line = first.strip().strip("#=*- ").strip()
    second = rest.partition("\n")[0].strip()
    alone = bool(rest.strip()) and not second.strip("=-")
    if line and alone and len(line) <= _TITLE_LENGTH and not _SENTENCE.search(line):
        return line
    return source.stem


def _pages(text: str) -> tuple[Page, ...]:
    """Pages between form feeds; none where there is no form feed."""
    if "\f" not in text:
        return ()
    marks = [-1, *(match.start() for match in re.finditer("\f", text)), len(text)]
    return tuple(Page(n, a + 1, b) for n, (a, b) in enumerate(pairwise(marks), 1))
