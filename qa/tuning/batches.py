"""Pairs into batches: what a pair is told apart from are the other passages of its batch.

A batch is drawn around a few pairs: each brings along pairs whose passages the base's own search
confuses with its own. Those are the hard negatives (Xiong et al. 2021), at no cost: a separate
passage for each would make every step half as long again. Near-duplicates and neighbours of the
right passage, which may answer as well, are kept out of its batch.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from qa.tuning.pairs import Pair
from retrieval.sketches import ALIKE, likeness, sketch

SIZE = 32  # pairs
ALONG = 1  # pairs that each one brings along
NEIGHBOUR = 1  # passages apart in a document
MAX_SKETCHED = 1500  # characters of a passage

Place = tuple[str, int]


def batches(
    pairs: Sequence[Pair],
    confused: Mapping[Place, Sequence[Place]],
    *,
    size: int = SIZE,
    seed: int = 0,
) -> list[list[int]]:
    """All pairs as batches of `size` indices into `pairs`, none twice; what is left over of the
    last one is dropped, unless there is no other.

    `confused` names for a passage those that a search finds for its query, the best first.
    """
    chance = random.Random(seed)
    order = list(range(len(pairs)))
    chance.shuffle(order)
    of_place: dict[Place, list[int]] = defaultdict(list)
    for index in order:
        of_place[pairs[index].place].append(index)
    free, conflicts = dict.fromkeys(order), _Conflicts(pairs)
    made: list[list[int]] = []
    while free:
        batch: list[int] = []
        for seed_index in list(free):
            if len(batch) >= size:
                break
            if seed_index not in free or conflicts.any(batch, seed_index):
                continue
            _take(seed_index, batch, free)
            _bring_along(pairs, confused, of_place, conflicts, seed_index, batch, free, size)
        made.append(batch)
    whole = [batch for batch in made if len(batch) == size]
    return whole or made[:1]


def _bring_along(
    pairs: Sequence[Pair],
    confused: Mapping[Place, Sequence[Place]],
    of_place: Mapping[Place, Sequence[int]],
    conflicts: _Conflicts,
    of: int,
    batch: list[int],
    free: dict[int, None],
    size: int,
) -> None:
    brought = 0
    for place in confused.get(pairs[of].place, ()):
        index = next((one for one in of_place.get(place, ()) if one in free), None)
        if brought == ALONG or len(batch) >= size:
            return
        if index is not None and not conflicts.any(batch, index):
            _take(index, batch, free)
            brought += 1


def _take(index: int, batch: list[int], free: dict[int, None]) -> None:
    batch.append(index)
    del free[index]


class _Conflicts:
    """Which pairs may not share a batch."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self._pairs = pairs
        self._sketches: dict[int, str] = {}

    def any(self, batch: Sequence[int], index: int) -> bool:
        """Whether the passage of one in the batch may answer the pair at `index`, or is it."""
        return any(self._between(index, other) for other in batch)

    def _between(self, one: int, other: int) -> bool:
        mine, theirs = self._pairs[one], self._pairs[other]
        if mine.uri == theirs.uri:
            return abs(mine.position - theirs.position) <= NEIGHBOUR
        if mine.query.casefold() == theirs.query.casefold():
            return True
        return likeness(self._sketch(one), self._sketch(other)) >= ALIKE

    def _sketch(self, index: int) -> str:
        found = self._sketches.get(index)
        if found is None:
            found = self._sketches[index] = sketch(self._pairs[index].passage[:MAX_SKETCHED])
        return found


def mined(
    pairs: Sequence[Pair], search: Callable[[str], Sequence[Place]], *, most: int
) -> dict[Place, list[Place]]:
    """For the passages of the first `most` pairs what `search` takes for their queries' answers."""
    found: dict[Place, list[Place]] = {}
    for pair in pairs[:most]:
        if pair.place not in found:
            found[pair.place] = [place for place in search(pair.query) if place != pair.place]
    return found
