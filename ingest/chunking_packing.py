"""The cheapest way to cut a text into chunks of limited size.

Every place where the text may be cut has a price; a chunk costs 1, and more the smaller it is. So
chunks come out full where nothing speaks against it and end at headings rather than in sentences;
what is left over at the end is spread evenly instead of being a crumb.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

SENTENCE, WORD, TOKEN = 1.0, 2.0, 4.0  # prices of cuts inside a line
_SMALLNESS = 0.6  # price of an empty chunk beyond that of a full one; falls with the square
_COARSE = 8  # and where nothing tells them apart
_STEPS = 24  # places per chunk that are worth comparing; more cost time, and gain nothing
# A word unknown to a tokenizer is one token however long it is (base64, minified code): it counts
# as one for each so many characters. English has 4.5 a token, Chinese 1.
TOKEN_CHARACTERS = 16
_BLANKS = 64  # white space (indentation) counts from here
_SENTENCE_END = re.compile(
    r"[。！？；…]+[”’」』）)]*|[.!?]+[”’\"')\]]*(?=\s+[^\sa-z])|[.!?][”’\"')\]]*\n|\n"
)
_CLAUSE_END = re.compile(r"[ ,;，、：|]")


class Cut(NamedTuple):
    """A place where a chunk may begin, and what beginning there costs."""

    offset: int
    price: float


@dataclass(frozen=True, slots=True)
class Costs:
    """The window: `capacity` tokens, less what the context of a chunk takes that begins there."""

    capacity: int
    reserved: Mapping[int, int]


def pack(
    text: str, cuts: Sequence[Cut], starts: Sequence[int], costs: Costs
) -> list[tuple[int, int]]:
    """Spans that cover `text`, each of at most `costs.capacity` tokens, cut at the best places.

    `starts` are the offsets of the tokens, ascending; `cuts` may be in any order.
    """
    capacity = costs.capacity
    if len(starts) <= capacity and not any(cut.price < -1 for cut in cuts):
        return [(0, len(text))] if text else []
    places = _places(text, cuts, starts, capacity)
    counts = [bisect_left(starts, place.offset) for place in places]
    small = [1 + _SMALLNESS * (1 - n / capacity) ** 2 for n in range(capacity + 1)]
    best = [float("inf")] * len(places)
    came_from = [0] * len(places)
    best[0] = 0.0
    last = len(places) - 1
    reserved = costs.reserved
    for i in range(last):
        base, count = best[i], counts[i]
        limit = max(
            count + capacity - reserved.get(places[i].offset, 0),
            min(counts[i + 1], count + capacity),
        )
        for j in range(i + 1, last + 1):
            if counts[j] > limit:
                break
            cost = base + small[counts[j] - count] + places[j].price
            if cost < best[j]:
                best[j], came_from[j] = cost, i
    bounds = [last]
    while bounds[-1]:
        bounds.append(came_from[bounds[-1]])
    offsets = [places[index].offset for index in reversed(bounds)]
    return list(pairwise(offsets))


def with_long_tokens(text: str, starts: Sequence[int]) -> Sequence[int]:
    """`starts`, and more where a token or a gap is longer than any that a word makes."""
    ends = [*starts[1:], len(text)]
    first = starts[0] if starts else len(text)
    long = (
        [
            (start, end)
            for start, end in zip((0, *starts), (first, *ends), strict=True)
            if end - start > TOKEN_CHARACTERS
        ]
        if starts
        else [(0, len(text))]
    )
    more = [
        offset
        for start, end in long
        if end - start > _BLANKS or len(text[start:end].rstrip()) > TOKEN_CHARACTERS
        for offset in range(start + TOKEN_CHARACTERS, end, TOKEN_CHARACTERS)
    ]
    return sorted([*starts, *more]) if more else starts


def _places(text: str, cuts: Sequence[Cut], starts: Sequence[int], capacity: int) -> list[Cut]:
    """The cuts in order, few enough to compare and near enough for every stretch to fit."""
    ordered = _thinned(sorted(cuts), starts, capacity, len(text))
    places = [Cut(0, 0.0)]
    for cut in [*ordered, Cut(len(text), 0.0)]:
        if cut.offset <= places[-1].offset:
            continue
        first, last = places[-1].offset, cut.offset
        if bisect_left(starts, last) - bisect_left(starts, first) > capacity:
            places += _finer(text, first, last, starts, capacity)
        places.append(cut)
    return places


def _thinned(cuts: list[Cut], starts: Sequence[int], capacity: int, end: int) -> list[Cut]:
    """Only the cheapest of the cuts that lie within a few tokens of each other."""
    step = max(1, capacity // _STEPS)
    if len(cuts) * step < len(starts):
        return [cut for cut in cuts if 0 < cut.offset < end]
    cheapest: dict[int, Cut] = {}
    for cut in cuts:
        if 0 < cut.offset < end:
            bucket = bisect_left(starts, cut.offset) // step
            if bucket not in cheapest or cut.price < cheapest[bucket].price:
                cheapest[bucket] = cut
    return list(cheapest.values())


def _finer(text: str, start: int, end: int, starts: Sequence[int], capacity: int) -> Iterator[Cut]:
    """Cuts inside a stretch that is too long: sentence ends; between words where these are far."""
    sentence_ends = [
        Cut(match.end(), SENTENCE)
        for match in _SENTENCE_END.finditer(text, start, end)
        if match.end() < end
    ]
    thinned = _thinned(sentence_ends, starts, capacity, end)
    for first, last in pairwise([Cut(start, 0.0), *thinned, Cut(end, 0.0)]):
        if first.offset > start:
            yield first
        begin, stop = bisect_left(starts, first.offset), bisect_left(starts, last.offset)
        if stop - begin > capacity:
            yield from _between_tokens(text, first.offset, starts[begin:stop], capacity)


def _between_tokens(text: str, start: int, tokens: Sequence[int], capacity: int) -> Iterator[Cut]:
    """Cuts every few tokens, after a blank or comma where there is one."""
    step = max(1, capacity // _COARSE if capacity >= 2 * _COARSE else 1)
    low = start
    for index in range(step, len(tokens), step):
        token = tokens[index]
        blank = max(text.rfind(mark, low + 1, token) for mark in " ,，、|;")
        if blank >= 0:
            yield Cut(blank + 1, WORD)
        else:
            yield Cut(token, TOKEN)
        low = token
