"""Whether two sentences that share their words say opposite or different things."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from functools import lru_cache

from qa.citing.claims import claim_of, content_terms, content_words, is_cjk
from qa.citing.quantities import Quantity, quantities
from retrieval.terms import analyse, simplified, stems

SCOPE_WORDS = 4  # content words behind an English "not" that it may deny
SCOPE_CHARACTERS = 5  # the same behind a Chinese 不; a word has two
ALIKE = 0.6  # share of a statement's words that must be in the other, in order, for a swap
SWAPPED_WORDS = 2

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
_LEADING_NUMBER = re.compile(r"\s*\S?\d[\d.,]*")
_OPPOSITES = (
    (
        "at most|up to|no (?:more|later|longer) than|maximum|not exceed|below|under|less than"
        "|within",
        "at least|no (?:less|fewer|earlier) than|minimum|above|over|more than"
        "|(?<!not )exceed(?:s|ing)?",
    ),
    (
        "不超过|最多|以内|以下|(?<!不)低于|少于|不高于|至多",
        "不少于|至少|以上|(?<!不)高于|(?<!不)超过|不低于|起码",
    ),
    ("before|prior to", "after|following"),
    ("以?之?前(?!台)", "之后|以后"),
    (
        r"increas\w*|rais\w+|rise|rose|grew|grow\w*",
        r"decreas\w*|reduc\w+|lower\w*|fell|fall\w*|drop\w*",
    ),
    ("增加|上升|提高|增长|上调", "减少|下降|降低|下调"),
    (r"allow\w*|permit\w*", r"forbid\w*|prohibit\w*|bann?\w*"),
    ("(?<!不)允许|(?<!不)可以", "禁止|不得|不允许|不可"),
    ("open(?:s|ed)?", "clos(?:e|es|ed)"),
    ("打开|开启", "关闭"),
    (r"includ\w+", r"exclud\w+"),
    ("(?<!不)包括|(?<!不)包含", "不包括|不包含|不含|除外"),
    (r"accept\w*|approv\w+", r"reject\w*|refus\w+|den(?:y|ied|ies)"),
    ("接受|批准", "拒绝|驳回"),
    ("free(?: of charge)?", "paid|for a fee"),
    ("免费", "(?<!不)收费|付费"),
    (r"manual\w*", r"automatic\w*"),
    ("手动|人工", "自动"),
    ("left", "right"),
    ("左", "右"),
)


_GETTING = frozenset(
    ("get", "gets", "got", "receive", "receives", "have", "has", "earn", "earns", "obtain")
)


def _pattern(words: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{words})\b" if words.isascii() else words, re.IGNORECASE)


_SIDES = tuple((_pattern(one), _pattern(other)) for one, other in _OPPOSITES)


def contradicts(one: str, other: str) -> bool:
    """Whether one denies what the other says, or has the other side of a pair of opposites."""
    if _denies(one, other) or _denies(other, one):
        return True
    return any(
        mine != theirs and any(mine) and any(theirs) and not (all(mine) or all(theirs))
        for mine, theirs in zip(_sides(one), _sides(other), strict=True)
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
        and not known.issuperset(stems(analyse(" ".join(mine[start:end]))))
        for tag, start, end, first, last in matcher.get_opcodes()
    )


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
def _sides(text: str) -> tuple[tuple[bool, bool], ...]:
    """For each pair of opposites which of them `text` has."""
    text = simplified(text)
    return tuple((bool(one.search(text)), bool(other.search(text))) for one, other in _SIDES)


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
        return content_terms(words[0][:SCOPE_CHARACTERS])
    return content_terms(" ".join(words[:SCOPE_WORDS]))


def _written(found: Iterable[Quantity]) -> set[str]:
    return {f"{quantity.written:g}" for quantity in found}


def _clause(text: str) -> str:
    end = _CLAUSE_END.search(text)
    return text[: end.start()] if end else text
