"""Markdown: the text as it is, less a YAML front matter block."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator

from ingest.documents import Document, Mark, Scalar, Value
from ingest.errors import LoadError
from ingest.loaders.encoding import Decoded, NotText, decode
from ingest.loaders.registry import Source
from ingest.loaders.sections import sections_of, title_of

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.{0,65536}?\n)?(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.S)
# Top-level `key: value` lines only. A YAML parser would bring alias bombs and tags for nothing.
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.S)
_FENCE = r"^ {0,3}(`{3,}(?=[^`\n]*$)|~{3,})"  # words behind ``` hold no backtick, or it is inline
_CLOSING = re.compile(r"^ {0,3}(`{3,}|~{3,})[ \t]*$", re.M)
_TICKS = re.compile(r"`+")
_CODE_START = re.compile(rf"{_FENCE}|{_TICKS.pattern}", re.M)
_INLINE = 2_000  # characters of code within a line or paragraph
# two or more list items in a row that are nothing but a link into this page
_CONTENTS = re.compile(
    r"(?:^[ \t]*(?:[-*+]|\d+[.)])[ \t]+\[[^\]\n]{1,300}\]\(#[^)\s]{0,300}\)[ \t]*(?:\n|\Z)){2,}",
    re.M,
)
_NAME = r"^([A-Za-z_][\w.\-]{0,63}):[ \t]"
_FIELD = re.compile(rf"{_NAME}+(\S.*)$", re.M)
_LIST = re.compile(rf"{_NAME}*\n((?:[ \t]*-[ \t]+\S.*(?:\n|\Z))+)", re.M)
_FLOW_LIST = re.compile(r"\[([^\[\]{}]*)\]\s*(?:#.*)?\Z")
_INTEGER = re.compile(r"-?(?:0|[1-9]\d{0,17})\Z", re.A)
_DECIMAL = re.compile(r"-?(?:0|[1-9]\d{0,11})\.\d{1,6}\Z", re.A)
_ITEM = re.compile(r"\"[^\"]*\"|'[^']*'|[^,\s][^,]*")


def load_markdown(source: Source) -> Document:
    """A Markdown document; title: front matter, first level-1 heading, first heading, file name."""
    decoded = decode_source(source)
    whole = decoded.text.replace("\f", " ")
    front, text = _split_front_matter(whole)
    sections = sections_of(text)
    return Document(
        uri=source.uri,
        sha256=source.sha256,
        text=text,
        title=_title(front) or title_of(sections) or source.stem,
        media_type=source.media_type,
        sections=sections,
        metadata=front | {"encoding": decoded.encoding},
        quality=quality_of(decoded),
        marks=tuple(_marks(text)),
        first_line=1 + whole.count("\n", 0, len(whole) - len(text)),
    )


def _title(front: dict[str, Value]) -> str:
    title = front.get("title", "")
    return "" if isinstance(title, list) else str(title).strip()


def _marks(text: str) -> Iterator[Mark]:
    """Comments, which no reader sees, and the table of contents."""
    if "<!--" not in text and "](#" not in text:
        return
    code = list(_code_spans(text))
    found = [Mark("hidden", match.start(), match.end()) for match in _COMMENT.finditer(text)]
    found += [Mark("boilerplate", match.start(), match.end()) for match in _CONTENTS.finditer(text)]
    for mark in sorted(found, key=lambda mark: mark.start):
        index = bisect_right(code, (mark.start, len(text))) - 1
        if index < 0 or code[index][1] <= mark.start:
            yield mark


def _code_spans(text: str) -> Iterator[tuple[int, int]]:
    """Fenced and inline code, in one pass: no bait of backticks makes it look at a span twice."""
    runs: dict[int, list[int]] = {}  # how many backticks -> where as many stand
    for run in _TICKS.finditer(text):
        runs.setdefault(run.end() - run.start(), []).append(run.start())
    position = 0
    while start := _CODE_START.search(text, position):
        mark = start[1]
        end = _end_of_fence(text, mark, start.end()) if mark else _end_of_inline(runs, start)
        if end:
            yield start.start(), end
        position = end or start.end()


def _end_of_fence(text: str, mark: str, start: int) -> int:
    """After the next fence of its character, at least as long, with nothing behind it."""
    fences = _CLOSING.finditer(text, start)
    return next((fence.end() for fence in fences if fence[1].startswith(mark)), len(text))


def _end_of_inline(runs: dict[int, list[int]], start: re.Match[str]) -> int:
    """After the next run of as many backticks; 0 where none is near: they are only text."""
    length = start.end() - start.start()
    same = runs[length]
    index = bisect_right(same, start.start())
    near = index < len(same) and same[index] - start.end() <= _INLINE
    return same[index] + length if near else 0


def decode_source(source: Source, *, declared: str | None = None) -> Decoded:
    """The text of a source; what is not text becomes a LoadError."""
    try:
        return decode(source.data, declared=declared)
    except NotText as exc:
        raise LoadError(source.uri, str(exc)) from exc


def quality_of(decoded: Decoded) -> dict[str, Scalar]:
    """What was lost in decoding, if anything was."""
    quality: dict[str, Scalar] = {}
    if decoded.replaced_share:
        quality["replaced_share"] = decoded.replaced_share
    if "+" in decoded.encoding:
        quality["mixed_encodings"] = True
    return quality


def _split_front_matter(text: str) -> tuple[dict[str, Value], str]:
    """The fields of the front matter that are scalars or lists of them, and the text after it
    without leading blank lines."""
    match = _FRONT_MATTER.match(text)
    if not match or not (fields := _fields(match[1] or "")):
        return {}, text
    body = text[match.end() :].lstrip("\n")
    said = {name: value for name, value in fields.items() if value not in ("", [])}
    return said, body if body.strip() else text


def _fields(front: str) -> dict[str, Value]:
    """Every field; what is neither a scalar nor a list of them is "" here."""
    fields = {name: _value(written) for name, written in _FIELD.findall(front)}
    for name, lines in _LIST.findall(front):
        fields[name] = [_scalar(line.strip()[1:].strip()) for line in lines.splitlines()]
    return fields


def _value(written: str) -> Value:
    if flow := _FLOW_LIST.match(written):
        return [_scalar(item) for item in _ITEM.findall(flow[1])]
    if written[0] in "&*!|>[{":
        return ""
    return _scalar(written) if written[0] in "\"'" else _plain(_scalar(written))


def _plain(word: str) -> Scalar:
    """What is not quoted: a truth value, a number that can be written back as it was (007 and 1.10
    are none), else a text."""
    if word.lower() in ("true", "false"):
        return word.lower() == "true"
    if _INTEGER.match(word):
        return int(word)
    if _DECIMAL.match(word) and str(float(word)) == word:
        return float(word)
    return word


def _scalar(value: str) -> str:
    if value[0] in "\"'":
        closing = value.find(value[0], 1)
        return value[1:closing] if closing > 0 else value[1:]
    return value.split(" #", 1)[0].rstrip()
