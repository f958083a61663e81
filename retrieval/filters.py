"""What a person's filter means: from a tree to conditions on the payload that a store takes.

path        of the document; a glob (`*` `?` within a folder, `**` over folders; without a slash
            it fits names in any folder), or a folder or file
uri         the same, exact
type        pdf, docx, md, image ... or a media type: application/pdf, image/*
lang        zh, en ...; tag, title, page as they say
date        2024, 2024-03, 2024-03-15: all of that year, month, day; of the document, else its file
metadata.N  any (metadata."N" where the name is no word); an unquoted number or true also fits one
            stored as such; of a list any element

`retrieval.filter_text` has the grammar. A mapping of payload field -> value or list of values is a
filter too.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ingest.documents import Scalar
from retrieval.conditions import And, Between, Compare, Condition, Match, Not, Or, Prefix
from retrieval.facts import language_code
from retrieval.filter_text import FIELDS, METADATA, FilterError, as_utf8, parse
from retrieval.globs import glob

Filters = str | Mapping[str, Any] | Condition
MatchingUris = Callable[[str, re.Pattern[str]], tuple[list[str], list[str]]]
"""(prefix, pattern) -> the uris with that prefix that fit the pattern, and those that do not."""
ModifiedUris = Callable[[Between], tuple[list[str], list[str]]]
"""(a range of moments) -> the uris whose files were modified in it, and the others."""

PAYLOAD_FIELDS = frozenset(FIELDS.values()) | {"document_id"}
_NAMES = PAYLOAD_FIELDS | FIELDS.keys()
MOST_PAGES = 2**31
_ORDERED = {"page", "date"}
_BOUND = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}
_DATE = re.compile(r"(\d{4})(?:[-/年](\d{1,2})(?:[-/月](\d{1,2})日?|月)?|年)?\Z")
_PLAIN_DATE = re.compile(r"(\d{4})(\d{2})(\d{2})\Z")
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}")
_OF_A_DAY = re.compile(r"\d{4}-\d")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?\Z")
_FIRST = "0001-01-01T00:00:00Z"


def tree_of(filters: Filters) -> Condition:
    """The tree of a filter in any of its forms. Raises FilterError."""
    if isinstance(filters, str):
        return parse(filters)
    if isinstance(filters, Mapping):
        return And(tuple(_of_item(name, value) for name, value in filters.items()))
    if not isinstance(filters, Condition):
        raise FilterError(f"a filter is a text or a mapping, not a {type(filters).__name__}")
    return filters


def compiled(
    filters: Filters,
    *,
    matching_uris: MatchingUris,
    modified_uris: ModifiedUris = lambda _: ([], []),
    metadata_names: Callable[[], Iterable[str]] = tuple,
) -> Condition:
    """The conditions on the payload that a filter means.

    `matching_uris` looks through the ledger for globs that no prefix says, `modified_uris` for the
    dates of files. `metadata_names` is asked for the message only, when a field is unknown. Raises
    FilterError.
    """
    return _Compiler(matching_uris, modified_uris, metadata_names).of(tree_of(filters))


@dataclass(frozen=True, slots=True)
class _Compiler:
    matching_uris: MatchingUris
    modified_uris: ModifiedUris
    metadata_names: Callable[[], Iterable[str]]

    def of(self, node: Condition) -> Condition:
        if isinstance(node, And):
            return And(tuple(map(self.of, node.parts)))
        if isinstance(node, Or):
            return Or(tuple(map(self.of, node.parts)))
        if isinstance(node, Not):
            return Not(self.of(node.part))
        return self._compare(node) if isinstance(node, Compare) else node

    def _compare(self, node: Compare) -> Condition:
        key = self._key(node)
        if node.operator == "!=":
            return Not(self._compare(replace(node, operator="=")))
        if node.operator in _BOUND:
            return self._bounded(node, key)
        quoted = node.quoted or (False,) * len(node.values)
        pairs = list(zip(node.values, quoted, strict=True))
        if node.field == "path":
            return Or(tuple(self._path(node, str(value)) for value, _ in pairs))
        if key == "date":
            periods = [self._period(node, str(value)) for value, _ in pairs]
            return Or(tuple(self._dated(Between(key, gte=a, lt=b)) for a, b in periods))
        if key == "media_type":
            return Or(tuple(self._media_type(node, str(value)) for value, _ in pairs))
        if key == "page":
            return Match(key, tuple(self._page(node, value) for value, _ in pairs))
        if key in ("tags", "language"):
            return Match(key, tuple(_folded(key, str(value)) for value, _ in pairs))
        if key.startswith(METADATA):
            return Match(key, tuple(v for value, q in pairs for v in _readings(value, q)))
        return Match(key, tuple(value for value, _ in pairs))

    def _key(self, node: Compare) -> str:
        if node.field.startswith(METADATA) and len(node.field) > len(METADATA):
            try:
                return _metadata_key(node.field)
            except FilterError as exc:
                raise self._fault(node, exc.reason) from None
        if node.field in FIELDS:
            return FIELDS[node.field]
        known = ", ".join(sorted(FIELDS))
        there = sorted(set(self.metadata_names()))
        names = f"; metadata there is {', '.join(there[:20])}" if there else ""
        same = [name for name in there if name == node.field]
        hint = f" (did you mean {METADATA}{same[0]}?)" if same else ""
        raise self._fault(
            node, f"unknown filter field '{node.field}'{hint}: use {known} or metadata.NAME{names}"
        )

    def _bounded(self, node: Compare, key: str) -> Condition:
        if len(node.values) != 1:
            raise self._fault(node, f"'{node.operator}' takes one value, not a list")
        value = str(node.values[0])
        if key not in _ORDERED and not key.startswith(METADATA):
            raise self._fault(node, f"{node.field} has no order: use {node.field}:VALUE")
        if key == "date" or (key.startswith(METADATA) and _OF_A_DAY.match(value)):
            start, end = self._period(node, value)
            # after 2024 begins where 2024 ends; up to 2024 includes all of it
            bound = end if node.operator in (">", "<=") else start
            between = Between(key, **{"gte" if node.operator in (">", ">=") else "lt": bound})
            return self._dated(between) if key == "date" else between
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise self._fault(node, f"'{value}' is no number")
        return Between(key, **{_BOUND[node.operator]: number})

    def _dated(self, between: Between) -> Condition:
        """The date that a document says, or that of its file: the ledger knows that one, so that a
        file that is only touched needs no new passages."""
        fits, others = self.modified_uris(between)
        if not fits:
            return between
        undated = Not(Between("date", gte=_FIRST))
        return Or((between, And((undated, _among(fits, others)))))

    def _period(self, node: Compare, value: str) -> tuple[str, str]:
        """First moment of a year, month or day, and of the one after it."""
        match = _DATE.match(value) or _PLAIN_DATE.match(value)
        try:
            if match is not None:
                return _period(*(None if part is None else int(part) for part in match.groups()))
            if _MOMENT.match(value) is None:  # `fromisoformat` takes weeks, and any sign for the T
                raise ValueError
            moment = datetime.fromisoformat(value)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            return _moment(moment), _moment(moment + timedelta(seconds=1))
        except (ValueError, OverflowError):
            raise self._fault(
                node, f"'{value}' is no date: write 2024, 2024-03 or 2024-03-15"
            ) from None

    def _page(self, node: Compare, value: Scalar) -> int:
        try:
            number = int(str(value))
        except ValueError:
            number = MOST_PAGES
        if abs(number) >= MOST_PAGES:
            raise self._fault(
                node, f"'{value}' is no page number: write page:7, or page>=3 page<=5"
            )
        return number

    def _media_type(self, node: Compare, value: str) -> Condition:
        name = value.casefold().lstrip(".")
        if name.endswith("/*"):
            return Prefix("media_type", name[:-1])
        if "/" in name:
            return Match("media_type", (name,))
        import ingest.loaders.media_types as media_types

        if name in _GROUPS:
            return Or(tuple(map(self._one_type, _GROUPS[name])))
        found = media_types.BY_SUFFIX.get(f".{_SUFFIXES.get(name, name)}")
        if found is None and name in media_types.SOURCE_CODE:
            found = f"text/x-{name}"
        if found is None:
            groups = ", ".join(sorted(_GROUPS))
            raise self._fault(
                node,
                f"'{value}' is no kind of file that kbqa reads: use a suffix such as pdf, docx, "
                f"md, a media type such as text/html, or {groups}",
            )
        return Match("media_type", (found,))

    def _one_type(self, name: str) -> Condition:
        return (
            Prefix("media_type", name)
            if name.endswith(("/", "-"))
            else Match("media_type", (name,))
        )

    def _path(self, node: Compare, pattern: str) -> Condition:
        pattern = unicodedata.normalize("NFC", pattern).removeprefix("./")
        literal = re.split(r"[*?\[]", pattern, maxsplit=1)[0]
        rest = pattern[len(literal) :]
        if not rest:
            return _named(pattern)
        if rest == "**" and (not literal or literal.endswith("/")):
            return Prefix("uri", literal) if literal else And(())
        anywhere = "/" not in pattern
        try:
            expression = glob(pattern)
        except FilterError as exc:
            raise self._fault(node, exc.reason) from None
        fits, others = self.matching_uris("" if anywhere else literal, expression)
        prefix = () if anywhere or not literal else (Prefix("uri", literal),)
        among = _among(fits, others)
        found = among if isinstance(among, Match) else And((*prefix, among))
        # `app/[id]/page.tsx` may be the name itself
        return Or((found, _named(pattern))) if rest.startswith("[") else found

    def _fault(self, node: Compare, reason: str) -> FilterError:
        return FilterError(reason, node.text, node.position)


_SUFFIXES = {"markdown": "md", "text": "txt", "word": "docx", "excel": "xlsx", "powerpoint": "pptx"}
_SUFFIXES |= {"email": "eml", "mail": "eml", "jpeg": "jpg"}
_GROUPS = {"image": ("image/",), "code": ("text/x-",), "audio": ("audio/",), "video": ("video/",)}


def _of_item(name: object, value: Any) -> Condition:
    """A condition from a mapping: its values are of the payload, and mean what they are."""
    known = isinstance(name, str) and (name in _NAMES or name.startswith(METADATA))
    if not isinstance(name, str) or not known:
        names = ", ".join(sorted(FIELDS))
        raise FilterError(f"unknown filter field '{name}': use {names} or metadata.NAME")
    several = value if isinstance(value, list | tuple | set | frozenset) else (value,)
    if not all(map(_can_be_kept, several)):
        raise FilterError(
            f"cannot filter {name} by {value!r}: use a text, a number, a bool or a list of them"
        )
    values = tuple(as_utf8(item) if isinstance(item, str) else item for item in several)
    if name.startswith(METADATA):
        return Match(_metadata_key(name), values)
    if name in PAYLOAD_FIELDS - {"date", "tags", "language", "page"}:
        return Match(name, values)
    return Compare(name, "=", values, tuple(isinstance(item, str) for item in values))


def _can_be_kept(value: Any) -> bool:
    """Whether a payload may hold it."""
    if isinstance(value, int | float):
        return abs(value) < 2**63  # false for NaN
    return isinstance(value, str)


def _metadata_key(field: str) -> str:
    """Where a payload has it. What is no plain word, such as `dc:title` or `a.b`, is quoted."""
    name = as_utf8(field.removeprefix(METADATA))
    if re.search(r'["\\]', name):
        raise FilterError(f"cannot filter by {field}: its name holds a quotation mark or backslash")
    return field if re.fullmatch(r"[\w-]+", name) else f'{METADATA}"{name}"'


def _readings(value: Scalar, quoted: bool) -> list[Scalar]:
    """What an unquoted word may be stored as: itself, a number, a truth value."""
    readings: list[Scalar] = [value]
    if isinstance(value, str) and not quoted:
        if value.lower() in ("true", "false"):
            readings.append(value.lower() == "true")
        elif _NUMBER.match(value) and len(value) < 18:
            number = float(value)
            readings.append(int(number) if number.is_integer() else number)
            if number.is_integer():
                readings.append(number)
    return readings


def _folded(key: str, value: str) -> str:
    return language_code(value) if key == "language" else value.strip().casefold().lstrip("#")


def _named(path: str) -> Condition:
    """A file, or all in a folder; what ends in a slash is a folder."""
    folder = path.rstrip("/")
    inside = Prefix("uri", f"{folder}/")
    return inside if path.endswith("/") else Or((Match("uri", (folder,)), inside))


def _among(fits: Sequence[str], others: Sequence[str]) -> Condition:
    """One of `fits`, or none of `others`: the shorter list is the cheaper condition."""
    if len(others) < len(fits):
        return Not(Match("uri", tuple(others)))
    return Match("uri", tuple(fits))


def _period(year: int | None, month: int | None, day: int | None) -> tuple[str, str]:
    year, first_month, first_day = (1 if part is None else part for part in (year, month, day))
    start = datetime(year, first_month, first_day, tzinfo=UTC)
    if day is not None:
        end = start + timedelta(days=1)
    elif month is not None:
        end = (start.replace(day=28) + timedelta(days=4)).replace(day=1)
    else:
        end = start.replace(year=start.year + 1)
    return _moment(start), _moment(end)


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
