"""JSON, JSON Lines and YAML as they are, not parsed: bombs, tags and deep nesting cost nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from ingest.documents import Document, Section
from ingest.loaders.markdown import decode_source, quality_of
from ingest.loaders.media_types import YAML
from ingest.loaders.registry import Source

MAX_SECTIONS = 2_000  # a file with more keys at the top is a list of records
_YAML_KEY = re.compile(r"^([\w\"'][^\n:#]{0,100}?):(?=\s|$)", re.M)
_JSON_KEY = re.compile(r'^([ \t]{1,8})"([^"\\\n]{1,100})"[ \t]*:', re.M)
# an escape that is not itself escaped: an even number of backslashes stands before it
_ESCAPES = re.compile(r"(?<!\\)((?:\\\\)*)((?:\\u[0-9a-fA-F]{4})+)")
_PRINTABLE_FROM = 0xA0


def load_records(source: Source) -> Document:
    """The text of the file; line 1 is its first line, its keys at the top are its sections.

    `\\u4e2d` in JSON becomes the character, so that it can be found; lone surrogates `\ufffd`.
    """
    decoded = decode_source(source)
    text = decoded.text.replace("\f", " ")
    if source.media_type != YAML:
        text = unescaped(text)
    return Document(
        uri=source.uri,
        sha256=source.sha256,
        text=text,
        title=source.stem,
        media_type=source.media_type,
        sections=_sections(text, source.media_type),
        metadata={"encoding": decoded.encoding},
        quality=quality_of(decoded),
        first_line=1,
    )


def unescaped(text: str) -> str:
    """JSON text with its escapes of printable characters beyond ASCII resolved."""
    if "\\u" not in text:
        return text

    def characters(match: re.Match[str]) -> str:
        codes = [int(code, 16) for code in match[2][2:].split("\\u")]
        if any(code < _PRINTABLE_FROM for code in codes):
            return match[0]
        units = b"".join(code.to_bytes(2, "big") for code in codes)
        said = units.decode("utf-16-be", "replace")
        return match[1] + "".join(c if c.isprintable() else "\ufffd" for c in said)

    return _ESCAPES.sub(characters, text)


def _sections(text: str, media_type: str) -> tuple[Section, ...]:
    keys = list(_yaml_keys(text) if media_type == YAML else _json_keys(text))
    if not 1 < len(keys) <= MAX_SECTIONS:
        return ()
    ends = [*(start for start, _ in keys[1:]), len(text)]
    return tuple(
        Section(title, 1, start, end) for (start, title), end in zip(keys, ends, strict=True)
    )


def _yaml_keys(text: str) -> Iterator[tuple[int, str]]:
    for match in _YAML_KEY.finditer(text):
        if title := match[1].strip(" \"'"):
            yield match.start(), title


def _json_keys(text: str) -> Iterator[tuple[int, str]]:
    """The keys that are indented least, in a file that is indented."""
    matches = list(_JSON_KEY.finditer(text)) if text.lstrip()[:1] == "{" else []
    least = min((len(match[1]) for match in matches), default=0)
    top = [match for match in matches if len(match[1]) == least and match[2].strip()]
    if len(top) > 1 and all(one.start() < two.start() for one, two in pairwise(top)):
        yield from ((match.start(), match[2].strip()) for match in top)
