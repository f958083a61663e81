"""How well a passage supports a statement: a figure 0..1, from words, facts and meaning.

Words: the share of the statement's terms that the passage has. Meaning: the cosine of the two
vectors, where the embedder knows the language. Facts: each number, name and denial of the
statement must be in the passage too, or the figure falls whatever words they share.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable

from qa.citing.claims import claim_of, content_words, is_cjk
from qa.citing.contradictions import contradicts
from qa.citing.quantities import Quantity, agree
from qa.citing.rows import holds
from qa.citing.swaps import misplaces, swaps, takes_role

SUPPORTED = 0.5  # from here on a statement counts as supported
MIDDLE, STEEPNESS = 0.48, 10.0  # agreement at which the figure is .5, and how fast it changes there
MEANING = 0.4  # weight of the cosine beside the words, where the embedder knows all of them
NEARBY = 0.5  # of a term that only the context has
# what is left of the figure for
WRONG_NUMBER = 0.25
WRONG_NAME = 0.35
NAME_NEARBY = 0.8  # in the context, not in the words themselves
CONTRADICTION = 0.3
SWAP = 0.45
ALONE = 0.45
LONG = 3  # pairs of characters in a row that are more than one word
SHORT = 2  # letters of a name that may stand in any word


def support(
    statement: str,
    passage: str,
    *,
    context: str = "",
    others: Collection[str] = (),
    cosine: float = 0.0,
    known: float = 0.0,
) -> float:
    """Support of `statement` by the words of `passage`.

    `context` is what a reader of the passage knows too: title, headings, the head of its table.
    `others` are cells that only other rows of its table have: a statement with one mixes two rows.
    `cosine` of the two texts counts by `known`, the share of the statement that the embedder has in
    its vocabulary. 0 for a statement without content.
    """
    if not (claim_of(statement).terms or claim_of(statement).quantities):
        return 0.0
    agreement = words_agree(statement, passage, context)
    weight = MEANING * known**2
    agreement = (1 - weight) * agreement + weight * max(cosine, 0.0)
    figure = _squashed(agreement) * facts_agree(statement, passage, context)
    if any(holds(statement, cell) for cell in others):
        figure *= SWAP
    if one_thing_alone(statement, passage):
        figure *= ALONE
    if contradicts(statement, passage, context=context):
        figure *= CONTRADICTION
    if figure >= SUPPORTED and _of_another(statement, passage):
        figure *= SWAP
    return figure


def _of_another(statement: str, passage: str) -> bool:
    """Whether the passage says of another thing what the statement says."""
    if misplaces(statement, passage) or takes_role(statement, passage):
        return True
    return not passage.startswith("|") and swaps(statement, passage)


def comparable(statement: str, passage: str) -> bool:
    """Whether the two are in languages that share words: not so for Chinese and English."""
    said, found = claim_of(statement).terms, claim_of(passage).terms
    return any(map(is_cjk, said)) == any(map(is_cjk, found)) or bool(said & found)


def words_agree(statement: str, passage: str, context: str = "") -> float:
    """Share of the statement's terms and numbers that the passage has."""
    said, found = claim_of(statement), claim_of(passage)
    numbers = [number for number in said.quantities if number.certain]
    total = len(said.terms) + len(numbers)
    if not total:
        return 1.0
    shared = said.terms & found.terms
    nearby = (said.terms - shared) & claim_of(context).terms
    agreeing = sum(_has(found.quantities, number) for number in numbers)
    return (len(shared) + agreeing + NEARBY * len(nearby)) / total


def one_thing_alone(statement: str, passage: str) -> bool:
    """Whether names or a single word are all that a passage has of a statement that says more."""
    said, found = claim_of(statement), claim_of(passage)
    if any(number.certain and _has(found.quantities, number) for number in said.quantities):
        return False
    plain = said.terms - said.named - found.named
    shared = plain & found.terms
    if shared == plain:
        return False
    words = sum(not is_cjk(term) for term in shared) + _words(statement, shared)
    return words < 1 if (said.named | found.named) & said.terms & found.terms else words <= 1


def _words(statement: str, shared: Collection[str]) -> int:
    """About how many Chinese words of a statement are in the terms it shares."""
    words = 0
    for run in filter(is_cjk, content_words(statement)):
        held = "".join("x" if run[i : i + 2] in shared else " " for i in range(len(run) - 1))
        words += sum(1 + len(pairs) // LONG for pairs in held.split())
    return words


def facts_agree(statement: str, passage: str, context: str = "") -> float:
    """What is left of a figure 1 for numbers and names that the passage does not have."""
    said, found = claim_of(statement), claim_of(passage)
    left = 1.0
    if not all(_has(found.quantities, number) for number in said.quantities):
        left *= WRONG_NUMBER
    missing = [name for name in said.names if not _names(passage, name)]
    if any(not _names(context, name) for name in missing):
        left *= WRONG_NAME
    elif missing:
        left *= NAME_NEARBY
    return left


def facts_shared(statement: str, passage: str) -> int:
    """How many numbers and names of the statement the passage has."""
    said, found = claim_of(statement), claim_of(passage)
    numbers = sum(_has(found.quantities, number) for number in said.quantities)
    return numbers + sum(_names(passage, name) for name in said.names)


def _names(text: str, name: str) -> bool:
    """Whether a text has a name; a letter or two as a word of their own."""
    return holds(text, name) if len(name) <= SHORT else name in claim_of(text).squeezed


def _squashed(agreement: float) -> float:
    return 1 / (1 + math.exp(-STEEPNESS * (agreement - MIDDLE)))


def _has(offered: Iterable[Quantity], wanted: Quantity) -> bool:
    return not wanted.certain or any(agree(wanted, quantity) for quantity in offered)
