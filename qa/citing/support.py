"""How well a passage supports a statement: a figure 0..1, from words, facts and meaning.

Words: the share of the statement's terms that the passage has. Meaning: the cosine of the two
vectors, where the embedder knows the language. Facts: each number, name and denial of the
statement must be in the passage too, or the figure falls whatever words they share.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from qa.citing.claims import claim_of, is_cjk
from qa.citing.contradictions import contradicts, swaps
from qa.citing.quantities import Quantity, agree

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


def support(
    statement: str, passage: str, *, context: str = "", cosine: float = 0.0, known: float = 0.0
) -> float:
    """Support of `statement` by the words of `passage`.

    `context` is what a reader of the passage knows too: title, headings, the head of its table.
    `cosine` of the two texts counts by `known`, the share of the statement that the embedder has in
    its vocabulary. 0 for a statement without content.
    """
    if not (claim_of(statement).terms or claim_of(statement).quantities):
        return 0.0
    agreement = words_agree(statement, passage, context)
    weight = MEANING * known**2
    agreement = (1 - weight) * agreement + weight * max(cosine, 0.0)
    figure = _squashed(agreement) * facts_agree(statement, passage, context)
    if contradicts(statement, passage):
        figure *= CONTRADICTION
    if figure >= SUPPORTED and not passage.startswith("|") and swaps(statement, passage):
        figure *= SWAP
    return figure


def comparable(statement: str, passage: str) -> bool:
    """Whether the two are in languages that share words: not so for Chinese and English."""
    said, found = claim_of(statement).terms, claim_of(passage).terms
    return any(map(is_cjk, said)) == any(map(is_cjk, found)) or bool(said & found)


def words_agree(statement: str, passage: str, context: str = "") -> float:
    """Share of the statement's terms that the passage has."""
    said, found = claim_of(statement).terms, claim_of(passage).terms
    if not said:
        return 1.0
    nearby = (said - found) & claim_of(context).terms
    return (len(said & found) + NEARBY * len(nearby)) / len(said)


def facts_agree(statement: str, passage: str, context: str = "") -> float:
    """What is left of a figure 1 for numbers and names that the passage does not have."""
    said, found = claim_of(statement), claim_of(passage)
    left = 1.0
    if not all(_has(found.quantities, number) for number in said.quantities):
        left *= WRONG_NUMBER
    missing = [name for name in said.names if name not in found.squeezed]
    around = claim_of(context).squeezed
    if any(name not in around for name in missing):
        left *= WRONG_NAME
    elif missing:
        left *= NAME_NEARBY
    return left


def facts_shared(statement: str, passage: str) -> int:
    """How many numbers and names of the statement the passage has."""
    said, found = claim_of(statement), claim_of(passage)
    numbers = sum(_has(found.quantities, number) for number in said.quantities)
    return numbers + sum(name in found.squeezed for name in said.names)


def _squashed(agreement: float) -> float:
    return 1 / (1 + math.exp(-STEEPNESS * (agreement - MIDDLE)))


def _has(offered: Iterable[Quantity], wanted: Quantity) -> bool:
    return not wanted.certain or any(agree(wanted, quantity) for quantity in offered)
