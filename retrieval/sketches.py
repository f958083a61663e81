"""Which documents are copies of each other, told from sketches of a few hundred bytes.

A sketch holds the `SIZE` smallest hashes of a text's shingles (runs of `SHINGLE` characters, white
space and case aside, so that it works for Chinese as well). Of the smallest hashes of two texts
together, the share that both have estimates the share of shingles they have in common (bottom-k
sketches: Broder 1997, Cohen and Kaplan 2007).
"""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

_Numbers = NDArray[np.uint64]

SHINGLE = 12  # characters: two English words, a Chinese clause
SIZE = 64  # of 32 bits: the estimate is off by .06 at most of the time
KEYS = 12  # smallest hashes by which candidates are found: at .6 alike, all but 1 in 10^4
ALIKE = 0.6  # a manual with a third of its paragraphs rewritten; unrelated ones measure below .1
_BLOCK = 50_000  # characters hashed at a time: what a processor's cache holds
_CROWD = 64  # documents that share a hash: boilerplate, no sign of a copy
# odd numbers without a pattern in their bits
_MULTIPLIERS = np.array(
    [0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 0xC2B2AE3D27D4EB4F], np.uint64
)
_SEED = np.uint64(0xD6E8FEB86659FD93)


def sketch(text: str) -> str:
    """The sketch of a text in base64; "" for one too short to have any."""
    squeezed = "".join(text.lower().split())
    if len(squeezed) < 2 * SHINGLE:
        return ""
    smallest = np.zeros(0, np.uint32)
    for start in range(0, len(squeezed) - SHINGLE + 1, _BLOCK):
        block = squeezed[start : start + _BLOCK + SHINGLE - 1]
        smallest = np.unique(np.concatenate([smallest, _smallest(block)]))[:SIZE]
    return base64.b64encode(smallest.astype("<u4").tobytes()).decode()


def _smallest(text: str) -> NDArray[np.uint32]:
    """Hashes of the text's shingles, the `SIZE` smallest different ones among them."""
    codes = np.frombuffer(text.encode("utf-32-le", "replace"), "<u4").astype(np.uint64)
    count = len(codes) - SHINGLE + 1
    fours = _mixed(codes, 1, count + SHINGLE - 4)
    hashes = (_mixed(fours, 4, count) >> np.uint64(32)).astype(np.uint32)
    if len(hashes) <= 8 * SIZE:
        return hashes
    small: NDArray[np.uint32] = hashes[hashes <= 2**32 // len(hashes) * 8 * SIZE]
    return small if len(np.unique(small)) >= SIZE else hashes  # a text that repeats itself


def _mixed(values: _Numbers, step: int, count: int) -> _Numbers:
    """One number for each run of four values (three, of fours), `step` apart."""
    mixed: _Numbers = values[:count] * _MULTIPLIERS[0]
    for number in range(1, SHINGLE // step if step > 1 else 4):
        mixed += values[number * step : number * step + count] * _MULTIPLIERS[number]
    mixed ^= mixed >> np.uint64(31)
    mixed *= _SEED
    return mixed


def likeness(one: str, other: str) -> float:
    """Estimated share of shingles that two sketched texts have in common; 0 below about a sixth."""
    return _likeness(_hashes(one), _hashes(other))


def copies(sketches: Mapping[str, str]) -> list[list[str]]:
    """Groups of uris whose documents are near-copies, each sorted, by the sketch of each uri.

    Who is like a member of a group belongs to it.
    """
    hashes = {uri: _hashes(text) for uri, text in sketches.items() if text}
    owners: dict[int, list[str]] = defaultdict(list)
    for uri in sorted(hashes):
        for key in sorted(hashes[uri])[:KEYS]:
            owners[key].append(uri)
    leader = {uri: uri for uri in hashes}

    def find(uri: str) -> str:
        while leader[uri] != uri:
            leader[uri] = leader[leader[uri]]
            uri = leader[uri]
        return uri

    for one, other in _pairs(owners.values()):
        first, second = find(one), find(other)
        if first != second and _likeness(hashes[one], hashes[other]) >= ALIKE:
            leader[max(first, second)] = min(first, second)
    groups: dict[str, list[str]] = defaultdict(list)
    for uri in sorted(hashes):
        groups[find(uri)].append(uri)
    return [group for group in groups.values() if len(group) > 1]


def _pairs(crowds: Iterable[list[str]]) -> Iterable[tuple[str, str]]:
    """Every document with the first ones that share a hash with it."""
    seen: set[tuple[str, str]] = set()
    for crowd in crowds:
        for position, one in enumerate(crowd[:_CROWD]):
            for other in crowd[position + 1 : _CROWD]:
                if (one, other) not in seen:
                    seen.add((one, other))
                    yield one, other


def _hashes(sketched: str) -> frozenset[int]:
    return frozenset(np.frombuffer(base64.b64decode(sketched), "<u4").tolist())


def _likeness(one: frozenset[int], other: frozenset[int]) -> float:
    both = one & other
    if len(both) < len(one) * len(other) / (4 * SIZE):  # far from alike: not worth the sorting
        return 0.0
    smallest = sorted(one | other)[: min(SIZE, max(len(one), len(other)))]
    return sum(value in both for value in smallest) / len(smallest)
