"""A filter that was parsed as a text that parses to the same: for a server, which takes texts."""

from __future__ import annotations

import re

from ingest.errors import BadRequest
from retrieval.conditions import And, Compare, Not, Or
from retrieval.filter_text import METADATA, WORD
from retrieval.filters import Filters

_COMMA = re.compile("[,，]")


def filter_text(filters: Filters | None) -> str:
    """The text; "" for no filter. Raises BadRequest for what no text says: payload fields."""
    if filters is None or isinstance(filters, str):
        return filters or ""
    if isinstance(filters, Compare):
        return _compared(filters)
    if isinstance(filters, Not):
        return f"NOT ({filter_text(filters.part)})"
    if isinstance(filters, And | Or) and filters.parts:
        between = " OR " if isinstance(filters, Or) else " "
        return between.join(f"({filter_text(part)})" for part in filters.parts)
    raise BadRequest("a filter goes to a server as text, such as 'type:pdf date>=2024'")


def _compared(compare: Compare) -> str:
    quoted = compare.quoted or (True,) * len(compare.values)
    values = [
        _value(str(value), is_quoted or (len(compare.values) > 1 and _COMMA.search(str(value))))
        for value, is_quoted in zip(compare.values, quoted, strict=True)
    ]
    said = values[0] if len(values) == 1 else f"({', '.join(values)})"
    field = compare.field
    if field.startswith(METADATA) and not WORD.fullmatch(field):
        field = METADATA + _value(field.removeprefix(METADATA), True)
    return f"{field}{compare.operator}{said}"


def _value(value: str, quoted: object) -> str:
    if not quoted:
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
