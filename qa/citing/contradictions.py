"""Whether two sentences that share their words say opposite things."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from qa.citing.claims import claim_of, content_terms, content_words, is_cjk
from qa.citing.opposites import opposed
from qa.citing.quantities import Quantity, quantities
from retrieval.terms import simplified

SCOPE_WORDS = 4  # content words behind an English "not" that it may deny
SCOPE_CHARACTERS = 5  # the same behind a Chinese 不; a word has two

_NOT = re.compile(
    r"\b(?:not|never|no|nor|neither|none|without|cannot|nothing|nobody)\b|n['’]t\b", re.IGNORECASE
)
_BOUND = re.compile(  # "no more than 5" denies nothing: it is "at most 5"
    r"\bnot?\s+(?:more|less|fewer|later|earlier|longer\s+than|over|under|only|just|exceed\w*)\b",
    re.IGNORECASE,
)
_NOT_ZH = re.compile(
    r"(?:不(?![仅但过同断锈论管少久良足超迟晚止只]|低于|高于|大于|小于)|没有?|未(?!来)"
    r"|无(?![论线锡人尘水])|非(?![常洲])|勿|禁止|严禁)+"
    r"(?:得|能|可以?|会|应|须|需要?|要|必|用|再|允许|是)?"
)
_CLAUSE_END = re.compile(
    r"[,;:!?，；：。！？、()（）\n]|\.(?!\d)|\b(?:but|and|or|if|when|because)\b|但|而"
)
_FROM_TO = re.compile(
    r"\bfrom\s(?P<start>.{1,40}?)\sto\s(?P<end>.{1,40})"
    r"|\bto\s(?P<end_2>.{1,40}?)\sfrom\s(?P<start_2>.{1,40})|\bfrom\s(?P<start_3>.{1,40})"
    r"|[由从](?P<start_4>[^，。；,;]{1,20}?)(?:[到至]|(?:[改变变换转][成到为作]))(?P<end_4>.{1,20})"
    r"|先(?P<start_5>[^，。；,;]{1,6}?)[，,]?[后再](?P<end_5>.{1,6})",
    re.IGNORECASE,
)
_LEADING_NUMBER = re.compile(r"\s*\S?\d[\d.,]*")


def contradicts(one: str, other: str, *, context: str = "") -> bool:
    """Whether one denies what the other says, or has the other side of a pair of opposites.

    `context` stands above `other`: what is listed under "not included" is denied by that.
    """
    if (not _denials(context) and _denies(one, other)) or _denies(other, one):
        return True
    nearest = _nearest_clause(one, other)
    return opposed(one, other) or opposed(one, nearest) or turned_round(one, other)


def _nearest_clause(one: str, other: str) -> str:
    """The clause of `other` with the most words of `one`, if it has more than half of them."""
    said = claim_of(one).terms
    clauses = _CLAUSE_END.split(other)
    shared, place = max((len(said & content_terms(c)), -n) for n, c in enumerate(clauses))
    return clauses[-place] if 2 * shared > len(said) else ""


def turned_round(one: str, other: str) -> bool:
    """Whether the two say `from A to B` and `from B to A`."""
    mine, theirs = _ends(one), _ends(other)
    return any(
        (start & other_end or end & other_start) and not (start & other_start or end & other_end)
        for start, end in mine
        for other_start, other_end in theirs
    )


@lru_cache(maxsize=1024)
def _ends(text: str) -> tuple[tuple[frozenset[str], frozenset[str]], ...]:
    """For each `from A to B` what A says last and what B says first."""
    ends = []
    for match in _FROM_TO.finditer(simplified(text)):
        found = [(name[:3], words) for name, words in match.groupdict().items() if words]
        said = {name: _clause(words) for name, words in found}
        ends.append((_worth(said.get("sta", ""), last=True), _worth(said.get("end", ""))))
    return tuple(ends)


def _worth(words: str, *, last: bool = False) -> frozenset[str]:
    """What stands at one end of a change: its number, or else the word nearest to the change."""
    numbers, said = quantities(words), content_words(words)
    if numbers or not said:
        return frozenset(_written(numbers[:1]))
    nearest = said[-1] if last else said[0]
    return content_terms(nearest[:SCOPE_CHARACTERS] if is_cjk(nearest) else nearest)


def _denies(one: str, other: str) -> bool:
    """Whether `other` says without a "not" what stands behind a "not" in `one`."""
    mine = _denials(one)
    if not mine:
        return False
    claim = claim_of(other)
    said = claim.terms | _written(claim.quantities)
    denied = frozenset().union(*_denials(other))
    return any(scope & said and not scope & denied for scope in mine)


@lru_cache(maxsize=1024)
def _denials(text: str) -> tuple[frozenset[str], ...]:
    """For each "not" of `text` the terms that it applies to."""
    return tuple(filter(None, _scopes(simplified(text))))


def _scopes(text: str) -> Iterator[frozenset[str]]:
    bounds = [match.span() for match in _BOUND.finditer(text)]
    for match in _NOT.finditer(text):
        if not any(start <= match.start() < end for start, end in bounds):
            yield _scope(_clause(text[match.end() :]))
    for match in _NOT_ZH.finditer(text):
        yield _scope(_clause(text[match.end() :]))


def _scope(clause: str) -> frozenset[str]:
    """What a "not" before `clause` denies: its first words, or the number it begins with."""
    number = _LEADING_NUMBER.match(clause)
    if number:
        return frozenset(_written(quantities(number.group())))
    words = content_words(clause)
    if words and is_cjk(words[0]):
        return content_terms(_first(words, SCOPE_CHARACTERS))
    return content_terms(" ".join(words[:SCOPE_WORDS]))


def _first(words: list[str], characters: int) -> str:
    """The first characters of the words, these apart."""
    said = " ".join(words)
    return said[: characters + said[: characters + 1].count(" ")]


def _written(found: Iterable[Quantity]) -> set[str]:
    return {f"{quantity.written:g}" for quantity in found}


def _clause(text: str) -> str:
    end = _CLAUSE_END.search(text)
    return text[: end.start()] if end else text
