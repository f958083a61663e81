"""Calendars (.ics): each event, task and note as a section."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ingest.documents import Document
from ingest.errors import LoadError
from ingest.loaders.blocks import Block, headed, join_blocks
from ingest.loaders.encoding import decode
from ingest.loaders.registry import Source
from ingest.loaders.sections import sections_at

_LINE = re.compile(r"([A-Za-z-]+)((?:;[^:;\"]*(?:\"[^\"]*\"[^:;\"]*)*)*):(.*)", re.S)
_ESCAPES = re.compile(r"\\([nN,;\\])")
_MOMENT = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)\d*(Z)?)?\Z")
_ENTRIES = ("VEVENT", "VTODO", "VJOURNAL")
_SHOWN = {"dtstart": "Start", "dtend": "End", "due": "Due", "location": "Location",
          "organizer": "Organizer", "attendee": "Attendees", "rrule": "Repeats",
          "categories": "Categories", "status": "Status", "url": "URL"}  # fmt: skip
_MAX_ENTRIES = 50_000


def load_ics(source: Source) -> Document:
    """A calendar: `## summary`, when, where and who, and the description of each entry."""
    text = decode(source.data).text
    if "BEGIN:V" not in text.upper()[:10_000]:
        raise LoadError(source.uri, "is not a calendar")
    lines = re.sub(r"\n[ \t]", "", text).split("\n")
    name = next((_unescaped(line.partition(":")[2]) for line in lines[:200]
                 if line.upper().startswith("X-WR-CALNAME")), "")  # fmt: skip
    entries = (block for facts in _entries(lines) for block in _entry(facts))
    text, starts = join_blocks([headed(1, name), *entries])
    return Document(
        uri=source.uri,
        sha256=source.sha256,
        text=text,
        title=" ".join(name.split()) or source.stem,
        media_type=source.media_type,
        sections=sections_at(starts, len(text)),
    )


def _entries(lines: list[str]) -> Iterator[dict[str, list[str]]]:
    facts: dict[str, list[str]] | None = None
    inner, count = 0, 0  # alarms stand inside events
    for line in lines:
        match = _LINE.match(line)
        if match is None:
            continue
        name, value = match[1].upper(), match[3].strip()
        if name == "BEGIN" and value.upper() in _ENTRIES:
            facts, inner = {}, 0
        elif name == "BEGIN":
            inner += 1
        elif name == "END" and facts is not None and value.upper() in _ENTRIES:
            yield facts
            facts, count = None, count + 1
            if count == _MAX_ENTRIES:
                return
        elif name == "END":
            inner -= 1
        elif facts is not None and inner <= 0:
            facts.setdefault(name.lower(), []).append(_shown(name.lower(), match[2], value))


def _entry(facts: dict[str, list[str]]) -> list[Block]:
    lines = [f"{label}: {', '.join(facts[key])}" for key, label in _SHOWN.items() if key in facts]
    parts = ["\n".join(lines), *facts.get("description", [])]
    parts += [f"Comment: {comment}" for comment in facts.get("comment", [])]
    summary = headed(2, " ".join(facts.get("summary", [])))
    return [summary, *(Block(part.strip()) for part in parts)]


def _shown(name: str, parameters: str, value: str) -> str:
    if moment := _MOMENT.match(value):
        year, month, day, hour, minute, utc = moment.groups()
        zone = re.search(r"TZID=\"?([^;\"]+)", parameters)
        clock = f" {hour}:{minute}" if hour else ""
        return f"{year}-{month}-{day}{clock}{' UTC' if utc else f' {zone[1]}' if zone else ''}"
    if name in ("organizer", "attendee"):
        common = re.search(r"CN=(?:\"([^\"]*)\"|([^;:]*))", parameters)
        address = re.sub(r"(?i)^mailto:", "", value)
        return f"{common[1] or common[2]} <{address}>" if common else address
    return _unescaped(value)


def _unescaped(value: str) -> str:
    return _ESCAPES.sub(lambda match: "\n" if match[1] in "nN" else match[1], value)
