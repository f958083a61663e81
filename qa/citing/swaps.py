"""Whether two sentences that share their words are about different things."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from qa.citing.claims import claim_of, content_terms, content_words, is_cjk
from qa.citing.quantities import Quantity, agree, quantities
from retrieval.terms import analyse, stems

ALIKE = 0.6  # share of a statement's words that must be in the other, in order, for a swap
SWAPPED_WORDS = 2
_GETTING = frozenset(
    ("get", "gets", "got", "receive", "receives", "have", "has", "earn", "earns", "obtain")
)


def swaps(one: str, other: str) -> bool:
    """Whether `one` says what `other` says, but of another thing: a foreign word in its place.

    `Part-time staff get 26 days` for `Full-time staff get 26 days`. A synonym is taken for a swap,
    but for verbs of having and getting.
    """
    mine, theirs = _tokens(one), _tokens(other)
    matcher = SequenceMatcher(None, mine, theirs, autojunk=False)
    if sum(block.size for block in matcher.get_matching_blocks()) < ALIKE * len(mine):
        return False
    known = set(theirs) | claim_of(other).terms
    return any(
        tag == "replace"
        and _may_be_swapped(mine[start:end], theirs[first:last])
        and not _knows(known, mine, start, end)
        for tag, start, end, first, last in matcher.get_opcodes()
    )


def _knows(known: set[str], mine: Sequence[str], start: int, end: int) -> bool:
    """Whether the other text has these words too; of Chinese, with a character beside them."""
    words = mine[start:end]
    if not all(map(is_cjk, words)):
        return known.issuperset(stems(analyse(" ".join(words))))
    run = "".join(mine[max(0, start - 1) : end + 1])
    pairs = {run[i : i + 2] for i in range(len(run) - 1)}
    return not pairs or len(pairs & known) * 2 >= len(pairs)


def _may_be_swapped(mine: Sequence[str], theirs: Sequence[str]) -> bool:
    """Whether both may be names of things: verbs, by their ending, are more often synonyms."""
    if abs(len(mine) - len(theirs)) > 1 or max(len(mine), len(theirs)) > SWAPPED_WORDS:
        return False
    if _GETTING.issuperset(mine) and not _GETTING.isdisjoint(theirs):
        return False
    return not any(len(words) == 1 and words[0].endswith("ed") for words in (mine, theirs))


def _tokens(text: str) -> list[str]:
    """Content words in order, Chinese characters one by one."""
    tokens: list[str] = []
    for word in content_words(text):
        tokens.extend(word if is_cjk(word) else [word.lower()])
    return tokens


_CLAUSES = re.compile(r"[,;:，；：。！？|\n]|\.(?!\d)|\b(?:and|but|or|while)\b|但|而")
_APART = ",;，；、:：()（）\n|"  # what ends the name of a holder
_ROLES = re.compile(rf"(?<![^{_APART}])(?P<holder>[^{_APART}]+)[(（](?P<role>[^()（）\n|]+)[)）]")


def misplaces(one: str, other: str) -> bool:
    """Whether `one` takes a number of `other` for that of another thing.

    `Half salary for 30 days` of `full salary for 30 days and half salary for 20`: `half` stands in
    a later clause than 30 does, or in another cell of a row, with a number of the same kind of its
    own.
    """
    mine = [number for number in claim_of(one).quantities if number.certain]
    if not mine:
        return False
    said = claim_of(one).terms
    is_row = other.startswith("|")
    written = other.split("|") if is_row else _CLAUSES.split(other)
    parts = [(_about(part, is_row), quantities(part)) for part in written]
    return any(_strays(said, number, mine, parts, is_row) for number in mine)


def _about(part: str, is_row: bool) -> frozenset[str]:
    """The terms of a clause, or of the name of a cell's column."""
    return content_terms(part.partition(": ")[0] if is_row else part)


def _strays(
    said: frozenset[str],
    number: Quantity,
    mine: Sequence[Quantity],
    parts: Sequence[tuple[frozenset[str], list[Quantity]]],
    is_row: bool,
) -> bool:
    homes = [place for place, (_, found) in enumerate(parts) if _in(number, found)]
    if not homes:
        return False
    at_home = [quantity for place in homes for quantity in parts[place][1]]
    kinds = {quantity.kind for quantity in at_home if agree(quantity, number)}
    elsewhere = [own for own in mine if not _in(own, at_home)]
    foreign = [
        place
        for place, (_, found) in enumerate(parts)
        if place not in homes
        and (is_row or place > homes[0])
        and any((is_row or other.kind in kinds) and not _in(other, mine) for other in found)
        and not any(_in(own, found) for own in elsewhere)
    ]
    known = frozenset().union(*(t for place, (t, _) in enumerate(parts) if place not in foreign))
    return any(said & parts[place][0] - known for place in foreign)


def _in(number: Quantity, found: Sequence[Quantity]) -> bool:
    return any(agree(number, other) for other in found)


def takes_role(one: str, other: str) -> bool:
    """Whether `one` gives a role to someone of whom `other` does not say it: `Ann (chair), Bob`."""
    said = claim_of(one)
    return bool(said.named) and any(
        content_terms(match["role"]) & said.terms
        and not content_terms(match["holder"]) & said.terms
        for match in _ROLES.finditer(other)
    )
