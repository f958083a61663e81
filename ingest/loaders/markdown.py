"""Markdown: the text as it is, less a YAML front matter block."""

from __future__ import annotations

import re

from ingest.documents import Document, Scalar
from ingest.errors import LoadError
from ingest.loaders.encoding import Decoded, NotText, decode
from ingest.loaders.registry import Source
from ingest.loaders.sections import sections_of, title_of

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.{0,65536}?\n)?(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.S)
# Top-level `key: value` lines only. A YAML parser would bring alias bombs and tags for nothing.
_FIELD = re.compile(r"^([A-Za-z_][\w.\-]{0,63}):[ \t]+(\S.*)$", re.M)


def load_markdown(source: Source) -> Document:
    """A Markdown document; title: front matter, first level-1 heading, first heading, file name."""
    decoded = decode_source(source)
    front, text = _split_front_matter(decoded.text.replace("\f", "\n"))
    sections = sections_of(text)
    return Document(
        uri=source.uri,
        sha256=source.sha256,
        text=text,
        title=str(front.get("title", "")) or title_of(sections) or source.stem,
        media_type=source.media_type,
        sections=sections,
        metadata=front | {"encoding": decoded.encoding},
        quality=quality_of(decoded),
    )


def decode_source(source: Source, *, declared: str | None = None) -> Decoded:
    """The text of a source; what is not text becomes a LoadError."""
    try:
        return decode(source.data, declared=declared)
    except NotText as exc:
        raise LoadError(source.uri, str(exc)) from exc


def quality_of(decoded: Decoded) -> dict[str, Scalar]:
    """What was lost in decoding, if anything was."""
    return {"replaced_share": decoded.replaced_share} if decoded.replaced_share else {}


def _split_front_matter(text: str) -> tuple[dict[str, Scalar], str]:
    """The scalar fields of the front matter, and the text after it without leading blank lines."""
    match = _FRONT_MATTER.match(text)
    if not match or not (fields := _FIELD.findall(match[1] or "")):
        return {}, text
    body = text[match.end() :].lstrip("\n")
    scalars = {key: _scalar(value) for key, value in fields if value[0] not in "&*!|>[{"}
    return dict(scalars), body if body.strip() else text


def _scalar(value: str) -> str:
    value = value.strip()
    if value[0] in "\"'":
        closing = value.find(value[0], 1)
        return value[1:closing] if closing > 0 else value[1:]
    return value.split(" #", 1)[0].rstrip()
