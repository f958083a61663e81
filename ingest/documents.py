"""The facts about a file and its pieces: what it says (`Document`, `Chunk`), where it lies.

Offsets are Python string indices (code points) into `Document.text`, end exclusive.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

Scalar = str | int | float | bool
EMPTY: Mapping[str, Scalar] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the source and the span of the text that stands on it. `number` counts from 1."""

    number: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and the span it governs: from the heading's line to the next one of its level."""

    title: str
    level: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Document:
    """One source text. `uri` is its identity, `sha256` (of the source's bytes) its version.

    `text` is the canonical text: every chunk and citation is a span of it.
    `pages` and `sections` are ordered by `start`; both may be empty.
    """

    uri: str
    sha256: str
    text: str
    title: str = ""
    media_type: str = "text/plain"
    pages: tuple[Page, ...] = ()
    sections: tuple[Section, ...] = ()
    metadata: Mapping[str, Scalar] = field(default_factory=lambda: EMPTY)
    quality: Mapping[str, Scalar] = field(default_factory=lambda: EMPTY)

    @classmethod
    def from_text(
        cls,
        text: str,
        *,
        uri: str,
        title: str = "",
        media_type: str = "text/plain",
        metadata: Mapping[str, Scalar] | None = None,
    ) -> Document:
        """A document from a text that comes from elsewhere; its version is a hash of all this.

        Lone surrogates, which no store can keep, become `?`.
        """
        text, title = (part.encode("utf-8", "replace").decode() for part in (text, title))
        said = json.dumps([title, text, media_type, sorted((metadata or {}).items())])
        digest = hashlib.sha256(said.encode())
        return cls(
            uri=uri,
            sha256=digest.hexdigest(),
            text=text,
            title=title,
            media_type=media_type,
            metadata=dict(metadata or {}),
        )

    @property
    def id(self) -> str:
        """Identity and version in one string: `uri@` and the first 16 hex digits of the hash."""
        return f"{self.uri}@{self.sha256[:16]}"

    def page_at(self, offset: int) -> int | None:
        """Number of the page that holds the character at `offset`; None without pages."""
        index = bisect_right(self.pages, offset, key=lambda page: page.start) - 1
        return self.pages[index].number if index >= 0 else None

    def heading_at(self, offset: int) -> tuple[str, ...]:
        """Headings above the character at `offset`, outermost first."""
        return tuple(s.title for s in self.sections if s.start <= offset < s.end)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A span of a document: `text == document.text[start:end]`, always.

    `page` is the page of the passage's first character; `position` counts the document's chunks
    from 0.
    """

    document_id: str
    uri: str
    title: str
    start: int
    end: int
    text: str
    heading: tuple[str, ...] = ()
    page: int | None = None
    position: int = 0

    @property
    def header(self) -> str:
        """What the reader of the passage alone would miss: title and heading path, one line."""
        path = [part for part in (self.title, *self.heading) if part]
        if len(path) > 1 and path[0] == path[1]:
            del path[0]
        return " > ".join(path)

    @property
    def embedded_text(self) -> str:
        """What is embedded and indexed: the header, a line break, the text."""
        return f"{self.header}\n{self.text}" if self.header else self.text


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file as it lies on disk: `uri` relative to `root`, `path` absolute, times in ns."""

    uri: str
    path: str
    root: str
    size: int
    mtime_ns: int
    ctime_ns: int


@dataclass(frozen=True, slots=True)
class Record:
    """A row of the ledger: a document that is in the knowledge base, and the file it came from.

    `root` and `source` (absolute paths) are "" for documents that came from elsewhere than a
    folder. Times in nanoseconds; ctime also sees edits that keep mtime.
    """

    uri: str
    sha256: str
    title: str = ""
    media_type: str = ""
    chunks: int = 0
    root: str = ""
    source: str = ""
    size: int = 0
    mtime_ns: int = 0
    ctime_ns: int = 0


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document ready for the index: its chunks, and its file where it has one."""

    document: Document
    chunks: Sequence[Chunk]
    entry: FileEntry | None = None
