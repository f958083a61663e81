"""Lines that give a thing its value: `Calibrated by: Ann Lee`, `批号：B-12`."""

from __future__ import annotations

from collections.abc import Set
from typing import NamedTuple

from qa.sentences import FIELD
from retrieval.terms import analyse


class Field(NamedTuple):
    """The terms of a label and of what follows it."""

    label: Set[str]
    value: Set[str]

    def is_asked_for(self, asked: Set[str]) -> bool:
        """Whether the question, of these terms, has the whole label and not its value."""
        return bool(self.label) and self.label <= asked and not self.says_nothing(asked)

    def says_nothing(self, asked: Set[str]) -> bool:
        """Whether what follows the label stands in the question itself."""
        return self.value <= asked


def field_of(text: str) -> Field | None:
    """A sentence as a field, if it is one."""
    found = FIELD.match(text)
    if found is None:
        return None
    label = found["label"].replace("_", " ")
    return Field(frozenset(analyse(label)), frozenset(analyse(text[found.start("value") :])))
