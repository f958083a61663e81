"""Questions and the passages that answer them, made from passages alone.

A sentence asks for the passage it was taken out of (the inverse cloze task: Lee et al. 2019), a
heading for what is below it, a caption for its table, a link's text for what it leads to, the name
of a function for what it does. What asks is never left in the passage that answers.
"""

from __future__ import annotations

import hashlib
import posixpath
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ingest.documents import Chunk
from qa.sentences import sentences
from retrieval.terms import CJK

SENTENCES = 2  # of a passage
COMMENTS = 3  # of a passage
MIN_PASSAGE = 60  # characters that must be left to answer; of Chinese half
MAX_QUERY = 300
HELD_OUT = 0.15  # of the documents, for judging
FEW_DOCUMENTS = 20  # fewer are split by runs of passages instead
RUN = 4  # passages

_HAS_CJK = re.compile(rf"[{CJK}]")
_WORD = re.compile(r"\w+")
_ASKS = re.compile(r"[?？]\s*$")
_FAQ = re.compile(
    r"^[ \t]*(?:\*\*)?(?:Q|Question|问)(?:\d+)?[:：.、][ \t]*(?P<asked>.+?)(?:\*\*)?[ \t]*\n+"
    r"[ \t]*(?:\*\*)?(?:A|Answer|答)(?:\d+)?[:：.、]",
    re.MULTILINE | re.IGNORECASE,
)
_CAPTION = re.compile(
    r"^[ \t]*(?:Table|Figure|Fig\.|表|图)[ \t]*[\d.]+[ \t]*[:：.—–-]?[ \t]*(?P<says>\S.{10,})$",
    re.MULTILINE,
)
_LINK = re.compile(r"(?<!!)\[(?P<says>[^\]\n]{8,120})\]\((?P<target>[^)\s#]+)(?:#[^)\s]*)?\)")
_SYMBOL = re.compile(
    r"^[ \t]*(?:(?:export|public|private|protected|static|async|pub|final|abstract)[ \t]+)*"
    r"(?:def|class|function|func|fn|struct|interface|trait|enum|type)[ \t]+(?P<name>\w{4,80})",
    re.MULTILINE,
)
# what is written before or inside a function: lines of a comment, a docstring
_COMMENT = re.compile(
    r"(?:^[ \t]*(?:///|//!|//|#(?![!\[])|--|\*(?![/*])|/\*+)(?P<line>[^\n]*)\n?)+", re.MULTILINE
)
_DOCSTRING = re.compile(
    r"^[ \t]*(?P<quotes>\"{3}|'{3})(?P<says>.+?)(?P=quotes)", re.MULTILINE | re.DOTALL
)
_LEGAL = re.compile(r"copyright|licen[sc]e|spdx|all rights reserved", re.IGNORECASE)
_CODE_SIGN = re.compile(
    r"[{};]|^[ \t]*(?:def|class|fn|func|function|import|package|use)\b", re.MULTILINE
)
_NAME_PARTS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")


@dataclass(frozen=True, slots=True)
class Pair:
    """A query and a passage that answers it, as the embedder is to see it.

    `uri` and `position` name the passage; `kind` says what the query was made from.
    """

    query: str
    passage: str
    uri: str
    position: int
    kind: str

    @property
    def place(self) -> tuple[str, int]:
        """The passage."""
        return self.uri, self.position


@dataclass(frozen=True, slots=True)
class Split:
    """Pairs to learn from, and pairs of other documents to be judged by."""

    training: tuple[Pair, ...]
    held_out: tuple[Pair, ...]

    @property
    def kinds(self) -> dict[str, int]:
        """How many pairs of each kind there are to learn from, the most first."""
        return dict(Counter(pair.kind for pair in self.training).most_common())


def pairs_of(chunks: Sequence[Chunk], *, seed: int = 0) -> list[Pair]:
    """All pairs that passages give, each query once, in the order of the passages."""
    chance = random.Random(seed)
    first = {chunk.uri: chunk for chunk in reversed(chunks)}
    found: dict[str, Pair] = {}
    headings: set[tuple[str, tuple[str, ...]]] = set()
    for chunk in chunks:
        for pair in (
            *_from_headings(chunk, headings),
            *_from_marks(chunk),
            *_from_comments(chunk),
            *_from_links(chunk, first),
            *_from_sentences(chunk, chance),
        ):
            if _is_enough(pair):
                found.setdefault(pair.query.casefold(), pair)
    return list(found.values())


def split(pairs: Iterable[Pair], *, seed: int = 0) -> Split:
    """Hold whole documents out, chosen by a hash of their names, so that a run again chooses the
    same ones; of a base with few documents, runs of neighbouring passages."""
    pairs = list(pairs)
    few = len({pair.uri for pair in pairs}) < FEW_DOCUMENTS
    parts: dict[bool, list[Pair]] = {True: [], False: []}
    for pair in pairs:
        group = f"{seed} {pair.uri} {pair.position // RUN if few else ''}"
        digest = hashlib.blake2b(group.encode("utf-8", "surrogatepass"), digest_size=4).digest()
        parts[int.from_bytes(digest, "big") < HELD_OUT * 2**32].append(pair)
    return Split(tuple(parts[False]), tuple(parts[True]))


def without(chunk: Chunk, span: tuple[int, int], *, header: bool = True) -> str:
    """What is embedded of a passage when that span of its text is not there."""
    text = f"{chunk.text[: span[0]]}{chunk.text[span[1] :]}"
    text = re.sub(r"[ \t]*\n(?:[ \t]*\n)+", "\n\n", text).strip()
    parts = (chunk.header if header else "", chunk.context, text)
    return "\n".join(part for part in parts if part)


def _is_enough(pair: Pair) -> bool:
    """Whether the query says something, and enough is left to answer it."""
    chinese = bool(_HAS_CJK.search(pair.query))
    said = len(pair.query) >= 6 if chinese else len(_WORD.findall(pair.query)) >= 2
    left = MIN_PASSAGE // 2 if chinese else MIN_PASSAGE
    return said and len(pair.query) <= MAX_QUERY and len(pair.passage) >= left


def _pair(
    chunk: Chunk, kind: str, query: str, span: tuple[int, int], *, in_header: bool = False
) -> Pair:
    passage = without(chunk, span, header=not in_header)
    asked = " ".join(query.split())
    return Pair(asked, passage, chunk.uri, chunk.position, kind)


def _from_sentences(chunk: Chunk, chance: random.Random) -> Iterator[Pair]:
    spans = [
        (start, end)
        for start, end in sentences(chunk.text, omitted=chunk.omitted)
        if is_telling(chunk.text[start:end])
    ]
    for start, end in chance.sample(spans, min(SENTENCES, len(spans) - 1) if spans else 0):
        yield _pair(chunk, "sentence", chunk.text[start:end], (start, end))


def is_telling(sentence: str) -> bool:
    """Whether a sentence is long enough to be about something."""
    if _HAS_CJK.search(sentence):
        return len(sentence) >= 10
    return len(_WORD.findall(sentence)) >= 5


def _from_headings(chunk: Chunk, seen: set[tuple[str, tuple[str, ...]]]) -> Iterator[Pair]:
    """The title asks for a document's first passage, a heading for the first one below it."""
    path = chunk.heading or ((chunk.title,) if chunk.position == 0 else ())
    if not path or not path[-1] or (chunk.uri, path) in seen:
        return
    seen.add((chunk.uri, path))
    query = path[-1]
    line = re.search(rf"^[#=*\s\d.]*{re.escape(query)}[#=*\s]*$", chunk.text, re.MULTILINE)
    span = line.span() if line else (0, 0)
    kind = "question" if _ASKS.search(query) else "heading" if chunk.heading else "title"
    yield _pair(chunk, kind, query, span, in_header=True)


def _from_marks(chunk: Chunk) -> Iterator[Pair]:
    """Questions of a list of questions and answers, captions, names of functions and types."""
    for found in _FAQ.finditer(chunk.text):
        yield _pair(chunk, "question", found["asked"], found.span("asked"), in_header=True)
    for found in _CAPTION.finditer(chunk.text):
        yield _pair(chunk, "caption", found["says"], found.span())
    for found in _SYMBOL.finditer(chunk.text):
        words = " ".join(part.lower() for part in _NAME_PARTS.findall(found["name"]))
        yield _pair(chunk, "symbol", words, found.span("name"), in_header=True)


def _from_comments(chunk: Chunk) -> Iterator[Pair]:
    """What a comment or docstring says asks for the code around it."""
    if not _CODE_SIGN.search(chunk.text):
        return
    found = [*_DOCSTRING.finditer(chunk.text), *_COMMENT.finditer(chunk.text)]
    for comment in found[:COMMENTS]:
        lines = (line.strip(" \t/*#!-\"'") for line in comment.group().splitlines())
        says = " ".join(line for line in lines if line)
        stop = re.search(r"[.。](?:\s|$)", says)
        query = says[: stop.end()] if stop else says
        if len(_WORD.findall(query)) >= 4 and not _LEGAL.search(says):
            yield _pair(chunk, "comment", query, comment.span())


def _from_links(chunk: Chunk, first: Mapping[str, Chunk]) -> Iterator[Pair]:
    for found in _LINK.finditer(chunk.text):
        uri = posixpath.normpath(posixpath.join(posixpath.dirname(chunk.uri), found["target"]))
        target = first.get(uri)
        if target is not None and target.uri != chunk.uri:
            yield _pair(target, "link", found["says"], (0, 0), in_header=True)
