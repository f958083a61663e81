"""A person's filter: `path:handbook/** lang:zh date>=2024-01-01`, from text to what a store takes.

    filter   = all of them, or  a OR b,  NOT a,  -a,  (a b)
    compare  = FIELD OP VALUE      OP is : = != > >= < <=
    value    = word, "quoted", 'quoted', or a list of which one must fit: (pdf, docx)

path        of the document; a glob (`*` `?` within a folder, `**` over folders; without a slash
            it fits names in any folder), or a folder or file
uri         the same, exact
type        pdf, docx, md, image ... or a media type: application/pdf, image/*
lang        zh, en ...; tag, title, page as they say
date        2024, 2024-03, 2024-03-15: all of that year, month, day; of the document, else its file
metadata.N  any; an unquoted number or true also fits one stored as such

`parse` makes the tree, `compiled` turns it into conditions on the payload. A mapping of
payload field -> value or list of values is a filter too.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ingest.documents import Scalar
from ingest.errors import BadRequest
from retrieval.conditions import And, Between, Compare, Condition, Match, Not, Or, Prefix

Filters = str | Mapping[str, Any] | Condition
MatchingUris = Callable[[str, re.Pattern[str]], tuple[list[str], list[str]]]
"""(prefix, pattern) -> the uris with that prefix that fit the pattern, and those that do not."""
ModifiedUris = Callable[[Between], tuple[list[str], list[str]]]
"""(a range of moments) -> the uris whose files were modified in it, and the others."""

FIELDS = {
    "path": "uri",
    "uri": "uri",
    "type": "media_type",
    "media_type": "media_type",
    "lang": "language",
    "language": "language",
    "tag": "tags",
    "tags": "tags",
    "title": "title",
    "page": "page",
    "date": "date",
}
PAYLOAD_FIELDS = frozenset(FIELDS.values()) | {"document_id"}
METADATA = "metadata."
_ORDERED = {"page", "date"}
_BOUND = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}
_FULL_WIDTH = str.maketrans("：（），！＝＞＜", ":(),!=><")
_FIELD = re.compile(r"\w[\w.]*(?:-\w[\w.]*)*")
_OPERATOR = re.compile(r"[:：]|[!！][=＝]|[>＞][=＝]|[<＜][=＝]|[=＝]|[>＞]|[<＜]")
_DATE = re.compile(r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2}))?)?\Z")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?\Z")
_ENDS = set("()（）")
MAX_FILTER = 20_000  # characters
MAX_DEPTH = 50
_FIRST = "0001-01-01T00:00:00Z"


class FilterError(BadRequest):
    """A filter that cannot be understood. `text` is the filter, `position` the fault in it, from 0;
    `reason` says what is wrong. -1: the fault has no place in the text."""

    def __init__(self, reason: str, text: str = "", position: int = -1) -> None:
        where = ""
        if position >= 0:
            rest = text[position : position + 20]
            where = f" at character {position + 1}" + (f", before '{rest}'" if rest.strip() else "")
        super().__init__(f"filter{where}: {reason}")
        self.reason, self.text, self.position = reason, text, position

    @property
    def marked(self) -> str:
        """The filter and, below it, a caret at the fault; "" where it has no place."""
        if self.position < 0:
            return ""
        before = self.text[: self.position]
        wide = sum(unicodedata.east_asian_width(character) in "WF" for character in before)
        return f"{' '.join(self.text.splitlines())}\n{' ' * (len(before) + wide)}^"

    def __reduce__(self) -> tuple[type[FilterError], tuple[str, str, int]]:
        return type(self), (self.reason, self.text, self.position)


# --- text to tree ---


def parse(text: str) -> Condition:
    """The tree of a filter. Raises FilterError, with the place of the fault."""
    if len(text) > MAX_FILTER:
        raise FilterError(f"it has {len(text):,} characters; the limit is {MAX_FILTER:,}")
    return _Parser(text).whole()


def from_options(options: Sequence[str]) -> Condition | None:
    """The filter that several `--filter` options make.

    All must hold; `FIELD=VALUE` for one field given twice takes either value. `title=Two words` in
    an option of its own needs no quotes.
    """
    parts: list[Condition] = []
    for option in options:
        part = _option(option)
        twin = next(
            (n for n, other in enumerate(parts) if _same_field(part, other)),
            None,
        )
        if twin is None:
            parts.append(part)
        else:
            first, second = parts[twin], part
            assert isinstance(first, Compare)
            assert isinstance(second, Compare)
            parts[twin] = replace(
                first, values=first.values + second.values, quoted=first.quoted + second.quoted
            )
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def _option(option: str) -> Condition:
    try:
        return parse(option)
    except FilterError:
        name, equals, value = option.partition("=")
        plain = name in FIELDS or name.startswith(METADATA)
        if equals and plain and " " in value and not _OPERATOR.search(value):
            return Compare(name, "=", (value.strip(),), (True,))
        raise


def _same_field(part: Condition, other: Condition) -> bool:
    return (
        isinstance(part, Compare)
        and isinstance(other, Compare)
        and part.operator == other.operator == "="
        and part.field == other.field
    )


class _Parser:
    """Recursive descent over one text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0

    def whole(self) -> Condition:
        self._blanks()
        if self._at == len(self._text):
            raise self._error("it is empty; write FIELD:VALUE, for example type:pdf")
        tree = self._either()
        if self._at < len(self._text):
            raise self._error("this parenthesis closes nothing")
        return tree

    def _either(self) -> Condition:
        parts = [self._all()]
        while self._keyword("OR"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _all(self) -> Condition:
        parts = [self._one()]
        while True:
            if self._keyword("AND") or self._another():
                parts.append(self._one())
            else:
                return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _another(self) -> bool:
        return self._peek() not in ("", ")") and not self._ahead("OR")

    def _one(self) -> Condition:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._error(f"more than {MAX_DEPTH} levels of parentheses and NOT")
        try:
            if self._keyword("NOT"):
                return Not(self._one())
            if self._peek() == "-":
                self._at += 1
                return Not(self._one())
            if self._peek() == "(":
                return self._group()
            return self._compare()
        finally:
            self._depth -= 1

    def _group(self) -> Condition:
        start = self._at
        self._at += 1
        self._blanks()
        inner = self._either()
        if self._peek() != ")":
            raise FilterError("this parenthesis is not closed", self._text, start)
        self._at += 1
        self._blanks()
        return inner

    def _compare(self) -> Compare:
        start = self._at
        field = _FIELD.match(self._text, start)
        if field is None:
            raise self._error("a field is missing here; write FIELD:VALUE, for example type:pdf")
        self._at = field.end()
        self._blanks()
        operator = _OPERATOR.match(self._text, self._at)
        if operator is None:
            raise FilterError(
                f"'{field[0]}' is followed by no operator; write {field[0]}:VALUE, and quote a "
                "value that has blanks",
                self._text,
                start,
            )
        self._at = operator.end()
        values = self._values(operator[0])
        symbol = operator[0].translate(_FULL_WIDTH)
        return Compare(
            field[0],
            "=" if symbol == ":" else symbol,
            tuple(value for value, _ in values),
            tuple(quoted for _, quoted in values),
            start,
        )

    def _values(self, operator: str) -> list[tuple[str, bool]]:
        self._blanks()
        if self._peek() != "(":
            value = self._value(operator, in_list=False)
            self._blanks()
            return [value]
        start = self._at
        self._at += 1
        values = []
        while True:
            self._blanks()
            values.append(self._value(operator, in_list=True))
            self._blanks()
            if self._keyword("OR"):
                continue
            if self._at == len(self._text):
                raise FilterError("this parenthesis is not closed", self._text, start)
            if self._peek() == ",":
                self._at += 1
            elif self._peek() == ")":
                self._at += 1
                self._blanks()
                return values

    def _value(self, operator: str, *, in_list: bool) -> tuple[str, bool]:
        quote = self._text[self._at : self._at + 1]
        if quote in ("'", '"'):
            return self._quoted(quote), True
        start = self._at
        while self._at < len(self._text):
            character = self._text[self._at]
            if character.isspace() or character in _ENDS or (in_list and character in ",，"):
                break
            self._at += 1
        if start == self._at:
            raise self._error(f"a value is missing after '{operator}'")
        word = self._text[start : self._at]
        if _OPERATOR.match(word):
            self._at = start
            raise self._error(f"'{operator}{word[0]}' is no operator; use : = != > >= < <=")
        return word, False

    def _quoted(self, quote: str) -> str:
        start = self._at
        said: list[str] = []
        self._at += 1
        while self._at < len(self._text):
            character = self._text[self._at]
            self._at += 1
            if character == quote:
                return "".join(said)
            if character == "\\" and self._at < len(self._text):
                character = self._text[self._at]
                self._at += 1
            said.append(character)
        raise FilterError("this quotation mark is not closed", self._text, start)

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1].translate(_FULL_WIDTH)

    def _ahead(self, word: str) -> bool:
        end = self._at + len(word)
        after = self._text[end : end + 1]
        return (
            self._text[self._at : end] == word
            and not (after.isalnum() or (after in "_.-" and after))
            and not _OPERATOR.match(self._text, end)
        )

    def _keyword(self, word: str) -> bool:
        if not self._ahead(word):
            return False
        self._at += len(word)
        self._blanks()
        return True

    def _blanks(self) -> None:
        while self._at < len(self._text) and self._text[self._at].isspace():
            self._at += 1

    def _error(self, reason: str) -> FilterError:
        return FilterError(reason, self._text, self._at)


# --- tree to conditions ---


def tree_of(filters: Filters) -> Condition:
    """The tree of a filter in any of its forms. Raises FilterError."""
    if isinstance(filters, str):
        return parse(filters)
    if isinstance(filters, Mapping):
        return And(tuple(_of_item(name, value) for name, value in filters.items()))
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
    text = filters if isinstance(filters, str) else ""
    return _Compiler(text, matching_uris, modified_uris, metadata_names).of(tree_of(filters))


@dataclass(frozen=True, slots=True)
class _Compiler:
    text: str
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
            return Or(tuple(self._path(str(value)) for value, _ in pairs))
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
            return node.field
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
        if key == "date" or (key.startswith(METADATA) and _DATE.match(value) and "-" in value):
            start, end = self._period(node, value)
            # after 2024 begins where 2024 ends; up to 2024 includes all of it
            bound = end if node.operator in (">", "<=") else start
            between = Between(key, **{"gte" if node.operator in (">", ">=") else "lt": bound})
            return self._dated(between) if key == "date" else between
        try:
            number = float(value)
        except ValueError:
            raise self._fault(node, f"'{value}' is no number") from None
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
        match = _DATE.match(value)
        try:
            if match is not None:
                return _period(*(int(part) if part else None for part in match.groups()))
            moment = datetime.fromisoformat(value)
        except (ValueError, OverflowError):
            raise self._fault(
                node, f"'{value}' is no date: write 2024, 2024-03 or 2024-03-15"
            ) from None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return _moment(moment), _moment(moment + timedelta(seconds=1))

    def _page(self, node: Compare, value: Scalar) -> int:
        try:
            return int(value)
        except ValueError:
            raise self._fault(node, f"'{value}' is no page number") from None

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

    def _path(self, pattern: str) -> Condition:
        pattern = unicodedata.normalize("NFC", pattern).removeprefix("./")
        literal = re.split(r"[*?\[]", pattern, maxsplit=1)[0]
        rest = pattern[len(literal) :]
        if not rest:
            folder = pattern.rstrip("/")
            inside = Prefix("uri", f"{folder}/")
            return inside if pattern.endswith("/") else Or((Match("uri", (folder,)), inside))
        if rest == "**" and (not literal or literal.endswith("/")):
            return Prefix("uri", literal) if literal else And(())
        anywhere = "/" not in pattern
        fits, others = self.matching_uris("" if anywhere else literal, glob(pattern))
        prefix = () if anywhere or not literal else (Prefix("uri", literal),)
        among = _among(fits, others)
        return among if isinstance(among, Match) else And((*prefix, among))

    def _fault(self, node: Compare, reason: str) -> FilterError:
        return FilterError(reason, self.text, node.position if self.text else -1)


_SUFFIXES = {"markdown": "md", "text": "txt", "word": "docx", "excel": "xlsx", "powerpoint": "pptx"}
_SUFFIXES |= {"email": "eml", "mail": "eml", "jpeg": "jpg"}
_GROUPS = {"image": ("image/",), "code": ("text/x-",), "audio": ("audio/",), "video": ("video/",)}


def glob(pattern: str) -> re.Pattern[str]:
    """A path glob as an expression for `fullmatch`.

    `*` and `?` stay within a folder, `**` does not, `[ab]` `[!ab]` are sets. A pattern without a
    slash fits a name in any folder.
    """
    if "/" not in pattern:
        pattern = f"**/{pattern}"
    written, at = [], 0
    while at < len(pattern):
        if pattern.startswith("**/", at):
            written.append("(?:.*/)?")
            at += 3
        elif pattern.startswith("**", at):
            written.append(".*")
            at += 2
        elif pattern[at] == "*":
            written.append("[^/]*")
            at += 1
        elif pattern[at] == "?":
            written.append("[^/]")
            at += 1
        elif pattern[at] == "[" and (end := pattern.find("]", at + 2)) > 0:
            inner = pattern[at + 1 : end].replace("\\", r"\\").replace("[", r"\[")
            inner = re.sub(r"([&~|])", r"\\\1", inner)
            negated = inner.startswith(("!", "^"))
            written.append(f"(?!/)[{'^' if negated else ''}{inner[negated:]}]")
            at = end + 1
        else:
            written.append(re.escape(pattern[at]))
            at += 1
    try:
        return re.compile("".join(written), re.DOTALL)
    except re.error as exc:
        raise FilterError(f"'{pattern}' is no glob: {exc}") from exc


def _of_item(name: str, value: Any) -> Condition:
    """A condition from a mapping: its values are of the payload, and mean what they are."""
    known = name in FIELDS or name in PAYLOAD_FIELDS or name.startswith(METADATA)
    if not known:
        names = ", ".join(sorted(FIELDS))
        raise FilterError(f"unknown filter field '{name}': use {names} or metadata.NAME")
    values = tuple(value) if isinstance(value, list | tuple | set | frozenset) else (value,)
    if any(not isinstance(item, str | int | float) for item in values):
        raise FilterError(
            f"cannot filter {name} by {value!r}: use a text, a number, a bool or a list of them"
        )
    if name in PAYLOAD_FIELDS - {"date", "tags", "language"} or name.startswith(METADATA):
        return Match(name, values)
    return Compare(name, "=", values, tuple(isinstance(item, str) for item in values))


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
    value = value.strip().casefold().lstrip("#")
    return re.split(r"[-_]", value)[0] if key == "language" else value


def _among(fits: Sequence[str], others: Sequence[str]) -> Condition:
    """One of `fits`, or none of `others`: the shorter list is the cheaper condition."""
    if len(others) < len(fits):
        return Not(Match("uri", tuple(others)))
    return Match("uri", tuple(fits))


def _period(year: int | None, month: int | None, day: int | None) -> tuple[str, str]:
    start = datetime(year or 1, month or 1, day or 1, tzinfo=UTC)
    if day:
        end = start + timedelta(days=1)
    elif month:
        end = (start.replace(day=28) + timedelta(days=4)).replace(day=1)
    else:
        end = start.replace(year=start.year + 1)
    return _moment(start), _moment(end)


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
