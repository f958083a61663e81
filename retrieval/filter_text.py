"""A person's filter as text: `path:handbook/** lang:zh date>=2024-01-01`, into a tree.

    filter   = all of them, or  a OR b,  NOT a,  -a,  (a b)
    compare  = FIELD OP VALUE      OP is : = != > >= < <=;  FIELD may be metadata."any name"
    value    = word, "quoted", 'quoted', “quoted”, or a list of which one must fit: (pdf, docx)

What the fields and values mean is the business of `retrieval.filters`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace

from ingest.errors import BadRequest
from retrieval.conditions import And, Compare, Condition, Not, Or

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
METADATA = "metadata."
_FULL_WIDTH = str.maketrans("：（），！＝＞＜", ":(),!=><")
WORD = re.compile(r"\w[\w.]*(?:-\w[\w.]*)*")
_OPERATOR = re.compile(r"[:：]|[!！][=＝]|[>＞][=＝]|[<＜][=＝]|[=＝]|[>＞]|[<＜]")
_ENDS = set("()（）")
_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "「": "」"}
MAX_FILTER = 20_000  # characters
MAX_DEPTH = 50


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


def parse(text: str) -> Condition:
    """The tree of a filter. Raises FilterError, with the place of the fault."""
    if len(text) > MAX_FILTER:
        raise FilterError(f"it has {len(text):,} characters; the limit is {MAX_FILTER:,}")
    return _Parser(as_utf8(text)).whole()


def as_utf8(text: str) -> str:
    """A text without lone surrogates, as which bytes of a command line arrive that are no UTF-8."""
    return text.encode("utf-8", "replace").decode()


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
        field = self._field()
        self._blanks()
        operator = _OPERATOR.match(self._text, self._at)
        if operator is None:
            raise FilterError(
                f"'{field}' is followed by no operator; write {field}:VALUE, and quote a "
                "value that has blanks",
                self._text,
                start,
            )
        self._at = operator.end()
        values = self._values(operator[0])
        symbol = operator[0].translate(_FULL_WIDTH)
        return Compare(
            field,
            "=" if symbol == ":" else symbol,
            tuple(value for value, _ in values),
            tuple(quoted for _, quoted in values),
            start,
            self._text,
        )

    def _field(self) -> str:
        quote = self._text[self._at + len(METADATA) :][:1]
        if quote in _QUOTES and self._text.startswith(METADATA, self._at):
            self._at += len(METADATA)
            return METADATA + self._quoted(_QUOTES[quote])
        field = WORD.match(self._text, self._at)
        if field is None:
            raise self._error("a field is missing here; write FIELD:VALUE, for example type:pdf")
        self._at = field.end()
        return field[0]

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
        if quote in _QUOTES:
            return self._quoted(_QUOTES[quote]), True
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
            self._text[self._at : end].upper() == word
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
