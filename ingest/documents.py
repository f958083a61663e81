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
from typing import Literal

Scalar = str | int | float | bool
Value = Scalar | list[str]
"""What a document's metadata may hold; a filter fits a list by any of its elements."""
EMPTY: Mapping[str, Scalar] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Page:
    """A page, slide or sheet of the source and the span of the text that stands on it.

    `number` counts from 1; `label` is a sheet's name. `quality` says how well the page was read:
    `garbled_share`, `ocr` (bool), `ocr_confidence` (0..1), `characters`, `tables_lost`.
    """

    number: int
    start: int
    end: int
    label: str = ""
    quality: Mapping[str, Scalar] = field(default_factory=lambda: EMPTY)


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and the span it governs: from the heading's line to the next one of its level."""

    title: str
    level: int
    start: int
    end: int


MarkKind = Literal["table", "rows", "boilerplate", "hidden", "image"]


@dataclass(frozen=True, slots=True)
class Mark:
    """What a span of the text is, where that cannot be seen from its characters.

    table        lines of one table; the first (with a Markdown separator below it) is its header
    rows         each line is one row of a sheet, one below the other; `label` is the address of
                 all of it: `Sheet1!A2:D41`, `A2:D41` in a CSV; a row that takes several lines is
                 a mark of its own
    boilerplate  said again and again (running headers, page numbers, navigation, contents): part
                 of the text, kept out of what is embedded and quoted
    hidden       in the file but not visible to its reader; kept out like boilerplate
    image        stands for an image; `label` says where it lies: `page 3`, `word/media/image1.png`
    """

    kind: MarkKind
    start: int
    end: int
    label: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """One source text. `uri` is its identity, `sha256` (of the source's bytes) its version.

    `text` is the canonical text: every chunk and citation is a span of it.
    `pages`, `sections` and `marks` are ordered by `start`; all may be empty. `first_line` is the
    line of the file on which `text` begins (from 1) where its lines are those of the file, else
    None. `parser` names what read it, with its version: `pdf/2`.
    """

    uri: str
    sha256: str
    text: str
    title: str = ""
    media_type: str = "text/plain"
    pages: tuple[Page, ...] = ()
    sections: tuple[Section, ...] = ()
    metadata: Mapping[str, Value] = field(default_factory=lambda: EMPTY)
    quality: Mapping[str, Scalar] = field(default_factory=lambda: EMPTY)
    marks: tuple[Mark, ...] = ()
    first_line: int | None = None
    parser: str = ""

    @classmethod
    def from_text(
        cls,
        text: str,
        *,
        uri: str,
        title: str = "",
        media_type: str = "text/plain",
        metadata: Mapping[str, Value] | None = None,
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

    @property
    def omitted_spans(self) -> list[tuple[int, int]]:
        """Boilerplate and hidden spans, merged; none where nothing else would be left."""
        merged: list[tuple[int, int]] = []
        for mark in self.marks:
            if mark.kind not in ("boilerplate", "hidden") or mark.start >= mark.end:
                continue
            if merged and mark.start <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(merged[-1][1], mark.end))
            else:
                merged.append((mark.start, mark.end))
        starts = [*(start for start, _ in merged), None]
        gaps = zip([0, *(end for _, end in merged)], starts, strict=True)
        return merged if any(self.text[a:b].strip() for a, b in gaps) else []

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

    `page` is the page of the passage's first character, `line` its line in the source file (from
    1), `cells` the sheet's cells that it shows (`Sheet1!A2:D41`); `position` counts the document's
    chunks from 0. `context` is text from elsewhere in the document without which the passage is
    not understood: the header row of its table, the signature around its code. `omitted` are spans
    (relative to `text`) of boilerplate inside the passage.
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
    line: int | None = None
    cells: str = ""
    context: str = ""
    omitted: tuple[tuple[int, int], ...] = ()

    @property
    def header(self) -> str:
        """What the reader of the passage alone would miss: title and heading path, one line."""
        path = [part for part in (self.title, *self.heading) if part]
        if len(path) > 1 and path[0] == path[1]:
            del path[0]
        return " > ".join(path)

    @property
    def kept_text(self) -> str:
        """The text without its omitted spans."""
        if not self.omitted:
            return self.text
        ends = [0, *(end for _, end in self.omitted)]
        starts = [*(start for start, _ in self.omitted), len(self.text)]
        return "".join(self.text[a:b] for a, b in zip(ends, starts, strict=True))

    @property
    def embedded_text(self) -> str:
        """What is embedded and indexed: header, context and kept text, a line break between."""
        parts = (self.header, self.context, self.kept_text)
        return "\n".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file as it lies on disk: `uri` relative to `root`, `path` absolute, times in ns."""

    uri: str
    path: str
    root: str
    size: int
    mtime_ns: int
    ctime_ns: int


State = Literal["ok", "failed", "skipped", "container"]


FileState = Literal["same", "changed", "gone", ""]  # of a file since it was read; "": there is none


@dataclass(frozen=True, slots=True)
class Record:
    """A row of the ledger: a document that is in the knowledge base, and the file it came from.

    `root` and `source` (absolute paths) are "" for documents that came from elsewhere than a
    folder. Times in nanoseconds; ctime also sees edits that keep mtime.

    `state`: `ok`; `failed` (`error` says why; `chunks` above 0 means that the last good version
    still answers); `skipped` (of a kind that kbqa does not read, and nobody claimed it was);
    `container` (an archive: it has no text of its own). `container` is the uri of
    the file that a member or an attachment came out of, "" for a file. `sha256`, size and times
    are those of the file as last looked at, even if it failed. `parser` (`pdf/2`) read it,
    `ingested_ns` says when, `quality` how well.
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
    state: State = "ok"
    error: str = ""
    parser: str = ""
    container: str = ""
    ingested_ns: int = 0
    quality: Mapping[str, Scalar] = field(default_factory=lambda: EMPTY)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document ready for the index: its chunks, and its file where it has one.

    `container` is the uri of the file that it came out of, where it is a member of that.
    """

    document: Document
    chunks: Sequence[Chunk]
    entry: FileEntry | None = None
    container: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """A file or member that was left out, and why. `skipped`: of a kind that kbqa does not read.

    `entry` is its file (of a member: the file it came out of, whose uri is then `container`), None
    where there was nothing to look at.
    """

    uri: str
    reason: str
    path: str = ""
    skipped: bool = False
    entry: FileEntry | None = None
    container: str = ""


@dataclass(frozen=True, slots=True)
class Finished:
    """A file is done: everything that came out of it was handed on, its own document last.

    `members` are the uris of what it contained, failed ones included; `own` says whether the file
    itself is a document or a failure (not so for an archive). `media_type` and `sha256` are its.
    """

    entry: FileEntry
    media_type: str = ""
    sha256: str = ""
    members: tuple[str, ...] = ()
    own: bool = True
