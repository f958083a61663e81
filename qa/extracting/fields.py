"""Lines that give a thing its value: `Calibrated by: Ann Lee`, `批号：B-12`, `【有效期】两年`."""

from __future__ import annotations

import re
from collections.abc import Set
from typing import NamedTuple

from qa.sentences import FIELD
from retrieval.terms import analyse, stems

_OTHER_NAME = re.compile(r"[(（]([^()（）]+)[)）]")  # of a label: "Lessor (party A)"
_WORD = re.compile(r"\w+")
_BRACKETED = re.compile(r"\s*【(?P<label>[^【】\n]{1,40})】\s*(?P<value>\S)")


class Field(NamedTuple):
    """The terms of a label, as many sets as it has names, and of what follows it."""

    labels: tuple[Set[str], ...]
    value: Set[str]

    def is_asked_for(self, asked: Set[str]) -> bool:
        """Whether the question, of these terms, has a whole label and not its value."""
        named = any(label and label <= asked for label in self.labels)
        return named and not self.says_nothing(asked)

    def says_nothing(self, asked: Set[str]) -> bool:
        """Whether what follows the label stands in the question itself."""
        return self.value <= asked


def field_of(text: str) -> Field | None:
    """A sentence as a field, if it is one."""
    found = _BRACKETED.match(text) or FIELD.match(text)
    if found is None:
        return None
    label = found["label"].replace("_", " ")
    names = (label, *filter(_is_kept, (*_OTHER_NAME.findall(label), _OTHER_NAME.sub(" ", label))))
    value = frozenset(analyse(text[found.start("value") :]))
    return Field(tuple(frozenset(analyse(name)) for name in names), value)


def _is_kept(name: str) -> bool:
    """Whether no word of it is a stop word: "party A" would be any party."""
    return len(stems(analyse(name))) >= len(_WORD.findall(name))
