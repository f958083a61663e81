"""What a point must satisfy: one tree for every store, and for a person's filter before that.

And, Or, Not     of other conditions
Match            a field has one of the values (of a list: any of its elements has)
Between          a number or a moment lies in a range
Prefix           a text begins so
Compare          what a person wrote; `retrieval.filters` turns it into the others

Stores take all but `Compare`, and the older mapping of field -> value or list of values.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ingest.documents import Scalar


@dataclass(frozen=True, slots=True)
class And:
    """All of `parts` hold; true without parts."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """One of `parts` holds; false without parts."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """`part` does not hold; a point without the field is one of these."""

    part: Condition


@dataclass(frozen=True, slots=True)
class Match:
    """The payload field `key` has one of `values`; true and 1 are different values."""

    key: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Between:
    """A number or moment between bounds; a bound that is None does not bind.

    Bounds are all numbers, or all texts: moments as RFC 3339 has them (`2024-03-01T00:00:00Z`).
    """

    key: str
    gte: float | str | None = None
    gt: float | str | None = None
    lte: float | str | None = None
    lt: float | str | None = None

    @property
    def of_moments(self) -> bool:
        """Whether the bounds are moments."""
        return any(isinstance(bound, str) for bound in (self.gte, self.gt, self.lte, self.lt))


@dataclass(frozen=True, slots=True)
class Prefix:
    """The text in `key` begins with `prefix`, character by character."""

    key: str
    prefix: str


@dataclass(frozen=True, slots=True)
class Compare:
    """`field operator value`: one of = != > >= < <= and one value, or several of which one holds.

    `quoted` says which values stood in quotes and so are texts. `position` is that of the field in
    `text`, the whole filter, from 0; -1 for one that was not written.
    """

    field: str
    operator: str
    values: tuple[Scalar, ...]
    quoted: tuple[bool, ...] = ()
    position: int = -1
    text: str = dataclasses.field(default="", compare=False)


Condition = And | Or | Not | Match | Between | Prefix | Compare
Where = Mapping[str, Any] | Condition
"""A condition; or field -> value that a point must have, or a list of which it must have one."""
